"""Online state to bytes and back: msgpack around raw little-endian columns, nothing that executes."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from typing import Any

import msgspec

from geartrain.domain.features import FeatureSet
from geartrain.errors import FeatureInvalid
from geartrain.features.log import id_order
from geartrain.features.naming import Name
from geartrain.features.plan import FOREVER
from geartrain.features.state import OnlineSource, Version
from geartrain.features.tiles import Tile

_FORMAT = "geartrain.online/3"


class StoredLog(msgspec.Struct, frozen=True, array_like=True):
    """One entity's deliveries; a textual slot is a list, the others are bytes."""

    entity: Name
    times: bytes
    arrivals: bytes
    untils: bytes
    ids: list[str]
    columns: list[bytes | list[str | None]]
    tiled_until_us: int
    tiles: list[tuple[int, int, list[Any]]]


class StoredStream(msgspec.Struct, frozen=True, array_like=True):
    """One stream's logs, sorted by entity."""

    floor_us: int
    logs: list[StoredLog]


class StoredSource(msgspec.Struct, frozen=True, array_like=True):
    """One source: its key column, what arrived last, its streams, and its event ids' deliveries."""

    key: str
    latest_us: int | None
    streams: list[StoredStream]
    versions: list[tuple[Name, tuple[Version, ...]]]


class Stored(msgspec.Struct, frozen=True):
    """The whole state, bound to the definitions it was kept for."""

    format: str
    features: str
    sources: dict[str, StoredSource]


def store_sources(features: FeatureSet, sources: Mapping[str, OnlineSource]) -> bytes:
    """The bytes of *sources*; equal states have equal bytes."""
    stored = {name: _stored(sources[name]) for name in sorted(sources)}
    return msgspec.msgpack.encode(Stored(format=_FORMAT, features=features.id, sources=stored))


def restore_sources(features: FeatureSet, content: bytes) -> dict[str, StoredSource]:
    """What the bytes hold, by source.

    Raises:
        FeatureInvalid: They are no snapshot, or one of other definitions.
    """
    try:
        stored = msgspec.msgpack.decode(content, type=Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FeatureInvalid(
            "these bytes are no snapshot of online features",
            where="snapshot",
            found=str(error),
            hint="rebuild the state from the lake",
        ) from error
    if stored.format != _FORMAT or stored.features != features.id:
        raise FeatureInvalid(
            "this snapshot was kept for other feature definitions",
            where="snapshot",
            found=f"{stored.format}, definitions {stored.features[:12]}; wanted {_FORMAT}, {features.id[:12]}",
            hint="rebuild the state from the lake",
        )
    return stored.sources


def fill_source(source: OnlineSource, stored: StoredSource) -> None:
    """Put back into an empty *source* what was stored."""
    source.latest_us = stored.latest_us
    source.versions = dict(stored.versions)
    for one, kept in zip(source.streams, stored.streams, strict=True):
        one.floor_us = kept.floor_us
        for each in kept.logs:
            log = one.log(each.entity)
            log.tiled_until_us = each.tiled_until_us
            log.tiles = [
                Tile(first_us=first, last_us=last, states=tuple(map(_state, states)))
                for first, last, states in each.tiles
            ]
            log.times, log.arrivals, log.untils = map(_integers, (each.times, each.arrivals, each.untils))
            log.ids = each.ids
            log.columns = [_floats(held) if isinstance(held, bytes) else held for held in each.columns]
            if {len(log.ids)} != {
                len(column) for column in (log.times, log.arrivals, log.untils, *log.columns)
            }:
                raise FeatureInvalid(
                    "this snapshot is damaged: columns of one log differ in length",
                    where=f"snapshot, {one.stream.source} by {one.stream.entity}",
                    found=str(each.entity),
                    hint="rebuild the state from the lake",
                )
            log.recount()


def _by_name(one: tuple[Name, object]) -> tuple[int, str]:
    return id_order(str(one[0]))


def _stored(source: OnlineSource) -> StoredSource:
    source.absorb()
    return StoredSource(
        key=source.key,
        latest_us=source.latest_us,
        streams=[
            StoredStream(
                floor_us=one.floor_us,
                logs=[
                    StoredLog(
                        entity=entity,
                        times=_bytes(log.times),
                        arrivals=_bytes(log.arrivals),
                        untils=_bytes(log.untils),
                        ids=log.ids,
                        columns=[
                            column if isinstance(column, list) else _bytes(column) for column in log.columns
                        ],
                        tiled_until_us=log.tiled_until_us,
                        tiles=[
                            (tile.first_us, tile.last_us, list(map(_plain, tile.states)))
                            for tile in log.tiles
                        ],
                    )
                    for entity, log in sorted(one.logs.items(), key=_by_name)
                ],
            )
            for one in source.streams
        ],
        versions=sorted(source.versions.items(), key=_by_name),  # type: ignore[arg-type]
    )


def _plain(state: Any) -> Any:
    """A tile's state in what msgpack knows: long integers are text, tables of counts are pairs."""
    match state:
        case int():
            return state if -FOREVER <= state <= FOREVER else {"integer": hex(state)}
        case tuple():
            return [_plain(item) for item in state]
        case dict():
            return {"counts": sorted(([key, count] for key, count in state.items()), key=repr)}
    return state


def _state(plain: Any) -> Any:
    match plain:
        case {"integer": str(digits)}:
            return int(digits, 16)
        case {"counts": list(counts)}:
            return dict(map(tuple, counts))
        case list():
            return tuple(_state(item) for item in plain)
    return plain


def _bytes(values: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _integers(content: bytes) -> array[int]:
    values = array("q")
    values.frombytes(content[: len(content) // 8 * 8])
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _floats(content: bytes) -> array[float]:
    values = array("d")
    values.frombytes(content[: len(content) // 8 * 8])
    if sys.byteorder == "big":
        values.byteswap()
    return values

"""Erasure on the bus: messages about one entity become tombstones, read or not yet read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from geartrain.data.checks import out_of_nested
from geartrain.data.documents import read_documents
from geartrain.domain.columns import texts_of
from geartrain.domain.contract import Contract, SourceTerms
from geartrain.engine.bus_door import BUS, decode_row, topic_of
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.rows import data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.bus import Bus, Message
from geartrain.ports.lake import BATCH

#: For each source the column that tells whose a row is, and the values that are meant.
Wanted = Mapping[str, tuple[str, frozenset[str]]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Messages:
    """Where messages about an entity stand.

    Attributes:
        places: Partition and offset of each on the bus.
        beyond: Why the bus cannot be reached, in words; empty where it can or where there is none.
        quarantined: The lake's batches of messages that were no events and hold its name.
    """

    places: tuple[tuple[int, int], ...]
    beyond: str
    quarantined: frozenset[str]


def find_messages(workspace: Workspace, contract: Contract, bus: Bus | None, wanted: Wanted) -> Messages:
    """Every message that names the entity, on the bus and in the bus's quarantine.

    Raises:
        BusUnavailable: The bus does not answer.
    """
    topic = topic_of(contract.product.name)
    names = frozenset(name for _, values in wanted.values() for name in values)
    about = _about(contract, wanted, names)
    places = () if bus is None else bus.holding(topic, about)
    table = frame_of(
        workspace.lake.scan(
            table_of(contract.product.name, BUS) + QUARANTINE, columns=(BATCH, "key", "message")
        )
    )
    quarantined = [
        batch
        for batch, key, message in (table.select(BATCH, "key", "message").iter_rows() if table.height else ())
        if key in names or _holds(message, names)
    ]
    return Messages(
        places=places or (),
        beyond=f"messages of the topic {topic}: this bus forgets by its own retention only"
        if places is None
        else "",
        quarantined=frozenset(quarantined),
    )


def _about(contract: Contract, wanted: Wanted, names: frozenset[str]) -> Callable[[Message], bool]:
    terms = {one.name: one for one in data_of(contract).sources}

    def about(message: Message) -> bool:
        if message.key in names:
            return True
        event = decode_row(message)
        if isinstance(event, str) or event.source not in terms:
            # What nobody can read and holds the name is meant too: nobody could tell that it is not.
            return _holds(message.value.decode(errors="replace"), names)
        if event.source not in wanted:
            return False
        column, values = wanted[event.source]
        # Looked for in plain text first: most rows do not hold it, and senders escape letters as they like.
        plain = msgspec.json.encode(event.row).decode()
        return _holds(plain, values) and _said(terms[event.source], event.row, column) in {None, *values}

    return about


def _said(source: SourceTerms, row: Mapping[str, object], column: str) -> str | None:
    """What a row says in *column*, which may lie within a nested value; None where it says nothing."""
    frame = read_documents([dict(row)])
    frame = frame.with_columns(out_of_nested(source.fields, frame.schema))
    said: str | None = texts_of(frame[column])[0] if column in frame.columns else None
    return said


def _holds(text: str, names: frozenset[str]) -> bool:
    """Whether a JSON text holds one of the names as a word of its own."""
    needles = {json.dumps(name, ensure_ascii=plain)[1:-1] for name in names for plain in (True, False)}
    return any(
        re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) is not None for one in needles if one in text
    )

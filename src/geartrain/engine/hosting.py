"""A release in memory, ready to answer: the same for the server and for a replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Protocol

import numpy as np

from geartrain.domain.columns import microseconds
from geartrain.domain.contract import FieldTerms, FieldType
from geartrain.domain.features import Encoding, RequestFeature
from geartrain.domain.prediction import Floats
from geartrain.engine.feature_words import described
from geartrain.features.encoding import encode_row
from geartrain.features.plain import PlainNumbers
from geartrain.monitoring.profile import NumberColumn, Profile, from_bytes
from geartrain.monitoring.sketch import bounds
from geartrain.release.bundle_nouns import Loaded
from geartrain.serving.runtime import ColumnWords, Contribute, Encode, Matrix, RawRow, Served, Spread
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import TreeModel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def served_of(loaded: Loaded, encode: Encode, *, typical: dict[str, Typical] | None = None) -> Served:
    """The release as serving wants it; *typical* values make reasons speak of what is unusual."""
    contract, model = loaded.contract, OnnxModel(loaded.onnx)
    source = contract.data.decisions if contract.data else None
    return Served(
        release=loaded.release.id,
        product=loaded.release.product,
        rule=loaded.rule,
        columns=loaded.encoding.columns,
        predict=model.predict,
        encode=encode,
        fields=source.fields if source else (),
        key=source.key if source else "",
        label=contract.decision.label,
        positive=contract.decision.positive,
        words=_words(loaded.encoding, typical or {}),
        ranges=ranges_of(loaded),
        contribute=_contribute(loaded.native),
    )


def ranges_of(loaded: Loaded) -> Matrix | None:
    """The lowest and the highest value of each input column among the reference rows, float32 (2, d).

    Categories have no order and span everything: one that was never seen counts as missing. None where
    the contract does not ask, or the bundle does not know.
    """
    terms, encoding = loaded.rule.abstain, loaded.encoding
    if terms is None or terms.most_outside is None or loaded.profile is None:
        return None
    profile = from_bytes(loaded.profile)
    spans = {one.name: (one.low, one.high) for one in profile.numbers if one.low is not None}
    numeric = {one.name for one in encoding.feature_set.features} - dict(encoding.categories).keys()
    ranges = np.array([(-np.inf,), (np.inf,)], dtype=np.float32).repeat(len(encoding.columns), axis=1)
    for place, column in enumerate(encoding.columns):
        if column in spans and column in numeric:
            ranges[:, place] = spans[column]
    return ranges


def _contribute(native: bytes | None) -> Contribute | None:
    """Exact contributions from a tree model's own text, which is read when the first reason is asked for."""
    if native is None:
        return None
    text = native.decode()

    @cache
    def model() -> TreeModel:
        return TreeModel(text)

    def contribute(matrix: Matrix) -> Floats:
        return model().contributions(matrix)[:, :, :-1]

    return contribute


class ReadsFeatures(Protocol):
    """Online state, wherever it is kept."""

    def read(self, row: RawRow, at_us: int) -> Mapping[str, float | str | None]:
        """Every feature of *row* at a time."""


def online_encode(online: ReadsFeatures, encoding: Encoding, *, fields: Sequence[FieldTerms] = ()) -> Encode:
    """Raw rows to the model's input, with features read from the online state at that time.

    *fields* are those of the contract where rows come as JSON: a model that learned from
    the lake must be given a request's times and nested values as the lake holds them.
    """
    as_held = rows_as_held(fields)
    plain = PlainNumbers.of(encoding)

    def encode(rows: Sequence[RawRow], at: datetime) -> Matrix:
        held = [as_held(row) for row in rows]
        table = None if plain is None else plain.encode(held)
        if table is not None:
            return table
        at_us = microseconds(at)
        return np.stack([encode_row(encoding, online.read(row, at_us)) for row in held])

    return encode


def rows_as_held(fields: Sequence[FieldTerms]) -> Callable[[RawRow], RawRow]:
    """Turns a row as it was sent into the row that the lake would hold: times as times, nested values by name."""
    times = tuple(one.name for one in fields if one.type is FieldType.TIMESTAMP)
    nested = tuple((one.name, steps_of(one)) for one in fields if one.path is not None)
    if not times and not nested:
        return lambda row: row

    def as_held(row: RawRow) -> RawRow:
        held = dict(row)
        for name, steps in nested:
            held[name] = value_at(row, steps)
        for name in times:
            value = held.get(name)
            if isinstance(value, str):
                held[name] = datetime.fromisoformat(value)
            elif isinstance(value, int):
                held[name] = _EPOCH + timedelta(microseconds=value)
        return held

    return as_held


def steps_of(terms: FieldTerms) -> tuple[str, ...]:
    """The names on the way to a field's value within a row."""
    return (terms.name,) if terms.path is None else tuple(terms.path.removeprefix("$").strip(".").split("."))


def value_at(row: Mapping[str, object], steps: Sequence[str]) -> object:
    """What stands at the end of *steps*, None where the way ends before; objects may be JSON text."""
    value: object = row
    for step in steps:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _words(encoding: Encoding, typical: dict[str, Typical]) -> tuple[ColumnWords, ...]:
    """How people speak of each input column; the definition's own words where it has some."""
    categories = dict(encoding.categories)
    words = []
    for feature in encoding.feature_set.features:
        label = described(feature)
        words.append(
            ColumnWords(
                column=feature.name,
                label=label,
                unit=feature.unit,
                reference=typical[feature.name].mean if feature.name in typical else float("nan"),
                categories=categories.get(feature.name, ()),
                spread=typical[feature.name].spread if feature.name in typical else None,
            )
        )
        if isinstance(feature, RequestFeature) and feature.missing_is_signal:
            words.append(
                ColumnWords(column=f"{feature.name}__missing", label=f"{label} is missing", reference=0.0)
            )
    return tuple(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typical:
    """What is typical of a number among the reference rows."""

    mean: float
    spread: Spread


def typical_of(profile: Profile) -> dict[str, Typical]:
    """What is typical of each number of a reference profile: what reasons compare with."""
    return {
        column.name: Typical(mean=column.mean, spread=spread_of(column))
        for column in profile.numbers
        if column.known
    }


def spread_of(column: NumberColumn) -> Spread:
    """Where the known rows of *column* lie, as a model that reads float32 sees them.

    Within a cell of the sketch nobody knows more than its ends, and rows that share a value stay in one cell.
    """
    ends = bounds(column.sketch)
    # The end that lies further from zero is the first value beyond its cell.
    nearer = np.nextafter(ends.astype(np.float32), np.float32(0))
    lows = np.where(ends[:, 0] < 0, nearer[:, 0], ends[:, 0]).astype(np.float64)
    highs = np.where(ends[:, 1] > 0, nearer[:, 1], ends[:, 1]).astype(np.float64)
    if column.low is not None and column.high is not None:
        # Rounded away from the rows: a lowest value of 0.7 is not lower than itself as float32.
        lows[0] = max(lows[0], np.nextafter(np.float32(column.low), np.float32(-np.inf)))
        highs[-1] = min(highs[-1], np.nextafter(np.float32(column.high), np.float32(np.inf)))
    return Spread(
        lows=tuple(lows.tolist()),
        highs=tuple(highs.tolist()),
        reached=(0, *np.cumsum(column.sketch.counts).tolist()),
    )

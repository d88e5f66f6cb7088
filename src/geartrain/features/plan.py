"""What has to be kept of each source: definitions arranged by stream, each value held once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from geartrain.domain.expression import Values
from geartrain.domain.features import Aggregation, FeatureSet, FeatureType, WindowFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.terms import holds_in_frame, holds_in_row, term_of_frame, term_of_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One value held of each event of a stream, missing (NaN or None) where the event does not count.

    Attributes:
        column: What is held, a column or expression; None holds a 1 for an event that counts.
        textual: Whether text is held, else a float.
        where: Which events count, or None for all.
    """

    column: str | None
    textual: bool = False
    where: str | None = None

    def of_frame(self, frame: pl.DataFrame) -> Values:
        """The slot for each row: float64 with NaN, or an object array with None."""
        values = (
            np.ones(frame.height) if self.column is None else term_of_frame(self.column, self._type, frame)
        )
        if self.where is None:
            return values
        missing = np.array(None if self.textual else np.nan, dtype=values.dtype)
        return np.where(holds_in_frame(self.where, frame), values, missing)

    def of_row(self, row: Mapping[str, object]) -> float | str | None:
        """The slot for one row."""
        if self.column is None and self.where is None:
            return 1.0
        counts = self.where is None or holds_in_row(self.where, row)
        value = None
        if counts:
            value = 1.0 if self.column is None else term_of_row(self.column, self._type, row)
        return math.nan if value is None and not self.textual else value

    @property
    def _type(self) -> FeatureType:
        return FeatureType.TEXT if self.textual else FeatureType.NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The past of one kind of entity in one source, and the features made of it.

    Attributes:
        features: Each with the index of the slot that it aggregates.
        horizon_us: How far back an event can matter; None is for ever.
    """

    source: str
    entity: str
    slots: tuple[Slot, ...]
    features: tuple[tuple[WindowFeature, int], ...]
    horizon_us: int | None


def streams(features: FeatureSet) -> tuple[Stream, ...]:
    """The streams that the window features read, in order of first use."""
    grouped: dict[tuple[str, str], list[WindowFeature]] = {}
    for one in features.windows:
        grouped.setdefault((one.source, one.entity), []).append(one)
    return tuple(_stream(source, entity, members) for (source, entity), members in grouped.items())


def key_of(source: str, keys: Mapping[str, str]) -> str:
    """The column that names a row of *source*.

    Raises:
        FeatureInvalid: Nobody said which.
    """
    if source not in keys:
        raise FeatureInvalid(
            "nobody said which column names a row of this source",
            where=source,
            found="keys for: " + (", ".join(keys) or "nothing"),
            hint="pass keys={source: column} as the contract's data section says",
        )
    return keys[source]


def _stream(source: str, entity: str, members: list[WindowFeature]) -> Stream:
    wanted = [_slot(one) for one in members]
    slots = tuple(dict.fromkeys(wanted))
    reach = [None if one.width_us is None else one.width_us + one.delay_us for one in members]
    longest = [one for one in reach if one is not None]
    return Stream(
        source=source,
        entity=entity,
        slots=slots,
        features=tuple((one, slots.index(slot)) for one, slot in zip(members, wanted, strict=True)),
        horizon_us=max(longest) if len(longest) == len(reach) else None,
    )


def _slot(one: WindowFeature) -> Slot:
    bare = one.aggregation in {Aggregation.COUNT, Aggregation.TIME_SINCE}
    textual = one.aggregation is Aggregation.DISTINCT or one.type is not FeatureType.NUMBER
    return Slot(column=None if bare else one.column, textual=textual and not bare, where=one.where)

"""What has to be kept of each source: definitions arranged by stream, each value held once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geartrain.domain.columns import texts_of
from geartrain.domain.expression import Values
from geartrain.domain.features import Aggregation, FeatureSet, FeatureType, LookupFeature, WindowFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.terms import holds_in_frame, holds_in_row, term_of_frame, term_of_row

if TYPE_CHECKING:
    import polars as pl

#: A time that never comes.
FOREVER = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One value held of each event of a stream, missing (NaN or None) where the event does not count.

    Attributes:
        column: What is held, a column or expression; None holds a 1 for an event that counts.
        textual: Whether text is held, else a float.
        where: Which events count, or None for all.
        whole: Whether an event without a value counts too, as a table's row without a cell does.
    """

    column: str | None
    textual: bool = False
    where: str | None = None
    whole: bool = False

    def of_frame(self, frame: pl.DataFrame) -> Values:
        """The slot for each row: float64 with NaN, or an object array with None."""
        values = (
            np.ones(frame.height) if self.column is None else term_of_frame(self.column, self._type, frame)
        )
        if self.where is None:
            return values
        missing = np.array(None if self.textual else np.nan, dtype=values.dtype)
        return np.where(holds_in_frame(self.where, frame), values, missing)

    def texts_of_frame(self, frame: pl.DataFrame) -> pl.Series:
        """A textual slot for each row, null where missing; integers stay integers, which tell the same apart."""
        import polars as pl

        if self.column is None or self.column not in frame.columns:
            return pl.Series(self.of_frame(frame).tolist(), dtype=pl.String)
        values = frame.get_column(self.column)
        told = values if values.dtype.is_integer() else texts_of(values)
        if self.where is None:
            return told
        return told.zip_with(
            pl.Series(holds_in_frame(self.where, frame), dtype=pl.Boolean),
            pl.Series([None], dtype=told.dtype).new_from_index(0, frame.height),
        )

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
        entity: The column of the decision row that names the entity.
        member: The source's column that names it.
        features: Each with the index of the slot that it aggregates; a lookup is the last
            value over all of the past.
        horizon_us: How far back an event can matter; None is for ever.
    """

    source: str
    entity: str
    member: str
    slots: tuple[Slot, ...]
    features: tuple[tuple[WindowFeature, int], ...]
    horizon_us: int | None


def streams(features: FeatureSet) -> tuple[Stream, ...]:
    """The streams that windows and lookups read, in order of first use; lookups have their own."""
    grouped: dict[tuple[str, str, str, bool], list[tuple[WindowFeature, Slot]]] = {}
    for one in features.features:
        if isinstance(one, WindowFeature):
            place = (one.source, one.entity, one.entity, False)
            grouped.setdefault(place, []).append((one, _slot(one)))
        elif isinstance(one, LookupFeature):
            place = (one.source, one.entity, one.key or one.entity, True)
            grouped.setdefault(place, []).append((_in_force(one), _cell(one)))
    return tuple(
        _stream(source, entity, member, members) for (source, entity, member, _), members in grouped.items()
    )


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


def _stream(source: str, entity: str, member: str, members: list[tuple[WindowFeature, Slot]]) -> Stream:
    slots = tuple(dict.fromkeys(slot for _, slot in members))
    reach = [None if one.width_us is None else one.width_us + one.delay_us for one, _ in members]
    longest = [one for one in reach if one is not None]
    return Stream(
        source=source,
        entity=entity,
        member=member,
        slots=slots,
        features=tuple((one, slots.index(slot)) for one, slot in members),
        horizon_us=max(longest) if len(longest) == len(reach) else None,
    )


def _slot(one: WindowFeature) -> Slot:
    bare = one.aggregation in {Aggregation.COUNT, Aggregation.TIME_SINCE}
    textual = one.aggregation is Aggregation.DISTINCT or one.type is not FeatureType.NUMBER
    return Slot(column=None if bare else one.column, textual=textual and not bare, where=one.where)


def _cell(one: LookupFeature) -> Slot:
    textual = one.type is not FeatureType.NUMBER
    return Slot(column=one.column, textual=textual, where=one.where, whole=True)


def _in_force(one: LookupFeature) -> WindowFeature:
    """The lookup as the window that reads it: the last row of all the past."""
    return WindowFeature(
        name=one.name, source=one.source, entity=one.entity, aggregation=Aggregation.LAST,
        column=one.column, where=one.where, type=one.type,
    )  # fmt: skip

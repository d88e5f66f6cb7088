"""The diary of a live product: what was asked, decided and shadowed, day by day, until labels come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.columns import columns_of, microseconds_of
from geartrain.domain.expression import Columns
from geartrain.domain.prediction import Decision, Floats
from geartrain.engine.world import KEY, TRUTH
from geartrain.ports.lake import ARRIVAL_TIME

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shadowed:
    """What another release would have done about the same rows."""

    release: str
    actions: Indices
    values: Floats


@dataclass(slots=True, kw_only=True, eq=False)
class Day:
    """One day's decisions, in the order of the requests.

    Attributes:
        actions: What was done, as indices into the rule's actions; an abstention is -1.
        values: The model's last output column: the positive class's probability, or the value.
        releases: The release that answered each row.
        shadows: What other releases would have done, by release id.
        truth: Class index or value; NaN until it is known.
    """

    day: datetime
    requests: pl.DataFrame
    features: pl.DataFrame
    decisions: Sequence[Decision]
    actions: Indices
    values: Floats
    releases: NDArray[np.object_]
    shadows: dict[str, Shadowed] = field(default_factory=dict)
    truth: Floats = field(init=False)
    _columns: Columns | None = None

    def __post_init__(self) -> None:
        self.truth = np.full(len(self.actions), np.nan)

    @property
    def columns(self) -> Columns:
        """The raw columns of the requests, for costs and rules."""
        if self._columns is None:
            self._columns = columns_of(self.requests)
        return self._columns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ripe:
    """Rows of one day whose truth arrived together."""

    day: Day
    rows: Indices
    at_us: Indices
    truth: Floats

    @property
    def columns(self) -> Columns:
        """The raw columns of these rows."""
        return {name: values[self.rows] for name, values in self.day.columns.items()}


@dataclass(slots=True, eq=False)
class Diary:
    """All days, and where each decision stands in them.

    Attributes:
        again: Labels of rows whose truth was known already; what they changed counts in the
            final account, and no test counts the row a second time.
    """

    days: list[Day] = field(default_factory=list)
    again: int = 0
    _place: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, day: Day) -> None:
        """A day ended."""
        number = len(self.days)
        self.days.append(day)
        for row, key in enumerate(day.requests[KEY].to_list()):
            self._place[key] = (number, row)

    def ripen(self, told: pl.DataFrame, classes: tuple[str, ...]) -> Iterator[Ripe]:
        """Take labels that arrived; each day's rows come back together, in the order of arrival, each row once ever."""
        index = {name: place for place, name in enumerate(classes)}
        found: dict[int, dict[int, tuple[int, float]]] = defaultdict(dict)
        times = microseconds_of(told[ARRIVAL_TIME]).to_list()
        for key, truth, at_us in zip(told[KEY].to_list(), told[TRUTH].to_list(), times, strict=True):
            place = self._place.get(key)
            value = float(index.get(truth, -1)) if classes else float(truth)
            if place is None or (classes and value < 0):
                continue
            number, row = place
            if np.isfinite(self.days[number].truth[row]):
                self.again += 1
                self.days[number].truth[row] = value
            else:
                self.again += row in found[number]
                found[number][row] = (at_us, value)
        for number in sorted(found):
            rows = np.array(list(found[number]), dtype=np.int64)
            truth_of_rows = np.array([value for _, value in found[number].values()])
            day = self.days[number]
            day.truth[rows] = truth_of_rows
            yield Ripe(
                day=day,
                rows=rows,
                at_us=np.array([at_us for at_us, _ in found[number].values()], dtype=np.int64),
                truth=truth_of_rows,
            )

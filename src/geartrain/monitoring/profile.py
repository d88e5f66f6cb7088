"""A profile: what the columns of some rows look like, in counts that add up.

The reference profile is built once and stored with the release; live rows are counted
into its bins (`monitoring.profiling`). `merge` of the profiles of two parts is the profile of
both, so parts of a stream, or workers, can be profiled apart. Fifty columns take at most
100 kB of JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from geartrain.domain.wire import decode, encode
from geartrain.monitoring import distinct
from geartrain.monitoring.sketch import Sketch, add

#: So many of the categories that are not counted by name are told as examples.
EXAMPLES = 3
#: Numbers this far out are no numbers: their squares would not fit.
MOST = 1e100


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumn:
    """A column of numbers. NaN and what is beyond `MOST` count as nulls: no one may compute with them.

    Attributes:
        edges: The inner edges; bin i holds edges[i-1] <= value < edges[i].
        counts: One more than edges.
        m2: The sum of squared distances from the mean.
        sketch: Its quantiles wherever they lie, in the bins or far outside.
        distinct: The sketch of its different values, for `distinct.distinct`.
    """

    name: str
    rows: int
    nulls: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    mean: float
    m2: float
    low: float | None
    high: float | None
    sketch: Sketch
    distinct: str

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def constant(self) -> bool:
        """Whether there are values and all are the same."""
        return self.low is not None and self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryColumn:
    """A column of categories.

    Attributes:
        names: The categories that are counted by name, as the reference ranked them.
        counts: In the order of `names`.
        other: Rows with any other category.
        examples: The first few of those in alphabetical order.
        distinct: The sketch of its different categories, for `distinct.distinct`.
    """

    name: str
    rows: int
    nulls: int
    names: tuple[str, ...]
    counts: tuple[int, ...]
    other: int
    distinct: str
    examples: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def constant(self) -> bool:
        """Whether there are values and all are the same, as far as names are counted."""
        return self.other == 0 and sum(count > 0 for count in self.counts) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What some rows look like, column by column."""

    rows: int
    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, numbers first."""
        return (*(column.name for column in self.numbers), *(column.name for column in self.categories))


def merge(a: Profile, b: Profile) -> Profile:
    """The profile of the rows of both.

    Raises:
        ValueError: They were not observed in the same bins.
    """
    if not same_bins(a, b):
        raise ValueError("two profiles with different columns or bins cannot be added")
    return Profile(
        rows=a.rows + b.rows,
        numbers=tuple(map(merge_numbers, a.numbers, b.numbers)),
        categories=tuple(map(merge_categories, a.categories, b.categories)),
    )


def same_bins(a: Profile, b: Profile) -> bool:
    """Whether the two count the same things."""
    return [(one.name, one.edges) for one in a.numbers] == [(one.name, one.edges) for one in b.numbers] and [
        (one.name, one.names) for one in a.categories
    ] == [(one.name, one.names) for one in b.categories]


def to_bytes(profile: Profile) -> bytes:
    """The profile as canonical JSON, for the release bundle."""
    return encode(profile)


def from_bytes(content: bytes) -> Profile:
    """The profile from its JSON.

    Raises:
        msgspec.ValidationError: The content is not a profile.
    """
    return decode(content, Profile)


def spread(column: NumberColumn) -> float:
    """The standard deviation of the column's values, NaN without any."""
    return math.sqrt(column.m2 / column.known) if column.known else math.nan


def merge_numbers(a: NumberColumn, b: NumberColumn) -> NumberColumn:
    """The same column over the rows of both, in the same bins."""
    both = a.known + b.known
    gap = b.mean - a.mean
    return NumberColumn(
        name=a.name,
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        edges=a.edges,
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        mean=a.mean + gap * b.known / both if both else 0.0,
        m2=a.m2 + b.m2 + (gap**2 * a.known * b.known / both if both else 0.0),
        low=_least(a.low, b.low),
        high=None if (least := _least(_negative(a.high), _negative(b.high))) is None else -least,
        sketch=add(a.sketch, b.sketch),
        distinct=distinct.merge(a.distinct, b.distinct),
    )


def merge_categories(a: CategoryColumn, b: CategoryColumn) -> CategoryColumn:
    """The same column over the rows of both, with the same names."""
    return CategoryColumn(
        name=a.name,
        rows=a.rows + b.rows,
        nulls=a.nulls + b.nulls,
        names=a.names,
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        other=a.other + b.other,
        examples=tuple(sorted({*a.examples, *b.examples})[:EXAMPLES]),
        distinct=distinct.merge(a.distinct, b.distinct),
    )


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _least(a: float | None, b: float | None) -> float | None:
    return min((value for value in (a, b) if value is not None), default=None)

"""Feature definitions: plain frozen data with a stable digest; defining runs nothing.

One window rule holds everywhere, offline and online: the window of width *w* at a
decision at time *t* holds the events of the entity with `t - delay - w <= event time
< t - delay` that had *arrived* by then (`arrival <= t`), each event id once.
Times are integer microseconds since 1970 UTC.

- **Each event id once**: of the deliveries of one id that had arrived by *t*, the latest
  arrival counts (a correction replaces what it corrects, from its own arrival on and
  never before); of equal arrivals, the last delivered. A row without an id, an event
  time or an arrival time is no event, and one without an entity belongs to nobody.
- **Order**: events stand in order of event time, then of id (shorter first, then by
  character, so that 9 comes before 10).
- **What counts**: events for which `where` holds. An event whose `column` is missing, or
  no finite number where a number is asked for, does not count for that feature.
- **Nothing to count** is null; only `count` and `distinct` are then 0.
- **A sum is exact**: the exact sum of the float64 values, rounded once to the nearest
  float64. It therefore does not depend on order, batching, tiles or the engine, and one
  huge value does not spoil its neighbours. A mean is that sum divided by the count.

Numbers are float64 whatever they count; text, booleans and numbers are told apart by
their text (`5`, `5.0` and `"5"` are one entity, one category, one distinct value).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from geartrain.domain.digest import digest


class Aggregation(StrEnum):
    """What is said about the events in a window. Absent history is null, never 0, but `count` and `distinct`.

    `count`: how many. `sum`, `mean`, `min`, `max`: of the column. `first`, `last`: the
    column of the oldest and newest event. `last_n`: the column of the n-th newest event,
    null where fewer count. `distinct`: how many different values. `ratio`: the share of
    events whose column is not 0. `time_since`: seconds from the newest event to *t*.
    `decayed_sum`: the sum of column x 2^(-age / half-life), age being *t* - event time.
    """

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    FIRST = "first"
    DISTINCT = "distinct"
    RATIO = "ratio"
    TIME_SINCE = "time_since"
    DECAYED_SUM = "decayed_sum"
    LAST_N = "last_n"


class FeatureType(StrEnum):
    """How the model sees the value."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFeature:
    """A value that the request itself carries, or an expression over what it carries.

    Attributes:
        expression: A column's name or an expression over columns of the decision row; a
            column that the row does not carry is missing. The name of a window, lookup or
            function that stands before this feature means that feature's value.
        type: How the model sees it.
        missing_is_signal: Whether an extra 0/1 feature `<name>__missing` is made.
    """

    name: str
    expression: str
    type: FeatureType = FeatureType.NUMBER
    missing_is_signal: bool = False
    owner: str = ""
    description: str = ""
    unit: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFeature:
    """One aggregation of a source's past events, for the entity of the decision row.

    Attributes:
        source: The contract source whose rows are aggregated.
        entity: The column that names the entity, in the source and in the decision row.
        aggregation: What is said about the events in the window.
        column: The column aggregated, or an expression over the source's columns; None for
            `count` and `time_since`.
        width_us: The window's width; None reaches back to the beginning.
        delay_us: How far the window's end lies before the decision.
        where: Which events count, as an expression over the source's columns.
        half_life_us: `decayed_sum`: after how long an event counts half.
        n: `last_n`: which one, 1 the newest.
        type: How the model sees it; text and categories only of `last`, `first`, `last_n`.
    """

    name: str
    source: str
    entity: str
    aggregation: Aggregation
    column: str | None = None
    width_us: int | None = None
    delay_us: int = 0
    where: str | None = None
    half_life_us: int | None = None
    n: int | None = None
    type: FeatureType = FeatureType.NUMBER
    owner: str = ""
    description: str = ""
    unit: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFeature:
    """A cell of the row of a slowly changing table that was in force, as known then.

    The rows of the table are events of its source: a newer row of the entity replaces
    the older one from its event time on. In force at *t* is the newest row with an event
    time before *t* that had arrived by *t*. Where it has no value, or `where` does not hold
    for it (a row that says "ended"), there is none: an older row never shines through.

    Attributes:
        source: The contract source whose rows are the table's.
        entity: The column of the decision row that names whose row is wanted.
        column: The table's column, or an expression over its columns.
        key: The table's column that holds the entity; None where it has the same name.
        where: Which rows say something, as an expression over the table's columns.
        type: How the model sees it.
    """

    name: str
    source: str
    entity: str
    column: str
    key: str | None = None
    where: str | None = None
    type: FeatureType = FeatureType.NUMBER
    owner: str = ""
    description: str = ""
    unit: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFeature:
    """What a team's own function makes of a batch of rows, each row for itself.

    Attributes:
        function: The function's name, for people.
        code: The digest of its source: another text is another feature.
        reads: What it is given, with the type of each: features that stand before this
            one, and else columns of the decision row.
        type: What it gives back, and how the model sees it.
    """

    name: str
    function: str
    code: str
    reads: tuple[tuple[str, FeatureType], ...]
    type: FeatureType = FeatureType.NUMBER
    owner: str = ""
    description: str = ""
    unit: str = ""
    because: str = ""


Feature = RequestFeature | WindowFeature | LookupFeature | FunctionFeature


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Every feature of a product, in the order of the model's input."""

    features: tuple[Feature, ...]

    @property
    def id(self) -> str:
        """The digest of the definitions."""
        return digest(self)

    @property
    def windows(self) -> tuple[WindowFeature, ...]:
        """The features made of past events."""
        return tuple(one for one in self.features if isinstance(one, WindowFeature))

    def made_before(self, feature: Feature) -> frozenset[str]:
        """The windows, lookups and functions that stand before *feature*: what it may read by name."""
        before = self.features[: self.features.index(feature)]
        return frozenset(one.name for one in before if not isinstance(one, RequestFeature))

    @property
    def lookups(self) -> tuple[LookupFeature, ...]:
        """The features read from slowly changing tables."""
        return tuple(one for one in self.features if isinstance(one, LookupFeature))


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How feature values become the float32 row that a model reads, fitted on training rows only.

    Attributes:
        feature_set: The definitions it was fitted for.
        columns: The model's input columns in order; a feature with a missing-signal has two.
        categories: For each category feature its known values; code i is the i-th, an
            unknown value or null is NaN.
    """

    feature_set: FeatureSet
    columns: tuple[str, ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def id(self) -> str:
        """The digest of definitions and vocabulary."""
        return digest(self)

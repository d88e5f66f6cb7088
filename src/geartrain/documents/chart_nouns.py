"""What a chart shows, apart from how it is drawn: series, events, bars, points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: A place on the horizontal axis: a time in UTC or a number.
Place = datetime | float


class EventKind(StrEnum):
    """What happened at a moment of a product's life; each kind has a lane and a shape of its own."""

    RELEASE = "release"
    ROLLBACK = "rollback"
    DRIFT = "drift"
    INCIDENT = "incident"
    REFIT = "refit"
    REFUSAL = "refusal"
    CONTRACT = "contract"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """Something that happened, in words.

    Attributes:
        title: What happened, in a few words.
        detail: Why and with what effect, in a sentence or two.
        who: The person, role or machinery that acted or was called.
    """

    at: datetime
    kind: EventKind
    title: str
    detail: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A named line.

    Attributes:
        points: Place and value, in the order of the places; None leaves a gap.
        band: Place, lower and upper end of an interval around the line.
        leading: Whether this is the line that the chart is about; it is drawn heavier.
        stepped: Whether a value holds until the next one.
    """

    name: str
    points: tuple[tuple[Place, float | None], ...]
    band: tuple[tuple[Place, float, float], ...] = ()
    leading: bool = False
    stepped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """Lines over time (or over a number), with what happened on the same axis.

    Attributes:
        description: What there is to see, in a sentence: it stands in for the picture.
        from_zero: Whether the vertical axis begins at 0; only a difference may leave it out.
        logarithmic: Whether equal ratios are equal heights; values of 0 or below are gaps.
        bound: A promised bound, drawn as a line, with its words.
    """

    title: str
    description: str
    y_label: str
    series: tuple[Series, ...]
    x_label: str = ""
    events: tuple[TimelineEvent, ...] = ()
    from_zero: bool = True
    logarithmic: bool = False
    bound: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One length with its interval; `note` stands behind its number."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    leading: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Named lengths on one scale that begins at 0."""

    title: str
    description: str
    x_label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Rows with about the same predicted probability, and how often it came true."""

    predicted: float
    observed: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityChart:
    """Whether what is called 10% likely happens in 10 of 100 cases.

    Attributes:
        threshold: The probability at which the decision turns, or None.
    """

    title: str
    description: str
    bins: tuple[ReliabilityBin, ...]
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One candidate in the plane of two costs; smaller is better on both axes."""

    name: str
    x: float
    y: float
    y_low: float | None = None
    y_high: float | None = None
    chosen: bool = False
    front: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterChart:
    """Candidates against each other; those that no other beats on both axes form the front."""

    title: str
    description: str
    x_label: str
    y_label: str
    dots: tuple[Dot, ...]
    x_logarithmic: bool = False

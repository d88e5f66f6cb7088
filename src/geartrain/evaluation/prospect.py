"""The nouns of feasibility: what is known before training, what a quick look showed, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from geartrain.domain.finding import Finding, Measurement
from geartrain.domain.model import Speed
from geartrain.domain.prediction import Floats
from geartrain.evaluation.evidence import Evidence, Measured
from geartrain.evaluation.leakage_proxies import Leak
from geartrain.evaluation.model_view import ModelView
from geartrain.stats.deciding import Indices
from geartrain.stats.label_noise import Agreement, LabelNoise


class Verdict(StrEnum):
    """Whether a clause can be kept and proven. Unknown is an answer, with its reason."""

    CAN = "can"
    CANNOT = "cannot"
    UNKNOWN = "unknown"


class Topic(StrEnum):
    """What a statement is about, in the order in which statements are told."""

    ROWS = "the rows"
    WITHOUT = "without a model"
    SIGNAL = "is there anything to learn"
    MORE_ROWS = "would more rows help"
    LABELS = "how good the labels are"
    LEAKS = "too good to be true"
    CONTRADICTIONS = "contradictions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known before training.

    Attributes:
        rows: Rows with a known label.
        unlabelled: Rows without one; they take no part.
        free: Rows that may be learned from, the only ones that were looked at; None where the
            rows could not be shared out.
        class_counts: How many labelled rows each class has; empty for regression.
        trivial_costs: What policies without a model cost per row, such as `always-biopsy`, the
            cheapest first.
        choosing_share: The share of rows that will choose between models and their variants.
        proving_share: The share of rows that will stand in the sealed pool, where promises are proven.
        oddities: What is strange about the rows, as plain sentences without a full stop.
    """

    rows: int
    unlabelled: int = 0
    free: int | None = None
    class_counts: tuple[tuple[str, int], ...] = ()
    trivial_costs: tuple[tuple[str, Measurement], ...] = ()
    choosing_share: float = 0.2
    proving_share: float = 1.0
    oddities: tuple[str, ...] = ()

    @property
    def proving_rows(self) -> int:
        """The rows that can prove something."""
        return int(self.rows * self.proving_share)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveRuns:
    """Costs of judged rows under models taught on growing numbers of other rows.

    Attributes:
        sizes: The numbers of rows taught, growing.
        costs: For each size (draws, n): what each judged row cost.
        judged: The positions of the n judged rows in the quick model's evidence, shape (n,).
        whole: How many rows a model would be taught with all that there are.
    """

    sizes: tuple[int, ...]
    costs: tuple[Floats, ...]
    judged: Indices
    whole: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Whether the features say anything about the label, against shuffled labels.

    Attributes:
        p: The share of labellings without meaning that look as good, the own one counted in.
        shuffles: How often the labels were shuffled and everything was done again.
        rows: The rows behind it.
    """

    p: float
    shuffles: int
    rows: int

    @property
    def best_possible(self) -> bool:
        """Whether no shuffle did as well: then p is as small as so many shuffles allow."""
        return self.p * (1 + self.shuffles) < 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """A "not worse than" that will have to be proven later, by a smaller or a newer model.

    Attributes:
        name: Whose margin it is: `compression` or `retraining`.
        allowed: The rise of the cost that is still allowed, as a share of it.
        cost: What a decision of the quick model costs on average.
        deviation: The standard deviation of one row's cost difference between two such models.
        worst: The most that one changed decision can cost; None where nobody knows.
        rows: How many rows there will be to prove it with; None where that is not known.
        rows_per_day: For a margin that is proven on live rows: how many come a day.
        whose: Whose rows they are, such as "the rows of `select`".
    """

    name: str
    allowed: float
    cost: float
    deviation: float
    worst: float | None = None
    rows: int | None = None
    rows_per_day: float | None = None
    whose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuickLook:
    """What quick models showed on the rows that may be learned from. Evidence, never a proof that none is better.

    Attributes:
        why_not: Why there is no quick model, as a sentence; empty where there is one.
        model: Its name, such as "gradient boosting".
        quick: Cross-fitted answers of the cheaper of two quick models.
        asked: Rows that `view`'s model was not taught, for plausibility.
        view: A quick model that can be asked.
        curve: What growing numbers of taught rows cost.
        signal: The permutation test; None where it was left out.
        nearest: Between what the least possible error lies, by nearest neighbours.
        noise: What share of labels is wrong, by confident learning.
        twice: What a sample that was labelled twice says.
        margins: The "not worse" that come later.
        leaks: Columns that give the label away; None where the rows are too few to ask.
        integrity: For a clause of integrity that needs no model, what the rows and definitions show.
        floor: The fastest and smallest serving path measured on this machine.
        feeds: For a clause about a feed, what its history shows; or why it shows nothing.
    """

    why_not: str = ""
    model: str = ""
    quick: Evidence | None = None
    asked: Evidence | None = None
    view: ModelView | None = None
    curve: CurveRuns | None = None
    signal: Signal | None = None
    nearest: tuple[float, float] | None = None
    noise: LabelNoise | None = None
    twice: Agreement | None = None
    margins: tuple[Margin, ...] = ()
    leaks: tuple[Leak, ...] | None = None
    integrity: tuple[tuple[str, Measured], ...] = ()
    floor: Speed | None = None
    feeds: tuple[tuple[str, Measurement | str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Whether one clause can be kept and proven, and why.

    Attributes:
        reason: Why, in one plain sentence without a full stop.
        outlook: What more rows of the same kind would change, where a learning curve can say.
        relevant: The relevant rows that the sealed pool will hold, None where it does not matter.
        relevant_needed: The relevant rows that it would have to hold, about.
        of: What the relevant rows are called, such as "`malignant`".
        rows_needed: All labelled rows that this takes, with the shares as they are.
    """

    clause: str
    verdict: Verdict
    reason: str
    outlook: str = ""
    relevant: int | None = None
    relevant_needed: int | None = None
    of: str = ""
    rows_needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Something that holds for the whole product, as one plain sentence without a full stop."""

    topic: Topic
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What can be said before training: findings, a verdict per clause, margins, and plain sentences.

    Attributes:
        why_not: Why these rows train no model at all; empty where they do.
    """

    findings: tuple[Finding, ...]
    prospects: tuple[Prospect, ...]
    margins: tuple[Prospect, ...]
    statements: tuple[Statement, ...]
    why_not: str = ""


def figure(value: float) -> str:
    """Three significant digits, thousands apart.

    >>> figure(0.62741), figure(12345.6), figure(0.0), figure(18.63)
    ('0.627', '12,346', '0', '18.6')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    told = f"{value:.3g}"
    return "0" if told == "-0" else told


def interval(measurement: Measurement) -> str:
    """A value with its ends: `0.59 (0.24 to 1.46)`."""
    if measurement.low == measurement.high:
        return figure(measurement.value)
    return f"{figure(measurement.value)} ({figure(measurement.low)} to {figure(measurement.high)})"

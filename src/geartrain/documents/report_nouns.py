"""What a run report tells: one or more products, from their promises to their life over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from geartrain.documents.chart_nouns import LineChart, ReliabilityChart, Series, TimelineEvent
from geartrain.domain.explanation import Explanation
from geartrain.domain.finding import Finding
from geartrain.domain.prediction import Decision
from geartrain.domain.release import SignOff, Waiver
from geartrain.domain.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A short fact: what, and its value as text; `note` explains it in a few words."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseLine:
    """One clause as the contract says it in plain words."""

    clause: str
    owner: Role
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A finding and the words around it.

    Attributes:
        promise: The clause in a few words, such as "missed tumours"; empty for its path.
        because: Why the team promised it.
        counted: What one relevant row is, in the plural, such as "malignant patients".
        waived: Whether a waiver lets it pass.
    """

    finding: Finding
    promise: str = ""
    because: str = ""
    counted: str = ""
    waived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One variant of the model, measured through the serving path and judged on every clause.

    Attributes:
        cost: The mean cost of a decision, with its interval; None where not measured.
        verdict: Why it was accepted, refused or beaten, in a few words.
        front: Whether no other variant beats it on both time and cost.
    """

    name: str
    p50_us: float
    p99_us: float
    size_bytes: int
    cost: float | None
    cost_low: float | None = None
    cost_high: float | None = None
    decisions_agree: float | None = None
    clauses_kept: int | None = None
    clauses: int | None = None
    front: bool = False
    chosen: bool = False
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageNote:
    """What one stage did, in a sentence, and how long it took."""

    stage: str
    words: str
    seconds: float | None = None
    went_well: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionExample:
    """One served decision: what came in, what was answered.

    Attributes:
        request: Column and value, as sent.
        answered_in_ms: How long the whole answer took.
        truth: What turned out to be right, where it is known.
    """

    request: tuple[tuple[str, str], ...]
    decision: Decision
    answered_in_ms: float | None = None
    truth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorLine:
    """What one monitor watches and says.

    Attributes:
        guarantee: What it promises, such as "a false alarm ever: at most 1 in 100".
        state: What it says now, in a few words.
        alarmed: Whether it rings.
    """

    watches: str
    state: str
    guarantee: str = ""
    alarmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySeries:
    """A way of deciding, replayed over the same time.

    Attributes:
        cost_per_1000: When, and the cost of 1000 decisions in the window that ends there.
        band: When, and the interval's lower and upper end.
        total: The cost of all its decisions.
        product: Whether this is the product itself.
        words: What the policy does, in a sentence.
    """

    name: str
    cost_per_1000: tuple[tuple[datetime, float | None], ...]
    decisions: int
    total: float
    band: tuple[tuple[datetime, float, float], ...] = ()
    total_low: float | None = None
    total_high: float | None = None
    product: bool = False
    words: str = ""

    @property
    def per_1000(self) -> float | None:
        """The cost of 1000 decisions over the whole time, or None without decisions."""
        return 1000.0 * self.total / self.decisions if self.decisions else None

    @property
    def series(self) -> Series:
        """The policy as a line of a chart."""
        return Series(
            name=self.name, points=tuple(self.cost_per_1000), band=tuple(self.band), leading=self.product
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySection:
    """A product's performance as a function of time, beside what else could have been done.

    Attributes:
        policies: The product and the policies it is held against.
        logarithmic: Whether one policy costs so much more that only ratios can be seen.
        more: Further charts over the same time, such as a drift's size.
    """

    words: str
    currency: str
    policies: tuple[PolicySeries, ...]
    events: tuple[TimelineEvent, ...] = ()
    logarithmic: bool = False
    more: tuple[LineChart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSection:
    """One product's chapter. What is empty is left out, or said to be missing where that matters.

    Attributes:
        name: The product's slug; its chapter can be linked to by it.
        lead: The chapter in one or two sentences: what was promised and what came out.
        outcome: The end in a few words, such as "live, with one waiver".
        currency: What costs are counted in.
        explanation: What the answers rest on, where the model could be asked.
        release: The id of the release that the sign-offs name; empty if there is none.
        needed: The roles that had to sign it.
    """

    name: str
    title: str
    problem: str
    lead: str = ""
    outcome: str = ""
    currency: str = "units"
    facts: tuple[Fact, ...] = ()
    stages: tuple[StageNote, ...] = ()
    promises: tuple[PromiseLine, ...] = ()
    silent: tuple[str, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    variants: tuple[VariantRow, ...] = ()
    variants_words: str = ""
    reliability: ReliabilityChart | None = None
    explanation: Explanation | None = None
    release: str = ""
    needed: tuple[Role, ...] = ()
    sign_offs: tuple[SignOff, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    example: DecisionExample | None = None
    monitors: tuple[MonitorLine, ...] = ()
    monitoring_words: str = ""
    replay: ReplaySection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The story of a run.

    Attributes:
        made_at: When the report was written, in UTC.
        next_steps: What the reader may do now: a command and what it does.
        colophon: How the run can be repeated: seed, versions, machine.
    """

    title: str
    lead: str
    made_at: datetime
    products: tuple[ProductSection, ...]
    next_steps: tuple[Fact, ...] = ()
    colophon: tuple[Fact, ...] = ()

"""The contract as frozen values: what the team agreed, one dataclass a section.

The room `contract` reads these from `product.yaml`; every other room only receives
them. A section that the team left out is None, and is said so, never guessed.
Durations are seconds, shares are fractions of one, money is in `Costs.currency`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from geartrain.domain.clause import Clause, Mark
from geartrain.domain.digest import digest
from geartrain.domain.roles import Role
from geartrain.domain.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTerms:
    """The problem in plain words. `name` is a slug: lower case, digits and hyphens."""

    name: str
    title: str
    problem: str
    serves: str = ""
    intended_use: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()
    without_it: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many decisions of `action` can be acted on in a period (review the top k a day).

    Attributes:
        entity: The column whose distinct values are counted, or None for rows.
    """

    action: str
    most: int
    period_s: float
    entity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """When the model must not decide, and who then does.

    Attributes:
        below_confidence: Abstain where the largest class probability is lower; None never.
        most_missing: Abstain where a larger share of the features is missing; None never.
        most_outside: Abstain where a larger share of the features lies outside of what the
            reference rows span; None never.
        most_stale_s: Abstain where the features' feeds have been silent for longer; None never.
        when_cheaper: Abstain where handing over costs less than the best action is expected to
            (Chow 1970, "On optimum recognition error and reject tradeoff").
        then: The action that stands in for the model's (often "ask a person").
        cost: What an abstention costs, as an expression over the row's columns.
    """

    below_confidence: float | None = None
    most_missing: float | None = None
    most_outside: float | None = None
    most_stale_s: float | None = None
    when_cheaper: bool = False
    then: str
    cost: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTerms:
    """What is decided, about what, and when the truth becomes known.

    Attributes:
        label: The column that holds the truth, in the decision source or a label source.
        positive: The class that a binary product looks for, as text.
        classes: Every class as text, in a fixed order; empty means "as seen in training".
        actions: The action that is right for each class, in the order of `classes`; a
            regression product has the single action `predict`.
        label_delay_s: After how long a label is expected; younger rows are immature.
        fallback: The action taken when no model can answer.
    """

    task: Task
    unit: str
    label: str
    positive: str | None = None
    classes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    label_delay_s: float = 0.0
    capacity: Capacity | None = None
    abstain: Abstention | None = None
    fallback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEntry:
    """What taking `action` costs when the truth is the class `truth`.

    `cost` is a number or an expression over the row's columns (`amount + 5`); a
    negative cost is the value of a right decision. `name` is the entry's path under
    `costs`, such as `false_negative` or `errors.2`.
    """

    name: str
    action: str
    truth: str
    cost: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTerms:
    """What each kind of error really costs.

    Attributes:
        entries: Classes and actions: the cells that the team named.
        otherwise: The cost of every wrong cell that it did not name; right cells cost 0.
        error: Regression: the cost of one row, an expression that may use `truth`,
            `prediction` and `error` (prediction - truth) besides the row's columns.
    """

    currency: str = "units"
    entries: tuple[CostEntry, ...] = ()
    otherwise: str = "1"
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A simpler way of deciding that the product must beat.

    Attributes:
        name: How clauses refer to it: the built-in `always-<action>`, `most-frequent`,
            `mean`, `last-label`, `simplest-model`, or a rule of the team's own.
        rule: For a rule: an expression over columns; true (or a number, for regression)
            takes `action`, false the action of the other class.
        action: For a rule: the action taken where it is true.
    """

    name: str
    rule: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """What the numbers in the budget's clauses are measured against, and what keeping them may cost.

    Attributes:
        margin: How much dearer a smaller variant's decisions may be than the whole model's, as a share
            of what those cost: what a variant has to prove.
    """

    device: str = ""
    load_per_s: float = 1.0
    core_hour_price: float = 0.05
    margin: float = 0.05


class FieldType(StrEnum):
    """The type of a column, in ODCS's logical words."""

    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    OBJECT = "object"
    TEXT = "text"


class Missing(StrEnum):
    """What a missing value means."""

    UNKNOWN = "unknown"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTerms:
    """What one column must look like.

    Attributes:
        required: A row without it is bad.
        path: Where the value stands in a nested row, such as `$.card.id`; the name if None.
        feature: Whether the model may use it; keys, times and labels are never features.
        sensitive: Whether it says something about a person that must be handled with care.
        known_after_s: How long after the decision the value becomes known, 0 where it is known by
            then; None where nobody has said.
        refers_to: The source and column, such as `customers.id`, in which every value must stand.
        file_digest: The column with the SHA-256 of the file (an image, a document) that the value
            names by path or URI; None where it names no file.
    """

    name: str
    type: FieldType
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    pattern: str | None = None
    unique: bool = False
    unit: str = ""
    description: str = ""
    path: str | None = None
    missing: Missing = Missing.UNKNOWN
    feature: bool = True
    sensitive: bool = False
    known_after_s: float | None = None
    refers_to: str | None = None
    file_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvTerms:
    """How a source's CSV files are written; None where the file itself must leave no doubt.

    Attributes:
        separator: What stands between values.
        decimal: The decimal sign, `.` or `,`.
        thousands: What groups the digits of large numbers, such as `.`; empty for nothing.
        encoding: Such as `utf-8` or `cp1252`.
        dates: How days and times are written, as strftime has it, such as `%d.%m.%Y`.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    dates: str | None = None


class SourceKind(StrEnum):
    """What the rows of a source are."""

    DECISIONS = "decisions"
    EVENTS = "events"
    LABELS = "labels"


class BadRow(StrEnum):
    """What is done with a row that breaks the contract."""

    QUARANTINE = "quarantine"
    REFUSE_BATCH = "refuse-batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTerms:
    """One source of rows.

    Attributes:
        kind: Rows to decide about, events that features are made of, or late labels. The
            decision source is an event source too.
        key: The column that names a row; a row with a known key is a duplicate.
        event_time: The column with the time at which it happened; None takes the arrival.
        arrival_time: The column with the time at which it was seen; None takes the ingest.
        decision_key: Labels: the column that names the decision row they belong to.
        freshness_s: The longest silence that is still normal; None is not watched.
        rows_per_day: The least daily volume that is still normal; None is not watched.
        location: Where batches usually come from, relative to the product's folder.
        every_column_listed: Whether `fields` names every column of its rows.
        clock_ahead_s: By how much a row may have happened later than it arrived.
        rules: Conditions in SQL that every row must meet, by name.
        csv: How its CSV files are written, where the team has said it.
    """

    name: str
    kind: SourceKind
    key: str
    event_time: str | None = None
    arrival_time: str | None = None
    decision_key: str | None = None
    fields: tuple[FieldTerms, ...] = ()
    freshness_s: float | None = None
    rows_per_day: float | None = None
    on_bad_row: BadRow = BadRow.QUARANTINE
    location: str | None = None
    every_column_listed: bool = False
    clock_ahead_s: float = 86_400.0
    rules: tuple[tuple[str, str], ...] = ()
    csv: CsvTerms | None = None

    def field(self, name: str) -> FieldTerms | None:
        """The field *name*, or None where the contract does not know it."""
        return next((terms for terms in self.fields if terms.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTerms:
    """Sources, and how training rows are kept apart.

    Attributes:
        group: The column whose values must not be split across pools (a patient, a card).
        time_split: Whether later rows judge what earlier rows trained.
        shares: Of rows for the pools `search`, `select` and `verdict`.
    """

    sources: tuple[SourceTerms, ...]
    group: str | None = None
    time_split: bool = False
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2)

    def source(self, name: str) -> SourceTerms | None:
        """The source *name*, or None."""
        return next((source for source in self.sources if source.name == name), None)

    @property
    def decisions(self) -> SourceTerms:
        """The source whose rows are decided about; the contract room makes sure there is one."""
        return next(source for source in self.sources if source.kind is SourceKind.DECISIONS)

    @property
    def labels(self) -> SourceTerms | None:
        """The source of late labels, or None where the decision rows carry the label."""
        return next((source for source in self.sources if source.kind is SourceKind.LABELS), None)


class Cause(StrEnum):
    """What an incident can come from; each cause has an owner."""

    FEED = "feed"
    COLUMN = "column"
    LABEL_FEED = "label-feed"
    POPULATION = "population"
    CONCEPT = "concept"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringTerms:
    """How often the team tolerates a false alarm, and what change matters to it.

    Attributes:
        false_alarm_alpha: The probability that an alarm *ever* rings while nothing is
            wrong (a page).
        false_alarm_every_s: The mean time between false triggers of retraining.
        smallest_change: The relative rise of expected cost that matters.
        window_s: The current window of drift checks.
        owners: Who is called for which cause.
    """

    false_alarm_alpha: float = 0.01
    false_alarm_every_s: float = 365 * 86_400.0
    smallest_change: float = 0.1
    window_s: float = 7 * 86_400.0
    owners: tuple[tuple[Cause, Role], ...] = ()

    def owner(self, cause: Cause) -> Role:
        """Who is called for *cause*; engineering where the contract does not say."""
        return dict(self.owners).get(cause, Role.ENGINEERING)


class RetrainingAction(StrEnum):
    """How far an automatic retraining may go without a person."""

    PROPOSE = "propose"
    SHADOW = "shadow"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingTerms:
    """When a new model is trained by itself, on what, and when that must be refused.

    Attributes:
        refit_cost: What one retraining costs, in the contract's currency: begin one where more is
            expected to be lost before the next could begin. None leaves this rule out.
        margin: The share of its cost by which a challenger that the calendar asked for may be dearer.
    """

    on_alarm: bool = True
    every_s: float | None = None
    refit_cost: float | None = None
    window_s: float | None = None
    margin: float = 0.05
    trials: int = 10
    action: RetrainingAction = RetrainingAction.PROPOSE
    cool_down_s: float = 7 * 86_400.0
    most_quarantined: float = 0.05
    fewest_labels: int = 200
    fewest_per_class: int = 20


class RolloutKind(StrEnum):
    """Shadow decides beside the champion and acts on nothing; canary acts on a share."""

    SHADOW = "shadow"
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStep:
    """One step of a rollout: a share of traffic for at least `bake_s`."""

    kind: RolloutKind
    share: float
    bake_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTerms:
    """Who must sign, the steps of a rollout, and which clauses abort it when broken."""

    sign: tuple[Role, ...] = (Role.PRODUCT, Role.DOMAIN, Role.ENGINEERING, Role.SCIENCE)
    rollout: tuple[RolloutStep, ...] = ()
    abort_on: tuple[str, ...] = ()
    two_roles_one_person: bool = False
    retrained_sign: tuple[Role, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One leaf of the contract's text that is not a clause: its path, value and owner.

    Terms let a diff speak of everything that the team wrote. `tighter_when` says in
    which direction a number asks more: `higher`, `lower`, or None where neither does.
    """

    path: str
    value: str
    owner: Role
    tighter_when: str | None = None
    mark: Mark | None = field(default=None, compare=False, metadata={"digest": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One contract, whole life: everything else is compiled from it and checked against it."""

    product: ProductTerms
    decision: DecisionTerms
    team: tuple[tuple[Role, tuple[str, ...]], ...]
    costs: CostTerms | None = None
    baselines: tuple[Baseline, ...] = ()
    budget: BudgetTerms | None = None
    data: DataTerms | None = None
    monitoring: MonitoringTerms | None = None
    retraining: RetrainingTerms | None = None
    release: ReleaseTerms | None = None
    clauses: tuple[Clause, ...] = ()
    terms: tuple[Term, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The digest of its content; line numbers and comments are not part of it."""
        return digest(self)

    def clause(self, path: str) -> Clause | None:
        """The clause at *path*, or None."""
        return next((clause for clause in self.clauses if clause.path == path), None)

    def holders(self, role: Role) -> tuple[str, ...]:
        """The people who hold *role*."""
        return dict(self.team).get(role, ())

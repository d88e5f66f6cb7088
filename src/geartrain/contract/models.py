"""What people write in `product.yaml`: product, decision, costs, data and the running of it.

These models know the shape only: which keys there are, of which type, with which
numbers. What the sections mean together is checked in `compiling` and `contradicting`.
The JSON Schema for editors is generated from here: the docstrings are its help text.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from geartrain.contract.promises import (
    AtLeastPromise,
    BudgetText,
    DurationPromise,
    FairnessText,
    IntegrityText,
    PlausibilityText,
    SharePromise,
    SuccessText,
)
from geartrain.contract.scalars import (
    AsText,
    ColumnName,
    Cost,
    Duration,
    Number,
    OneOrMore,
    PositiveDuration,
    RoleName,
    Section,
    Share,
    Slug,
    Words,
    wrong,
)
from geartrain.domain.contract import BadRow, Cause, FieldType, Missing, RetrainingAction, SourceKind

Texts = Annotated[list[Words], OneOrMore()]
Roles = Annotated[list[RoleName], Field(min_length=1), OneOrMore()]
Whole = Annotated[int, Field(ge=1)]


class ProductText(Section):
    """The problem in plain words, before any model."""

    name: Slug
    """The product's short name: it names folders, streams and URLs."""
    title: Words
    """The name that people read."""
    problem: Words
    """What decision is hard today, in plain words."""
    serves: Words = ""
    """Who is better off."""
    intended_use: Texts = Field(default_factory=list)
    """What it may be used for."""
    out_of_scope: Texts = Field(default_factory=list)
    """What it must not be used for."""
    without_it: Words = ""
    """What happens today, without the product."""


class CapacityText(Section):
    """How many decisions can be acted on in a period."""

    action: AsText
    """The action that takes people's time."""
    most: Whole
    """How many can be taken in a period."""
    per: PositiveDuration
    """The period."""
    entity: ColumnName | None = None
    """The column whose distinct values are counted; rows where it is left out."""


class AbstainText(Section):
    """When the model must not decide, and what then happens."""

    below_confidence: Share | None = None
    """Abstain where the likeliest class is less probable than this."""
    most_missing: Share | None = None
    """Abstain where a larger share of the features is missing."""
    most_outside: Share | None = None
    """Abstain where a larger share of the features lies outside of what the release's reference rows span."""
    most_stale: Duration | None = None
    """Abstain where the features' feeds have been silent for longer."""
    when_cheaper: bool = False
    """Abstain where handing over costs less than the best action is expected to."""
    then: Words
    """The action that stands in, such as a person or a rule."""
    cost: Cost | None = None
    """What an abstention costs: the person's time, the delay."""

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        limits = (self.below_confidence, self.most_missing, self.most_outside, self.most_stale)
        if all(limit is None for limit in limits) and not self.when_cheaper:
            raise wrong(
                "nothing says when to abstain",
                expected="below_confidence, most_missing, most_outside, most_stale or when_cheaper",
            )
        if self.cost is None:
            raise wrong(
                "nothing says what an abstention costs; were it free, a model that never decides would cost least",
                expected="cost: a number or an expression, 0 where it really is free",
            )
        return self


class DecisionText(Section):
    """What is decided, about what, and when the truth becomes known."""

    task: Literal["binary", "multiclass", "regression"]
    """The kind of answer."""
    unit: Words
    """What one decision is about, such as one payment."""
    label: ColumnName
    """The column that holds the truth."""
    positive: AsText | None = None
    """Binary: the class that the product looks for."""
    negative: AsText | None = None
    """Binary: the other class; not needed where `actions` or `classes` name it."""
    classes: Annotated[list[AsText], Field(min_length=2)] | None = None
    """Every class; not needed where `actions` names them."""
    actions: dict[str, AsText] | None = None
    """For each class, the action that is right; the classes themselves where left out."""
    label_delay: Duration | None = None
    """After how long the truth is expected."""
    capacity: CapacityText | None = None
    abstain: AbstainText | None = None
    fallback: Words = ""
    """The action taken when no model can answer."""


class CostCellText(Section):
    """What one action costs when the truth is one class."""

    truth: AsText
    """The true class."""
    action: AsText | None = None
    """The action taken."""
    decided: AsText | None = None
    """The class decided for, in place of `action`."""
    cost: Cost

    @model_validator(mode="after")
    def _has_one_cell(self) -> Self:
        if (self.action is None) == (self.decided is None):
            raise wrong("which decision does this cost?", expected="either `action:` or `decided:`")
        return self


class CostsText(Section):
    """What each kind of error really costs; a negative cost is the value of a right decision."""

    currency: Words = "units"
    """What costs are counted in."""
    false_negative: Cost | None = None
    """Binary: a missed positive."""
    false_positive: Cost | None = None
    """Binary: a false alarm."""
    true_positive: Cost | None = None
    """Binary: a positive that was found."""
    true_negative: Cost | None = None
    """Binary: a negative that was left alone."""
    errors: list[CostCellText] = Field(default_factory=list)
    """Any classes: the cells that have a cost of their own."""
    otherwise: Cost | None = None
    """The cost of every error that is not named; 1 where left out."""
    error: Cost | None = Field(default=None, examples=["abs(error)", "max(error, -3 * error)"])
    """Regression: the cost of one row, from `truth`, `prediction` and `error` (prediction - truth)."""


class SplitText(Section):
    """How training rows are kept apart."""

    shares: Annotated[list[Share], Field(min_length=3, max_length=3)] | None = None
    """The shares of rows to search with, to select with, and to judge with once."""
    group: ColumnName | None = None
    """The column whose values must not be split, such as a patient."""
    by_time: bool = False
    """Whether later rows judge what earlier rows trained."""


class FieldText(Section):
    """What one column must look like."""

    type: Annotated[FieldType, Field(strict=False)]
    required: bool = False
    """Whether a row without it is bad."""
    min: Number | None = None
    """The smallest allowed value."""
    max: Number | None = None
    """The largest allowed value."""
    values: Annotated[list[AsText], Field(min_length=1)] | None = None
    """The allowed values."""
    pattern: Words | None = None
    """A regular expression that the whole text must match."""
    unique: bool = False
    """Whether a value may stand in one row only."""
    unit: Words = ""
    """The unit of the number, such as EUR or mm."""
    description: Words = ""
    path: Words | None = None
    """Where the value stands in a nested row, such as $.card.id."""
    missing: Annotated[Missing, Field(strict=False)] = Missing.UNKNOWN
    """What a missing value means: `signal` where it says something in itself."""
    feature: bool | None = None
    """Whether the model may use it; keys, times and labels never are."""
    sensitive: bool = False
    """Whether it says something about a person that must be handled with care."""
    known_after: Duration | None = None
    """How long after the decision its value becomes known; 0 days where it is known by then."""
    refers_to: Annotated[str, Field(pattern=r"^[^.]+\..+$", examples=["customers.id"])] | None = None
    """The source and column in which every value must stand, such as customers.id."""
    file_digest: ColumnName | None = None
    """The column with the SHA-256 of the file (an image, a document) that the value names by path or URI."""


class CsvText(Section):
    """How a source's CSV files are written, where they leave a doubt."""

    separator: Annotated[Literal[",", ";", "\t", "|"], Field(examples=[";"])] | None = None
    """What stands between values."""
    decimal: Literal[".", ","] | None = None
    """The decimal sign."""
    thousands: Literal[".", ",", " ", "'"] | None = None
    """What groups the digits of large numbers."""
    encoding: Literal["utf-8", "latin-1", "cp1252", "utf-16"] | None = None
    """How characters are written as bytes."""
    dates: Annotated[Words, Field(examples=["%d.%m.%Y"])] | None = None
    """How days and times are written, as strftime has it."""


class SourceText(Section):
    """One source of rows."""

    kind: Annotated[SourceKind, Field(strict=False)]
    """Rows to decide about, events that features are made of, or late labels."""
    key: ColumnName
    """The column that names a row."""
    event_time: ColumnName | None = None
    """The column with the time at which it happened; the arrival where left out."""
    arrival_time: ColumnName | None = None
    """The column with the time at which it was seen; the ingest where left out."""
    decision_key: ColumnName | None = None
    """Labels: the column that names the decision row."""
    location: Words | None = None
    """Where batches usually come from, relative to the product's folder."""
    freshness: DurationPromise | None = None
    """The longest silence that is still normal."""
    rows_per_day: AtLeastPromise | None = None
    """The least daily volume that is still normal."""
    most_quarantined: SharePromise | None = None
    """The largest share of bad rows in a batch that is still normal."""
    on_bad_row: Annotated[BadRow, Field(strict=False)] = BadRow.QUARANTINE
    """What is done with a bad row."""
    every_column_listed: bool = False
    """Whether `fields` names every column; then an expression may use no other."""
    clock_ahead: Duration | None = None
    """By how much a row may have happened later than it arrived; 1 day where left out."""
    rules: dict[Slug, Words] = Field(default_factory=dict)
    """Conditions in SQL that every row must meet, by name, such as `amount >= fee`."""
    csv: CsvText | None = None
    """How its CSV files are written, where they leave a doubt."""
    fields: dict[str, FieldText] = Field(default_factory=dict)
    """The columns; those not named here are allowed and kept."""


class DataText(Section):
    """Sources and their columns, and how training rows are kept apart."""

    split: SplitText | None = None
    sources: Annotated[dict[Slug, SourceText], Field(min_length=1)]


class FalseAlarmsText(Section):
    """How often the team tolerates an alarm about nothing."""

    ever: Annotated[Share, Field(gt=0, lt=1)] = 0.01
    """The probability that an alarm ever rings while nothing is wrong."""
    every: PositiveDuration | None = None
    """The mean time between false triggers of retraining."""


class MonitoringText(Section):
    """What change matters, and who is called for which cause."""

    false_alarms: FalseAlarmsText | None = None
    smallest_change: Annotated[Number, Field(gt=0)] | None = None
    """The relative rise of expected cost that matters."""
    window: PositiveDuration | None = None
    """The current window of drift checks."""
    owners: dict[Annotated[Cause, Field(strict=False)], RoleName] = Field(default_factory=dict)
    """Who is called for which cause."""


class RefusalText(Section):
    """When an automatic retraining must not happen."""

    quarantined_above: Share | None = None
    """A larger share of the rows is in quarantine."""
    fewer_labels_than: Annotated[int, Field(ge=0)] | None = None
    fewer_per_class_than: Annotated[int, Field(ge=0)] | None = None


class RetrainingText(Section):
    """When a new model is trained by itself, and how far it may go without a person."""

    on_alarm: bool = True
    every: PositiveDuration | None = None
    """Also on a schedule."""
    refit_costs: Annotated[Number, Field(gt=0)] | None = None
    """Also where more than this is expected to be lost until the next one could begin: what one costs."""
    window: PositiveDuration | None = None
    """How far back the rows reach; all of them where left out."""
    trials: Whole | None = None
    """How many settings are tried."""
    action: Annotated[RetrainingAction, Field(strict=False)] = RetrainingAction.PROPOSE
    """propose: people decide; shadow: it runs beside; promote: the gates and tests decide."""
    cool_down: Duration | None = None
    """The shortest time between two retrainings."""
    margin: Annotated[Share, Field(lt=1)] | None = None
    """The share of its cost by which a model that the calendar asked for may be dearer."""
    refuse_when: RefusalText | None = None


class RolloutText(Section):
    """One step of a rollout."""

    shadow: PositiveDuration | None = None
    """For how long the model decides beside the champion and acts on nothing."""
    canary: Annotated[Share, Field(gt=0)] | None = None
    """The share of traffic that the model acts on."""
    bake: PositiveDuration | None = None
    """For how long a canary runs before the next step."""

    @model_validator(mode="after")
    def _is_one_step(self) -> Self:
        if (self.shadow is None) == (self.canary is None) or (
            self.shadow is not None and self.bake is not None
        ):
            raise wrong(
                "a step is either a shadow or a canary",
                expected="{shadow: 7 days} or {canary: 0.1, bake: 3 days}",
            )
        if self.canary is not None and self.bake is None:
            raise wrong("a canary needs time to bake", expected="{canary: 0.1, bake: 3 days}")
        return self


class ReleaseText(Section):
    """Who must sign, and how a release reaches everyone."""

    sign: Roles | None = None
    """The roles that sign a release; all four where left out."""
    retrained_sign: Annotated[list[RoleName], OneOrMore()] | None = None
    """The roles that sign an automatic retraining; the same where left out."""
    two_roles_one_person: bool = False
    """Whether one person may sign for two roles."""
    rollout: list[RolloutText] = Field(default_factory=list)
    abort_on: Texts = Field(default_factory=list)
    """The clauses that stop a rollout when they are broken."""


class ContractText(Section):
    """The contract of a product: what the team promised each other, and why."""

    geartrain: Literal[1] = 1
    """The version of this grammar."""
    product: ProductText
    decision: DecisionText
    costs: CostsText | None = None
    success: SuccessText | None = None
    budget: BudgetText | None = None
    data: DataText | None = None
    plausibility: dict[Slug, PlausibilityText] | None = None
    """What must be true if the model has learned the right thing."""
    fairness: dict[Slug, FairnessText] | None = None
    """Between which groups the product must not differ, and why."""
    integrity: IntegrityText | None = None
    """What is said differently about the checks against leakage, which hold without being written."""
    monitoring: MonitoringText | None = None
    retraining: RetrainingText | None = None
    release: ReleaseText | None = None
    team: Annotated[dict[RoleName, Texts], Field(min_length=1)]
    """The roles and who holds them."""

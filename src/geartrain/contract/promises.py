"""What people write for promises: the clauses of success, budget, data, plausibility and fairness.

Every promise may say its owner, severity, reason and stages; where it is silent, its
section's defaults hold. A bare number or quantity is short for its bound.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from geartrain.contract.metrics import METRICS
from geartrain.contract.scalars import (
    AsText,
    ColumnName,
    Condition,
    Grouping,
    Number,
    OneOrMore,
    PositiveDuration,
    Rate,
    Reason,
    RoleName,
    Section,
    Share,
    Size,
    Slug,
    Words,
    nearest_of,
    wrong,
)
from geartrain.domain.clause import Severity, Stage

Columns = Annotated[list[ColumnName], Field(min_length=1), OneOrMore()]


class Definition(StrEnum):
    """What "the same for both groups" means."""

    DEMOGRAPHIC_PARITY = "demographic_parity"
    EQUAL_OPPORTUNITY = "equal_opportunity"
    EQUALISED_ODDS = "equalised_odds"
    PREDICTIVE_PARITY = "predictive_parity"
    COST_PARITY = "cost_parity"
    CALIBRATION_WITHIN_GROUPS = "calibration_within_groups"


class Promise(Section):
    """What every promise may say besides its bound."""

    owner: RoleName | None = None
    """The role that answers for it."""
    severity: Annotated[Severity, Field(strict=False)] = Severity.BLOCK
    """block: no release without a waiver; warn: it is said, and that is all."""
    because: Reason = ""
    """The reason in plain words."""
    stages: Annotated[list[Annotated[Stage, Field(strict=False)]], Field(min_length=1)] | None = None
    """When it is checked; the section's usual stages where left out."""


class BarePromise(Promise):
    """A promise that may be written as its bound alone."""

    bare: ClassVar[str] = "at_most"

    @model_validator(mode="before")
    @classmethod
    def _from_bound(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {cls.bare: value}


class DurationPromise(BarePromise):
    """At most so long."""

    model_config = ConfigDict(json_schema_extra={"x-bare": "at_most"})
    at_most: PositiveDuration


class SizePromise(BarePromise):
    """At most so large."""

    model_config = ConfigDict(json_schema_extra={"x-bare": "at_most"})
    at_most: Size


class SharePromise(BarePromise):
    """At most such a share."""

    model_config = ConfigDict(json_schema_extra={"x-bare": "at_most"})
    at_most: Share


class MoneyPromise(BarePromise):
    """At most so much money."""

    model_config = ConfigDict(json_schema_extra={"x-bare": "at_most"})
    at_most: Annotated[Number, Field(gt=0)]


class AtLeastPromise(BarePromise):
    """At least so many."""

    bare: ClassVar[str] = "at_least"
    model_config = ConfigDict(json_schema_extra={"x-bare": "at_least"})
    at_least: Annotated[Number, Field(gt=0)]


def _known_metric(value: Any) -> Any:
    if isinstance(value, str) and value not in METRICS:
        raise wrong(f"there is no metric `{value}`", expected=nearest_of(value, tuple(METRICS)))
    return value


class SuccessClause(Promise):
    """A metric with a bound, over all rows or a slice, alone or against a baseline."""

    metric: (
        Annotated[str, BeforeValidator(_known_metric), Field(json_schema_extra={"enum": [*METRICS]})] | None
    ) = None
    """What is measured; the clause's own name where left out."""
    at_most: Number | None = None
    at_least: Number | None = None
    relative_to: Words | None = None
    """The baseline that the bound is a fraction of."""
    where: Condition | None = None
    """The slice, as an expression over columns."""
    of_class: Annotated[AsText | None, Field(alias="class")] = None
    """For metrics of one class: which."""
    k: Annotated[int, Field(ge=1)] | None = None
    """Metrics of a capacity: how many cases; the decision's capacity where left out."""
    period: PositiveDuration | None = None
    """Metrics of a capacity: the time in which they fall."""
    entity: ColumnName | None = None
    """Metrics of a capacity: the column whose distinct values are counted."""
    known: ColumnName | None = None
    """precision_at_capacity: the column that says which entities were known before and are not looked at."""
    bins: Annotated[int, Field(ge=2, le=100)] | None = None
    """calibration_error: how many bins."""

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            said = "promises nothing" if self.at_most is None else "has two bounds"
            raise wrong(said, expected="either `at_most:` or `at_least:` with a number")
        return self


class BaselineText(Section):
    """A simpler way of deciding that the product must beat."""

    rule: Condition | None = None
    """An expression: where it is true the rule takes `action`; a number for regression."""
    action: AsText | None = None
    """The action taken where the rule is true."""


class SuccessText(Section):
    """What success looks like; every key but `baselines` is a clause."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SuccessClause]
    baselines: dict[Slug, BaselineText] = Field(default_factory=dict)
    """Rules to beat; always-<action>, most-frequent, mean, last-label and simplest-model are always there."""

    @property
    def clauses(self) -> dict[str, SuccessClause]:
        """Every clause by its name."""
        return self.__pydantic_extra__


class BudgetText(Section):
    """What the product may take: time, space and money, on a named machine."""

    device: Words = ""
    """The machine that it must run on."""
    load: Rate | None = None
    """The traffic under which latency is promised."""
    core_hour: Annotated[Number, Field(ge=0)] | None = None
    """What one hour of one core costs."""
    currency: Words = ""
    """What money is counted in here."""
    margin: Annotated[Share, Field(lt=1)] | None = None
    """How much dearer the decisions of a smaller model may be than those of the whole one."""
    latency_p50: DurationPromise | None = None
    """Half of the answers come within this time."""
    latency_p99: DurationPromise | None = None
    """99 of 100 answers come within this time."""
    artifact_size: SizePromise | None = None
    """The size of the model on disk."""
    memory: SizePromise | None = None
    """The memory that the loaded model takes."""
    cost_per_million: MoneyPromise | None = None
    """The money for a million decisions."""
    fallback_rate: SharePromise | None = None
    """The share of decisions that the model could not take, so that a fallback did. Known on live traffic only."""


class KnownCase(Section):
    """One row whose right answer everyone agrees on, or a change that must leave or move the answer."""

    row: Annotated[dict[str, Any], Field(min_length=1)]
    """The columns that matter; the others are typical."""
    action: AsText | None = None
    """Classes: the action that must be taken."""
    between: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None
    """Regression: where the predicted value must lie."""
    change: Annotated[dict[str, Any], Field(min_length=1)] | None = None
    """The columns that are changed, each with its other value; `then` says what that must do."""
    then: Literal["same", "rises", "falls"] | None = None
    """After the change: the decision is the same, or the answer rises or falls."""
    because: Reason = ""

    @model_validator(mode="after")
    def _has_one_answer(self) -> Self:
        if (self.change is None) != (self.then is None):
            raise wrong(
                "a change and what must come of it belong together",
                expected="`change: {column: value}` and `then: same`, `rises` or `falls`",
            )
        if sum(one is not None for one in (self.action, self.between, self.change)) != 1:
            raise wrong(
                "what is the right answer?",
                expected="`action:`, or `between: [low, high]` for a value, or `change:` and `then:`",
            )
        if self.between is not None and self.between[0] > self.between[1]:
            raise wrong("the low end lies above the high end", expected="between: [low, high]")
        return self


KINDS = (
    "rises_with",
    "falls_with",
    "forbidden",
    "largest_share",
    "proxy_of",
    "stable_across",
    "invariant_to",
    "cases",
    "earns_its_place",
    "robust_to",
)
#: Kinds for which nobody can guess how much is too much.
_NEED_A_BOUND = ("proxy_of", "stable_across", "robust_to")


class RobustText(Section):
    """What goes wrong with one column on its way to the model; exactly one of the five."""

    missing: ColumnName | None = None
    """Its value stays away."""
    noise: ColumnName | None = None
    """Its value trembles by a quarter of its spread."""
    unit: ColumnName | None = None
    """Its value comes a thousand times too large, in another unit."""
    unseen: ColumnName | None = None
    """Its value is one that nobody has seen."""
    swapped: Annotated[list[ColumnName], Field(min_length=2, max_length=2)] | None = None
    """Two columns change places."""
    share: Annotated[Share, Field(gt=0)] = 1.0
    """In which share of the rows it happens; in all where left out."""

    @property
    def corruption(self) -> str:
        """Which of the five it is."""
        return next(kind for kind in CORRUPTIONS if getattr(self, kind) is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, or the two that change places."""
        named = getattr(self, self.corruption)
        return (named,) if isinstance(named, str) else tuple(named)

    @model_validator(mode="after")
    def _is_one_corruption(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in CORRUPTIONS) != 1:
            raise wrong("what goes wrong?", expected="exactly one of " + ", ".join(CORRUPTIONS))
        return self


CORRUPTIONS = ("missing", "noise", "unit", "unseen", "swapped")


class PlausibilityText(Promise):
    """One thing that must be true if the model has learned the right thing; exactly one kind."""

    rises_with: ColumnName | None = None
    """The answer must not fall when this column rises."""
    falls_with: ColumnName | None = None
    """The answer must not rise when this column rises."""
    forbidden: Columns | None = None
    """Columns that must not be used."""
    largest_share: Share | None = None
    """The largest share of the explanation that one column may have."""
    proxy_of: ColumnName | None = None
    """The answer must not give this column away; `at_most` bounds the AUC with which it does."""
    stable_across: ColumnName | None = None
    """What the model relies on works alike for every value of this column; `at_most` bounds by how much
    of itself an effect may differ, 0.3 being three tenths. A proven opposite effect counts as 1."""
    invariant_to: ColumnName | None = None
    """The answer must not change with this column."""
    cases: Annotated[list[KnownCase], Field(min_length=1)] | None = None
    """Rows whose right answer everyone agrees on, and changes that must leave or move the answer."""
    earns_its_place: Columns | None = None
    """Columns that must carry more than the same column would by luck; `at_most` bounds that chance."""
    robust_to: RobustText | None = None
    """The cost must not rise by more than `at_most` of itself when this goes wrong."""
    at_most: Annotated[Number, Field(ge=0)] | None = None
    """The share of violations that is tolerated; 0 where left out (0.05 for `earns_its_place`)."""
    where: Condition | None = None
    """The slice, as an expression over columns."""

    @property
    def kind(self) -> str:
        """Which of the kinds it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        said = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(said) != 1:
            message = "says two things at once" if said else "does not say what must be true"
            raise wrong(message, expected="exactly one of " + ", ".join(KINDS))
        if said[0] in _NEED_A_BOUND and self.at_most is None:
            raise wrong(f"`{said[0]}` needs a bound", expected="at_most: 0.6")
        if said[0] == "largest_share" and self.at_most is not None:
            raise wrong("`largest_share` is itself the bound", expected="no `at_most` beside it")
        return self


class FairnessText(Promise):
    """Between which groups the product must not differ, by which definition, and why that one."""

    groups: Annotated[list[Grouping], Field(min_length=1), OneOrMore()]
    """The column, or an expression, whose values are the groups; several are crossed."""
    definition: Annotated[Definition, Field(strict=False)]
    """Which quantity must be alike."""
    at_most: Share | None = None
    """The largest difference that is tolerated."""
    at_least: Share | None = None
    """In place of `at_most`: the smallest ratio of two groups' values that is tolerated."""
    smallest_group: Annotated[int, Field(ge=1)] = 30
    """Smaller groups are not judged, and that is said."""
    because: Reason = Field(...)
    """Why this definition and this tolerance."""
    mitigations: list[Literal["reweighing", "thresholds", "constraints"]] = Field(default_factory=list)
    """What training may do to keep it."""

    @property
    def bound(self) -> float:
        """The number that is promised, whichever way it is meant."""
        limit = self.at_most if self.at_least is None else self.at_least
        assert limit is not None
        return limit

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            said = "promises nothing" if self.at_most is None else "has two bounds"
            raise wrong(said, expected="either `at_most:` (a difference) or `at_least:` (a ratio)")
        if self.at_least is not None and self.definition is Definition.CALIBRATION_WITHIN_GROUPS:
            raise wrong("calibration looks at each group alone and has no ratio", expected="at_most: 0.05")
        return self


class IntegrityPromise(BarePromise):
    """How much of a leak is tolerated, and why."""

    model_config = ConfigDict(json_schema_extra={"x-bare": "at_most"})
    at_most: Share | None = None
    """The share that is tolerated; the check's own default where left out."""

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if (self.at_most or getattr(self, "accept", None)) and not self.because:
            raise wrong("why may this pass?", expected="because: the reason in plain words")
        return self


class AcceptingPromise(IntegrityPromise):
    """The same, for single columns that an expert has looked at."""

    accept: Columns | None = None
    """Columns that may be as they are, for the reason that `because` gives."""


class IntegrityText(Section):
    """The checks against leakage. All hold without being written; here the team says what it sees differently."""

    duplicates: IntegrityPromise | None = None
    """The share of judged rows that stand, label and all, among the rows that were learned from."""
    near_duplicates: IntegrityPromise | None = None
    """The same for texts and images that are nearly equal."""
    groups: AcceptingPromise | None = None
    """The share of judged rows about somebody that was learned from too."""
    time: IntegrityPromise | None = None
    """The share of rows that were learned from before their truth was known."""
    availability: Promise | None = None
    """Features that read a column which is known only after the decision."""
    target_proxy: AcceptingPromise | None = None
    """Columns that give the truth away."""
    preprocessing: Promise | None = None
    """Parts of the model that saw other rows than those to learn from."""
    sampling: IntegrityPromise | None = None
    """The AUC with which rows learned from and rows judged can be told apart."""
    consistency: IntegrityPromise | None = None
    """The share of live decisions with a feature value that training would not compute, and nothing explains."""

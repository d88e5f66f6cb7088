"""Incident nouns: one incident, not fifty alerts, with a cause and an owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from geartrain.domain.contract import Cause
from geartrain.domain.finding import Measurement
from geartrain.domain.roles import Role

#: Cases since a change that can be told from earlier ones better than this are other cases.
APART = 0.55


class FirstAction(StrEnum):
    """What to do first."""

    REPAIR_FEED = "repair the feed and let the fallback decide"
    FALL_BACK = "let the fallback decide until answers come in time again"
    REPAIR_COLUMN = "repair the column at its source, then re-send the quarantined rows"
    REPAIR_LABELS = "repair the label feed"
    ROLL_BACK = "roll back to the previous release"
    RETRAIN = "retrain on what is known since the change"
    WATCH = "watch: the change does not reach the decisions"
    ASK_LABELS = "ask for labels of recent decisions"
    CHANGE_CONTRACT = "change the contract: what it allows is no longer what arrives"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that a monitor noticed.

    Attributes:
        about: The column, source or clause it speaks of.
        size: How large the change is, in the words of `measure`.
        evidence: An e-value: how strongly the data speak against "nothing changed";
            the chance that it ever reaches 1/alpha while nothing is wrong is at most alpha.
        since: The best estimate of when it began.
        owner: Who answers for what it is about, such as a clause's owner; None leaves that to the cause.
    """

    kind: str
    about: str
    measure: str
    size: float
    evidence: float
    since: datetime | None
    rows: int
    message: str
    owner: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSplit:
    """Why a mean cost changed, as far as rows can tell.

    Attributes:
        before: The mean cost of a decision before the change.
        total: How much more a decision costs since; None while too few truths are known.
        covariate: The part that comes from other cases than before.
        concept: The part that comes from the same cases ending otherwise; None as `total`.
        apart: How well the cases since can be told from those before, 0.5 for not at all (an AUC).
    """

    before: float
    total: Measurement | None
    covariate: Measurement
    concept: Measurement | None
    apart: Measurement

    @property
    def is_concept(self) -> bool:
        """Whether it is proven that the same cases end otherwise, at more cost."""
        return self.concept is not None and self.concept.low > 0

    @property
    def is_population(self) -> bool:
        """Whether other cases are proven to cost more, or to come at all, and a changed concept is not."""
        return not self.is_concept and (self.covariate.low > 0 or self.apart.low > APART)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Cases that the change falls on, in words that a domain expert reads.

    Attributes:
        words: Such as "`amount` is above 120 and `channel` is web".
        share: Of the cases since the change.
        before: Of the cases before it; None where that was not compared.
        more: How much more one of these cases costs than was to be expected of it; None where not known.
        where: The same as an expression over columns; empty where the language cannot say it.
    """

    words: str
    rows: int
    share: float
    before: float | None = None
    more: Measurement | None = None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A change with one cause, sent to the role that owns it.

    Attributes:
        signals: What was noticed, the strongest first; more signals of the same cause
            fold into the same incident.
        cost_per_day: What it costs more than before, in the contract's currency; None where
            neither truths nor probabilities tell.
        cost_basis: What that figure rests on.
        split: How much of the cost comes from other cases, and how much from another concept.
        segments: The cases that it falls on, the most affected first.
        side_change: What changed on the model's side at that time, in words; empty for nothing.
    """

    id: str
    product: str
    cause: Cause
    owner: Role
    opened_at: datetime
    began_at: datetime | None
    message: str
    first_action: FirstAction
    signals: tuple[Signal, ...]
    cost_per_day: float | None = None
    cost_basis: str = ""
    split: LossSplit | None = None
    segments: tuple[Segment, ...] = ()
    side_change: str = ""

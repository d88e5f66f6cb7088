"""Incident nouns: one incident, not fifty alerts, with a cause and an owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from geartrain.domain.contract import Cause
from geartrain.domain.roles import Role


class FirstAction(StrEnum):
    """What to do first."""

    REPAIR_FEED = "repair the feed and let the fallback decide"
    REPAIR_COLUMN = "repair the column at its source, then re-send the quarantined rows"
    REPAIR_LABELS = "repair the label feed"
    ROLL_BACK = "roll back to the previous release"
    RETRAIN = "retrain on what is known since the change"
    WATCH = "watch: the change does not reach the decisions"
    ASK_LABELS = "ask for labels of recent decisions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that a monitor noticed.

    Attributes:
        about: The column, source or clause it speaks of.
        size: How large the change is, in the words of `measure`.
        evidence: An e-value: how strongly the data speak against "nothing changed";
            the chance that it ever reaches 1/alpha while nothing is wrong is at most alpha.
        since: The best estimate of when it began.
    """

    kind: str
    about: str
    measure: str
    size: float
    evidence: float
    since: datetime | None
    rows: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A change with one cause, sent to the role that owns it.

    Attributes:
        signals: What was noticed, the strongest first; more signals of the same cause
            fold into the same incident.
        cost_per_day: What it costs more than tolerated, in the contract's currency, or
            None where no label tells yet.
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

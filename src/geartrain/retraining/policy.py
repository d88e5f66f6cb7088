"""Retrain now, wait, or refuse: never without a reason that a person can check.

An alarm or the schedule asks for a retraining; the facts may forbid it. Training on
quarantined data, immature labels or while a feed is broken teaches the model the fault;
judging with a spent holdout proves nothing; and where the previous release is cheaper,
rolling back is. All reasons are given at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from geartrain.domain.contract import Cause, RetrainingTerms
from geartrain.domain.incident import Incident, Signal

#: Open incidents of these causes mean that the newest rows cannot be trusted.
DATA_CAUSES = (Cause.FEED, Cause.COLUMN, Cause.LABEL_FEED)


class Occasion(StrEnum):
    """What asked for a retraining."""

    ALARM = "alarm"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when the question is asked.

    Attributes:
        live_since: When the champion went live; None without one.
        last_retraining: When the last one *began*, whatever came of it.
        alarm: The signal that asks for it, or None.
        mature_labels: Labels that a training may use.
        per_class: How many of them of each class of the contract; empty for regression.
        quarantined_share: Of the rows that arrived in the training window.
        verdicts_left: How often the sealed pool may still be opened; None is not limited.
        previous_is_cheaper: Whether the release before the champion would have cost less
            on recent labels; None where that is not known.
    """

    live_since: datetime | None
    last_retraining: datetime | None = None
    alarm: Signal | None = None
    mature_labels: int = 0
    per_class: tuple[tuple[str, int], ...] = ()
    quarantined_share: float = 0.0
    open_incidents: tuple[Incident, ...] = ()
    verdicts_left: int | None = None
    previous_is_cheaper: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A retraining should begin.

    Attributes:
        since: The estimate of when the change began, or None for the schedule.
    """

    occasion: Occasion
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A retraining was asked for and must not begin, with every reason."""

    occasion: Occasion
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "refused: " + "; ".join(self.reasons)


def should_retrain(terms: RetrainingTerms, facts: Facts, now: datetime) -> Trigger | Refusal | None:
    """Decide whether a retraining begins *now*; None where nothing asks for one."""
    trigger = _asked(terms, facts, now)
    if trigger is None:
        return None
    reasons = (*_too_soon(terms, facts, now), *_bad_data(terms, facts), *_better_not(facts))
    return Refusal(occasion=trigger.occasion, reasons=reasons) if reasons else trigger


def _asked(terms: RetrainingTerms, facts: Facts, now: datetime) -> Trigger | None:
    if terms.on_alarm and facts.alarm is not None:
        return Trigger(occasion=Occasion.ALARM, reason=facts.alarm.message, since=facts.alarm.since)
    started = max(
        (time for time in (facts.last_retraining, facts.live_since) if time is not None), default=None
    )
    if terms.every_s is None or started is None:
        return None
    due = started + timedelta(seconds=terms.every_s)
    if now < due:
        return None
    return Trigger(
        occasion=Occasion.SCHEDULE,
        reason=f"{_days(terms.every_s)} since {started:%Y-%m-%d %H:%M} UTC have passed",
    )


def _too_soon(terms: RetrainingTerms, facts: Facts, now: datetime) -> tuple[str, ...]:
    last = facts.last_retraining
    if last is None:
        return ()
    if last > now:
        return (f"the clock went back: the last retraining began at {last:%Y-%m-%d %H:%M} UTC, after now",)
    until = last + timedelta(seconds=terms.cool_down_s)
    return (f"cooling down until {until:%Y-%m-%d %H:%M} UTC",) if now < until else ()


def _bad_data(terms: RetrainingTerms, facts: Facts) -> tuple[str, ...]:
    reasons: list[str] = []
    if facts.mature_labels < terms.fewest_labels:
        reasons.append(
            f"labels immature: {facts.mature_labels:,} mature labels, {terms.fewest_labels:,} are needed"
        )
    thin = [f"{count:,} of `{name}`" for name, count in facts.per_class if count < terms.fewest_per_class]
    if thin:
        reasons.append(
            f"too few of a class: {', '.join(thin)}, {terms.fewest_per_class:,} are needed of each"
        )
    if not facts.quarantined_share <= terms.most_quarantined:
        reasons.append(
            f"{facts.quarantined_share:.1%} of the rows are in quarantine, at most"
            f" {terms.most_quarantined:.1%} may be; repair them first"
        )
    reasons.extend(
        f"the {one.cause} incident {one.id} is open: {one.message}"
        for one in facts.open_incidents
        if one.cause in DATA_CAUSES
    )
    return tuple(reasons)


def _better_not(facts: Facts) -> tuple[str, ...]:
    reasons: list[str] = []
    if facts.verdicts_left is not None and facts.verdicts_left < 1:
        reasons.append("the sealed holdout is spent: new labels must mature before another verdict")
    if facts.previous_is_cheaper:
        reasons.append("rolling back is cheaper: the previous release would have cost less on recent labels")
    return tuple(reasons)


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:.3g} days" if seconds >= 86_400 else f"{seconds / 3600:.3g} hours"

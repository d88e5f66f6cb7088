"""What live decisions really cost, against what was promised, once their labels are known.

A monitor is a frozen state: it takes the costs of matured decisions in their order and
holds a *page* (P(any false alarm, ever) <= alpha), a *trigger* for retraining (mean
rows between false triggers >= run_rows) and a confidence sequence for the contract's
live clauses. All three may be read after every row.

The tolerated level is an upper confidence bound from a reference period plus the
relative rise that the contract calls too small to matter. Half of alpha pays for the
reference being a sample. Assumes that, while all is well, costs come from a stationary
process whose mean is at most that level. Where the reference shows that neighbouring
rows are alike, each counts as less than a row in both alarms (`stats.dependence`); what
lasts longer than a twentieth of the reference is not seen there. The trigger's level sinks
as quiet rows show the mean more exactly (`stats.eprocess.Learning`); where every rise matters and
losses are 0 or 1 it needs none (`Unchanged`). The page's level never sinks.
Costs beyond the scale are cut and counted.
A share, such as the share of abstentions, is a cost of 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import MonitoringTerms
from geartrain.domain.finding import Measurement
from geartrain.domain.incident import Signal
from geartrain.stats.bounded import (
    ConfidenceSequence,
    Scale,
    UpperBound,
    extend,
    measured_so_far,
    scale_of,
    upper_bound,
)
from geartrain.stats.dependence import Likeness, likeness, row_worth
from geartrain.stats.eprocess import (
    TRIGGER_BETS,
    UNCHANGED_BETS,
    Detector,
    Form,
    Learning,
    Unchanged,
    Watch,
    to_evidence,
    watch,
)

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

#: Costs that a reference needs; until then live costs are held to make one.
FEWEST_REFERENCE = 50
#: A bound so many times the mean says that hardly anything is known of the mean.
MOST_DOUBT = 2.0
#: A tolerated mean above this leaves no room for an alarm.
_HIGHEST_LEVEL = 0.999
_MOST_MILESTONES = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPlan:
    """What is watched, and how rarely it may ring for nothing.

    Attributes:
        about: The clause or quantity, such as `success.expected_cost`.
        kind: The kind of its signals: `cost`, `abstention`, ...
        alpha: The probability that the page ever rings falsely.
        smallest_change: The relative rise that matters.
        run_rows: The mean number of rows between false triggers.
        calibration_rows: The first live labels that make a reference where none is given.
    """

    about: str
    kind: str = "cost"
    alpha: float = 0.01
    smallest_change: float = 0.1
    run_rows: float = 100_000.0
    calibration_rows: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """How many rows had cost how much together."""

    rows: int
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossMonitor:
    """The state of one monitor.

    Attributes:
        scale: The range of costs counted in full; None while a reference is being made.
        reference: The bound on the mean loss (scaled) that the reference gave.
        alike: How alike neighbouring rows of the reference are.
        page: The detector, None while there is no reference or nothing can be proven.
        held: Costs kept to make the reference of.
        cut: Costs beyond the scale.
        unknown: Rows whose cost is not a number; they are not counted otherwise.
        repeated: Rows that were taken before and came again; they change nothing.
        upto_us: The maturity time up to which rows were taken.
        milestones: Thinned out as they grow, to tell what decisions cost since a change.
    """

    plan: LossPlan
    scale: Scale | None = None
    reference: UpperBound | None = None
    alike: Likeness | None = None
    page: Detector | None = None
    trigger: Detector | None = None
    page_seen: Watch = field(default_factory=Watch)
    trigger_seen: Watch = field(default_factory=Watch)
    sequence: ConfidenceSequence = field(default_factory=ConfidenceSequence)
    held: tuple[float, ...] = ()
    cut: int = 0
    unknown: int = 0
    repeated: int = 0
    upto_us: int | None = None
    total: float = 0.0
    milestones: tuple[Milestone, ...] = (Milestone(rows=0, total=0.0),)

    @property
    def tolerated(self) -> float | None:
        """The mean cost above which an alarm must come in the end, or None without a reference."""
        return None if self.page is None or self.scale is None else self.scale.from_unit(self.page.level)

    @property
    def note(self) -> str:
        """What a reader must know about this monitor's state, or nothing."""
        if self.scale is None:
            return (
                f"not watching yet: {len(self.held)} of {self.plan.calibration_rows} labels for a reference"
            )
        if self.page is None:
            return "not watching: the reference is too small or too costly for a rise to show"
        told = []
        if self.cut:
            told.append(f"{self.cut:,} costs beyond {self.scale.high:.4g} were counted as that")
        if self.page.worth < 1:
            told.append(
                f"costs of neighbouring rows are alike: for alarms each row counts as {self.page.worth:.2g} of one"
            )
        return "; ".join(told)

    @property
    def cautions(self) -> tuple[str, ...]:
        """Where the reference is too small or too short for what the alarms promise, in sentences."""
        if self.alike is None or self.reference is None or self.scale is None:
            return ()
        told, rows = [], self.alike.rows
        if self.alike.is_too_short:
            told.append(
                f"the reference of {self.plan.about} is too short for its own correlation: neighbouring rows are"
                f" alike over at least {self.alike.alike:,}, so about {self.alike.needed:,} rows are needed and there are"
                f" {rows:,}; false alarms may be more frequent than promised"
            )
        mean = self.reference.mean
        if self.page is None:
            return (*told, f"no alarm on {self.plan.about} can ring, {self.note}")
        if self.alike.effective < FEWEST_REFERENCE or self.reference.value > MOST_DOUBT * mean > 0:
            told.append(
                f"the {rows:,} rows of the reference of {self.plan.about} are worth {self.alike.effective:,.0f}"
                f" independent ones: nothing rings before the mean rises from {self.scale.from_unit(mean):.4g}"
                f" above {self.tolerated:.4g}"
            )
        return tuple(told)


def plan_of(terms: MonitoringTerms, *, about: str, decisions_per_day: float, kind: str = "cost") -> LossPlan:
    """The plan that the contract's monitoring terms imply at a volume of decisions."""
    rows = decisions_per_day * terms.false_alarm_every_s / 86_400
    return LossPlan(
        about=about,
        kind=kind,
        alpha=terms.false_alarm_alpha,
        smallest_change=terms.smallest_change,
        run_rows=max(rows, 100.0),
    )


def begin(plan: LossPlan, reference: Floats, *, scale: Scale | None = None) -> LossMonitor:
    """A monitor calibrated on *reference* costs, shape (n,), in their order (the verdict pool's).

    With too few of them the first live labels make the reference.
    """
    known = np.asarray(reference, dtype=np.float64)
    known = known[np.isfinite(known)]
    if known.size < FEWEST_REFERENCE:
        return LossMonitor(plan=plan, held=tuple(map(float, known)))
    scale = scale or scale_of(known)
    losses = scale.to_unit(known)
    alike = likeness(losses, doubt=plan.alpha / 8)
    worth = alike.worth
    bound = upper_bound(losses, alpha=plan.alpha * 3 / 8, worth=worth)
    most = scale.from_unit(bound.value)
    level = (most + plan.smallest_change * abs(most) - scale.low) / scale.width
    calibrated = LossMonitor(plan=plan, scale=scale, reference=bound, alike=alike)
    if not 0 < level <= _HIGHEST_LEVEL:
        return calibrated
    learning = _learning(plan, losses, scale)
    # A page must hold for ever and errs on the side of alike; a trigger must be quick, and is said again.
    sure = row_worth(losses, doubt=plan.alpha / 8, surely=True)
    return replace(
        calibrated,
        page=Detector(form=Form.PAGE, level=level, bound=2 / plan.alpha, worth=worth),
        trigger=Detector(
            form=Form.TRIGGER,
            level=level,
            bound=plan.run_rows,
            bets=UNCHANGED_BETS if isinstance(learning, Unchanged) else TRIGGER_BETS,
            worth=sure,
            learning=learning,
        ),
    )


def _learning(plan: LossPlan, losses: Floats, scale: Scale) -> Learning | Unchanged:
    """How the trigger learns the mean: without any level where every rise matters and losses are 0 or 1."""
    if plan.smallest_change == 0 and bool(np.isin(losses, (0.0, 1.0)).all()):
        return Unchanged(rows=losses.size, total=float(losses.sum()))
    return Learning(
        rows=losses.size,
        total=float(losses.sum()),
        squares=float((losses**2).sum()),
        alpha=plan.alpha / 4,
        smallest=plan.smallest_change,
        offset=scale.low / scale.width,
    )


def take(monitor: LossMonitor, costs: Floats, matured_us: Times) -> LossMonitor:
    """Take the costs of decisions that matured, shape (n,), with their maturity times.

    Rows that matured at or before what was taken already are repeats and change nothing;
    rows are put in the order of maturity. A cost that is not a number is only counted.
    """
    order = np.argsort(matured_us, kind="stable")
    costs, times = np.asarray(costs, dtype=np.float64)[order], np.asarray(matured_us, dtype=np.int64)[order]
    fresh = np.ones(times.size, dtype=np.bool_) if monitor.upto_us is None else times > monitor.upto_us
    known = fresh & np.isfinite(costs)
    monitor = replace(
        monitor,
        repeated=monitor.repeated + int((~fresh).sum()),
        unknown=monitor.unknown + int((fresh & ~known).sum()),
        upto_us=int(times[fresh][-1]) if fresh.any() else monitor.upto_us,
    )
    costs, times = costs[known], times[known]
    if monitor.scale is None:
        missing = max(0, monitor.plan.calibration_rows - len(monitor.held))
        held = (*monitor.held, *map(float, costs[:missing]))
        costs, times = costs[missing:], times[missing:]
        if len(held) < monitor.plan.calibration_rows:
            return replace(monitor, held=held)
        started = begin(monitor.plan, np.asarray(held))
        monitor = replace(
            started, unknown=monitor.unknown, repeated=monitor.repeated, upto_us=monitor.upto_us
        )
    return _counted(monitor, costs, times) if costs.size else monitor


def _counted(monitor: LossMonitor, costs: Floats, times: Times) -> LossMonitor:
    if monitor.scale is None:
        return monitor
    losses = monitor.scale.to_unit(costs)
    total = monitor.total + float(losses.sum()) * monitor.scale.width + monitor.scale.low * losses.size
    sequence = extend(monitor.sequence, losses)
    milestones = (*monitor.milestones, Milestone(rows=sequence.rows, total=total))
    page, trigger = monitor.page, monitor.trigger
    return replace(
        monitor,
        sequence=sequence,
        cut=monitor.cut + monitor.scale.beyond(costs),
        total=total,
        milestones=milestones if len(milestones) <= _MOST_MILESTONES else milestones[::2],
        page_seen=watch(page, monitor.page_seen, losses, times) if page else monitor.page_seen,
        trigger_seen=watch(trigger, monitor.trigger_seen, losses, times) if trigger else monitor.trigger_seen,
    )


def rearm(monitor: LossMonitor) -> LossMonitor:
    """The same monitor with both alarms fresh, after an incident was dealt with.

    Each re-arming of the page spends its alpha again; say so where false alarms are counted.
    """
    return replace(
        monitor,
        page_seen=Watch(),
        trigger_seen=Watch(),
        sequence=ConfidenceSequence(),
        total=0.0,
        milestones=(Milestone(rows=0, total=0.0),),
    )


def signals(monitor: LossMonitor) -> tuple[Signal, ...]:
    """The page and the trigger, each once it has rung; a trigger's kind ends in `-trigger`."""
    found: list[Signal] = []
    for seen, detector, suffix in (
        (monitor.page_seen, monitor.page, ""),
        (monitor.trigger_seen, monitor.trigger, "-trigger"),
    ):
        if detector is None or seen.onset_row is None or monitor.tolerated is None:
            continue
        mean, tolerated = _mean_since(monitor, seen.onset_row), monitor.tolerated
        bound = (
            f"P(false, ever) <= {monitor.plan.alpha:g}"
            if detector.form is Form.PAGE
            else f"one false trigger in {detector.bound:,.0f} rows"
        )
        found.append(
            Signal(
                kind=monitor.plan.kind + suffix,
                about=monitor.plan.about,
                measure="mean per decision since the change",
                size=mean,
                evidence=to_evidence(seen.peak or 0.0),
                since=_time(seen.onset_mark),
                rows=seen.rows - seen.onset_row,
                message=(
                    f"{monitor.plan.about} is {mean:.4g} per decision since the change,"
                    f" tolerated were {tolerated:.4g} ({bound})"
                ),
            )
        )
    return tuple(found)


def measure(monitor: LossMonitor) -> Measurement | None:
    """The mean cost so far with an interval that may be read at any time, for live clauses.

    None before the first counted row; `LossMonitor.note` says why.
    """
    if monitor.scale is None:
        return None
    seen = measured_so_far(monitor.sequence, monitor.scale)
    return seen if seen is None or not monitor.cut else replace(seen, note=monitor.note)


def _mean_since(monitor: LossMonitor, row: int) -> float:
    """The mean cost since the last milestone before *row*."""
    now = Milestone(rows=monitor.sequence.rows, total=monitor.total)
    then = max((one for one in monitor.milestones if one.rows <= row), key=lambda one: one.rows)
    return (now.total - then.total) / max(1, now.rows - then.rows)


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)

"""Meters: every question about the pool `select` goes through one, and the ledger is its memory.

A question is a trial: these settings, this threshold, this variant, on these rows. The same
question has the same answer however often it is asked, in this run or a later one; so a step
that was cut off and runs again learns nothing more, and neither does a searcher who repeats
himself. A pool is its rows and what errors cost on them: whoever changes neither goes on with
the meter as the earlier runs left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from geartrain.domain.events import Event, PoolAnswered
from geartrain.domain.model import Trial
from geartrain.domain.prediction import Floats
from geartrain.training.ladder import Ladder, Step, climb
from geartrain.training.thresholdout import Thresholdout, ask


class Metering(StrEnum):
    """The mechanisms that a metered pool may answer through."""

    LADDER = "ladder"
    THRESHOLDOUT = "thresholdout"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """An answer on its way to the ledger: what was asked, what is told, what is kept.

    Attributes:
        losses: What later questions are held against, shape (n,); None where nothing became best.
    """

    question: str
    step: Step
    losses: Floats | None
    charged: bool = False


Keep = Callable[[Answered], None]


class Meter(Protocol):
    """Answers questions about one pool."""

    @property
    def looks(self) -> int:
        """How many different questions it has answered."""

    def ask(
        self, trial: Trial, losses: Floats, *, taught: Floats | None = None, strictness: float = 1.0
    ) -> Step:
        """Say whether *losses*, shape (n,), are better than the best so far; keep what was answered.

        *taught* are the losses of the same decisions on the free rows, shape (m,).
        """


def _forget(answered: Answered) -> None:
    """For pools that no ledger remembers."""
    del answered


@dataclass(slots=True, kw_only=True, eq=False)
class LadderMeter:
    """The Ladder as a meter (see `climb`)."""

    ladder: Ladder = field(default_factory=Ladder)
    answers: dict[str, Step] = field(default_factory=dict)
    keep: Keep = _forget

    @property
    def looks(self) -> int:
        """How many different questions it has answered."""
        return len(self.answers)

    def ask(
        self, trial: Trial, losses: Floats, *, taught: Floats | None = None, strictness: float = 1.0
    ) -> Step:
        """Whether *losses* beat the best so far by more than noise; all that is shown is the best."""
        del taught
        known = self.answers.get(trial.question)
        if known is not None:
            return known
        unit = float(np.abs(losses if self.ladder.losses is None else self.ladder.losses).mean())
        after, step = climb(self.ladder, losses, unit=max(unit, 1e-12), strictness=strictness)
        self.keep(
            Answered(question=trial.question, step=step, losses=after.losses if step.improved else None)
        )
        self.ladder, self.answers[trial.question] = after, step
        return step


@dataclass(slots=True, kw_only=True, eq=False)
class ThresholdoutMeter:
    """Thresholdout as a meter: means of losses in [low, high], scaled to [0, 1].

    A figure is better when it lies below the best told so far by more than the noise's scale,
    times the strictness.
    """

    state: Thresholdout
    low: float
    high: float
    best: float = float("inf")
    answers: dict[str, Step] = field(default_factory=dict)
    keep: Keep = _forget

    @property
    def looks(self) -> int:
        """How many different questions it has answered."""
        return len(self.answers)

    def ask(
        self, trial: Trial, losses: Floats, *, taught: Floats | None = None, strictness: float = 1.0
    ) -> Step:
        """A figure for *losses*, with noise where the rows that taught say something else."""
        known = self.answers.get(trial.question)
        if known is not None:
            return known
        if taught is None:
            raise ValueError("Thresholdout compares with the losses on the rows that taught")
        span = max(self.high - self.low, 1e-12)
        needed = strictness * self.state.noise * span
        held, before = ((float(one.mean()) - self.low) / span for one in (losses, taught))
        after, told = ask(self.state, taught=before, held=held)
        if told is None:
            # Not kept: a pool that is spent has said nothing.
            return Step(improved=False, shown=self.best, needed=needed, spent=True)
        shown = self.low + told.value * span
        step = Step(improved=shown < self.best - needed, shown=shown, needed=needed)
        self.keep(Answered(question=trial.question, step=step, losses=None, charged=told.charged))
        self.state, self.answers[trial.question] = after, step
        self.best = shown if step.improved else self.best
        return step


def ladder_of(
    events: Iterable[Event], *, rows_of: str, load: Callable[[str], Floats], keep: Keep
) -> LadderMeter:
    """The Ladder as the ledger left it for the pool *rows_of*; *load* reads the kept losses."""
    found = _answers(events, rows_of, Metering.LADDER)
    best = next((one for one in reversed(found) if one.improved), None)
    ladder = Ladder(
        shown=best.shown if best else float("inf"),
        losses=load(best.losses) if best else None,
        looks=len(found),
    )
    return LadderMeter(ladder=ladder, answers=_steps(found), keep=keep)


def thresholdout_of(
    events: Iterable[Event], *, rows_of: str, state: Thresholdout, low: float, high: float, keep: Keep
) -> ThresholdoutMeter:
    """Thresholdout as the ledger left it for the pool *rows_of*, begun with *state*."""
    found = _answers(events, rows_of, Metering.THRESHOLDOUT)
    return ThresholdoutMeter(
        state=Thresholdout(
            threshold=state.threshold,
            noise=state.noise,
            budget=state.budget,
            seed=state.seed,
            asked=len(found),
            charged=sum(one.charged for one in found),
        ),
        low=low,
        high=high,
        best=next((one.shown for one in reversed(found) if one.improved), float("inf")),
        answers=_steps(found),
        keep=keep,
    )


def _answers(events: Iterable[Event], rows_of: str, meter: Metering) -> list[PoolAnswered]:
    return [
        one
        for one in events
        if isinstance(one, PoolAnswered) and one.rows_of == rows_of and one.meter == meter
    ]


def _steps(found: list[PoolAnswered]) -> dict[str, Step]:
    return {one.question: Step(improved=one.improved, shown=one.shown, needed=one.needed) for one in found}

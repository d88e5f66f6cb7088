"""Meters: the ledger is their memory, and the same question has the same answer."""

from __future__ import annotations

import numpy as np
import pytest

from geartrain.domain.events import PoolAnswered
from geartrain.domain.model import Pool, Trial
from geartrain.training.metering import (
    LadderMeter,
    Metering,
    ThresholdoutMeter,
    ladder_of,
    thresholdout_of,
)
from geartrain.training.thresholdout import Thresholdout


def asked(name: str, **changes) -> Trial:
    trial = {"contract": "c", "snapshot": "s", "features": "f", "code": name, "algorithm": "a", "params": (),
             "seed": 1, "pool": Pool.SELECT, "metric": "mean_cost", "score": 0.0, "rows": 100}  # fmt: skip
    return Trial(**{**trial, **changes})


class Ledger:
    """Keeps answers as events, as the engine does."""

    def __init__(self, meter: Metering = Metering.LADDER) -> None:
        self.events, self.blobs, self.meter = [], {}, meter

    def keep(self, answered) -> None:
        name = ""
        if answered.losses is not None:
            name = str(len(self.blobs))
            self.blobs[name] = answered.losses
        self.events.append(
            PoolAnswered(
                product="p",
                rows_of="pool",
                question=answered.question,
                meter=self.meter,
                improved=answered.step.improved,
                shown=answered.step.shown,
                needed=answered.step.needed,
                losses=name,
                charged=answered.charged,
            )
        )

    def ladder(self, rows_of: str = "pool") -> LadderMeter:
        return ladder_of(self.events, rows_of=rows_of, load=self.blobs.__getitem__, keep=self.keep)

    def thresholdout(self, budget: int = 2) -> ThresholdoutMeter:
        state = Thresholdout.over(400, seed=5, budget=budget)
        return thresholdout_of(self.events, rows_of="pool", state=state, low=-2.0, high=2.0, keep=self.keep)


def losses(shift: float = 0.0, rows: int = 100) -> np.ndarray:
    return np.random.default_rng(1).random(rows) + shift


def test_a_ladder_goes_on_where_an_earlier_run_left_it():
    """What one run learned of the pool, the next is held against; another pool begins anew."""
    ledger = Ledger()
    assert ledger.ladder().ask(asked("first"), losses()).improved
    again = ledger.ladder()
    assert again.looks == 1
    worse = again.ask(asked("second"), losses(0.2))
    assert not worse.improved
    assert worse.shown == pytest.approx(losses().mean(), abs=0.01)
    assert ledger.ladder().ask(asked("third"), losses(-0.3)).improved
    assert ledger.ladder(rows_of="another").ask(asked("third"), losses(0.2)).improved


def test_the_same_question_has_the_same_answer_and_is_no_look():
    """A repeated question hears what it heard, whatever its score and its contract say now, and writes nothing."""
    ledger = Ledger()
    first = ledger.ladder().ask(asked("a"), losses())
    ledger.ladder().ask(asked("b"), losses(-0.3))
    repeated = ledger.ladder().ask(asked("a", score=0.4, contract="newer"), losses())
    assert repeated == first
    assert len(ledger.events) == 2


def test_a_threshold_and_a_variant_are_questions_of_their_own():
    """The same parameters under other class weights, or pruned, are another trial."""
    plain = asked("a")
    weighted, pruned = asked("a", class_weights=(1.0, 2.0)), asked("a", variant="pruned")
    assert len({plain.id, weighted.id, pruned.id}) == 3
    assert len({plain.question, weighted.question, pruned.question}) == 3


def test_thresholdout_remembers_its_budget():
    """Overfitted answers are charged across runs; a spent pool says so and keeps no answer."""
    ledger = Ledger(Metering.THRESHOLDOUT)
    steps = [
        ledger.thresholdout().ask(asked(str(number)), np.full(400, 1.0), taught=np.full(400, -1.0))
        for number in range(3)
    ]
    assert [one.spent for one in steps] == [False, False, True]
    assert steps[0].shown == pytest.approx(1.0, abs=0.4)
    assert len(ledger.events) == 2
    assert ledger.thresholdout().looks == 2


def test_thresholdout_tells_better_from_worse():
    """Candidates whose figures differ by more than the noise are told apart; without teaching rows there is no answer."""
    ledger = Ledger(Metering.THRESHOLDOUT)
    taught = {"good": np.full(500, -1.0), "bad": np.full(500, 1.0)}
    assert ledger.thresholdout().ask(asked("bad"), np.full(400, 1.0), taught=taught["bad"]).improved
    assert ledger.thresholdout().ask(asked("good"), np.full(400, -1.0), taught=taught["good"]).improved
    assert not ledger.thresholdout().ask(asked("worse"), np.full(400, 0.9), taught=taught["bad"]).improved
    with pytest.raises(ValueError, match="rows that taught"):
        ledger.thresholdout().ask(asked("other"), np.zeros(400))

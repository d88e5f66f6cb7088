"""Estimates without labels: right while the world answers as before, blind when it does not, found out by labels."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.domain.contract import CostTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.monitoring.estimating import ASSUMES, Foretold, estimate, reconciled

RULE = DecisionRule(
    task=Task.BINARY, classes=("good", "bad"), actions=("pass", "stop"), costs=CostTerms(otherwise="1")
)
PRICES = np.array([[0.0, 10.0], [1.0, 0.0]])
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = 3600.0, 86_400.0


def _told(rows: int, *, flipped_from: int | None = None, seed: int = 1) -> tuple[Foretold, np.ndarray]:
    """A decision an hour, by calibrated probabilities; and what each cost. From *flipped_from* on good is bad."""
    generator = np.random.default_rng(seed)
    bad = generator.beta(1, 6, size=rows)
    probabilities = np.column_stack([1 - bad, bad])
    actions = np.argmin(probabilities @ PRICES.T, axis=1)
    truth = (generator.random(rows) < bad).astype(np.int64)
    if flipped_from is not None:
        truth[flipped_from:] = 1 - truth[flipped_from:]
    told = Foretold(
        at_us=(START.timestamp() * 1e6 + np.arange(rows) * HOUR * 1e6).astype(np.int64),
        probabilities=probabilities,
        actions=actions,
        costs=PRICES[actions],
        realised=np.full(rows, np.nan),
    )
    return told, PRICES[actions, truth]


def _after(rows: int) -> datetime:
    return START + timedelta(hours=rows)


def test_the_estimate_is_the_cost_that_comes_and_says_what_it_assumes():
    """Of 2000 decisions without a label the mean cost is foretold within its interval."""
    told, costs = _told(2000)
    seen = estimate(RULE, told, positive=1, now=_after(2000), due_s=30 * DAY)
    assert seen.cost.low <= costs.mean() <= seen.cost.high
    assert seen.cost.value == pytest.approx((told.probabilities * told.costs).sum(axis=1).mean())
    assert [name for name, _ in seen.rates] == ["accuracy", "recall", "precision"]
    assert ASSUMES == "assumes that P(y|x) has not changed"
    assert ASSUMES in seen.message
    assert seen.assumes == seen.cost.note == ASSUMES
    assert (seen.rows, seen.overdue) == (2000, 1281)


def test_only_decisions_without_a_truth_are_estimated():
    """What is known need not be estimated; rows whose price is missing cannot be."""
    told, costs = _told(300)
    realised = np.where(np.arange(300) < 200, costs, np.nan)
    prices = told.costs.copy()
    prices[200:220] = np.nan
    seen = estimate(
        RULE, replace(told, realised=realised, costs=prices), positive=1, now=_after(300), due_s=0.0
    )
    assert seen.rows == 80
    assert seen.since == START + timedelta(hours=220)


def test_few_rows_have_a_reason_instead_of_a_number():
    """Twenty decisions give neither an estimate nor a check, and both say why; none at all neither."""
    for rows in (0, 20):
        told, costs = _told(rows)
        seen = estimate(RULE, told, positive=1, now=_after(rows), due_s=0.0)
        past = reconciled(replace(told, realised=costs), now=_after(rows), delay_s=0.0, window_s=DAY)
        assert seen.cost is None
        assert f"{rows} decisions have probabilities" in seen.message
        assert past.whole is None
        assert f"the truth of {rows} decisions" in past.reason


def test_a_changed_concept_is_invisible_until_labels_come():
    """The estimate does not move when good turns bad; the windows after the turn say that it was too low."""
    calm, quiet = _told(2000)
    told, costs = _told(2000, flipped_from=1000)
    arguments = {"positive": 1, "now": _after(2000), "due_s": 0.0}
    assert estimate(RULE, told, **arguments).cost == estimate(RULE, calm, **arguments).cost

    now, span = _after(2000), {"delay_s": 0.0, "window_s": 250 * HOUR}
    fine = reconciled(replace(calm, realised=quiet), now=now, **span)
    past = reconciled(replace(told, realised=costs), now=now, **span)
    assert fine.whole.agrees
    assert [one.agrees for one in fine.windows] == [True] * 8
    assert [one.agrees for one in past.windows] == [True] * 4 + [False] * 4
    assert "the estimate was too low: P(y|x) has changed, or" in past.windows[-1].message
    assert not past.whole.agrees
    assert past.windows[-1].cost.realised == pytest.approx(costs[1750:].mean())
    assert past.windows[0].cost.difference.confidence == pytest.approx(1 - 0.05 / 9)


def test_labels_that_come_before_they_are_due_do_not_take_part():
    """What is told at once is not like the rest: early bad news of fresh decisions contradicts nothing."""
    told, costs = _told(1000)
    early = costs.copy()
    early[500:] = np.where(costs[500:] >= 10, costs[500:], np.nan)
    past = reconciled(
        replace(told, realised=early), now=_after(1000), delay_s=500 * HOUR, window_s=250 * HOUR
    )
    assert past.whole.agrees
    assert past.whole.cost.difference.rows <= 501
    assert past.whole.until <= START + timedelta(hours=500)
    assert len(past.windows) == 2


def test_all_windows_hold_together():
    """Of 200 worlds without a change, with 13 intervals each, at most 8 % contain one that complains."""
    complained = 0
    for seed in range(200):
        told, costs = _told(1300, seed=seed)
        past = reconciled(replace(told, realised=costs), now=_after(1300), delay_s=0.0, window_s=100 * HOUR)
        assert len(past.windows) == 12
        complained += not all(one.agrees for one in (past.whole, *past.windows))
    assert complained / 200 <= 0.08

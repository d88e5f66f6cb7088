"""The adapted estimate follows a shifted population, says how far its reference reaches, and is as blind to concept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from geartrain.domain.contract import CostTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.monitoring.adapting import Reference, adapt
from geartrain.monitoring.estimating import ASSUMES, Foretold, estimate

RULE = DecisionRule(
    task=Task.BINARY, classes=("good", "bad"), actions=("pass", "stop"), costs=CostTerms(otherwise="1")
)
PRICES = np.array([[0.0, 10.0], [1.0, 0.0]])
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ARGUMENTS = {"positive": 1, "now": NOW, "delay_s": 0.0, "seed": 1}


def _risk(matrix):
    """The truth: both columns count."""
    return 1 / (1 + np.exp(2.5 - matrix[:, 0] - 1.5 * matrix[:, 1]))


def _said(matrix):
    """The model knows the first column only: right on average at home, wrong where the second has moved."""
    bad = 1 / (1 + np.exp(2.2 - 0.8 * matrix[:, 0]))
    return np.column_stack([1 - bad, bad])


def _rows(rows, *, shift, seed, flipped=False):
    chance = np.random.default_rng(seed)
    matrix = chance.normal(size=(rows, 2)).astype(np.float32)
    matrix[:, 1] += shift
    truth = (chance.random(rows) < _risk(matrix)).astype(np.int64)
    return matrix, 1 - truth if flipped else truth


def _world(rows=3000, *, shift=0.0, seed=1, flipped=False):
    matrix, truth = _rows(rows, shift=shift, seed=seed, flipped=flipped)
    said = _said(matrix)
    actions = np.argmin(said @ PRICES.T, axis=1)
    told = Foretold(
        at_us=np.full(rows, int((NOW - timedelta(days=2)).timestamp() * 1e6)),
        probabilities=said,
        actions=actions,
        costs=PRICES[actions],
        realised=np.full(rows, np.nan),
    )
    return told, matrix, PRICES[actions, truth]


def _reference(rows=4000, seed=9):
    matrix, truth = _rows(rows, shift=0.0, seed=seed)
    return Reference(matrix=matrix, probabilities=_said(matrix), truth=truth, whence="sealed rows")


def test_it_follows_a_population_that_the_plain_estimate_does_not():
    """A column that the model does not read has moved: the plain interval leaves the truth out, the adapted one holds it."""
    told, matrix, costs = _world(shift=0.7)
    plain = estimate(RULE, told, positive=1, now=NOW, due_s=0.0)
    seen = adapt(RULE, told, matrix, _reference(), **ARGUMENTS)
    assert not plain.cost.low <= costs.mean() <= plain.cost.high
    assert seen.cost.low <= costs.mean() <= seen.cost.high
    assert [name for name, _ in seen.rates] == ["accuracy", "recall", "precision"]
    assert (seen.rows, seen.reference) == (3000, 4000)
    assert 1000 < seen.worth < 3500
    assert seen.told_apart.low > 0.6
    assert seen.assumes == seen.cost.note == "assumes that P(y|x) has not changed"
    assert ASSUMES in seen.message
    assert "4,000 sealed rows are worth" in seen.message


def test_its_interval_allows_for_the_reference_being_a_sample():
    """Fewer reference rows give a wider interval about the same decisions."""
    told, matrix, _ = _world(shift=0.3)
    few, many = (adapt(RULE, told, matrix, _reference(rows), **ARGUMENTS).cost for rows in (600, 6000))
    assert few.high - few.low > 1.3 * (many.high - many.low)


def test_it_is_blind_to_a_changed_concept_until_labels_come():
    """The same rows with every answer turned give the same number to the digit; the labels say that it is wrong."""
    told, matrix, quiet = _world(shift=0.3)
    _, _, flipped = _world(shift=0.3, flipped=True)
    came = np.arange(3000) < 1500
    seen = {
        name: adapt(
            RULE, replace(told, realised=np.where(came, costs, np.nan)), matrix, _reference(), **ARGUMENTS
        )
        for name, costs in (("quiet", quiet), ("flipped", flipped))
    }
    assert seen["quiet"].cost == seen["flipped"].cost
    assert seen["quiet"].checked.agrees
    assert not seen["flipped"].checked.agrees
    assert seen["flipped"].checked.realised == pytest.approx(flipped[:1500].mean())


def test_labels_that_are_not_due_check_nothing():
    """Early truths are not like the others: without one that was due there is no check, and a reason."""
    told, matrix, costs = _world()
    early = replace(told, realised=np.where(np.arange(3000) < 1500, costs, np.nan))
    seen = adapt(RULE, early, matrix, _reference(), **{**ARGUMENTS, "delay_s": 5 * 86_400.0})
    assert seen.checked is None
    assert "the truth of 0 decisions is known that was due" in seen.unchecked


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda one: replace(one, truth=np.zeros(4000, dtype=np.int64)), "of one class"),
        (
            lambda one: replace(
                one, matrix=one.matrix[:50], probabilities=one.probabilities[:50], truth=one.truth[:50]
            ),
            "50 sealed rows, at least 100",
        ),
        (lambda one: replace(one, matrix=one.matrix[:, :0]), "no column"),
    ],
    ids=["one class", "few rows", "no column"],
)
def test_a_reference_that_calibrates_nothing_gives_a_reason(spoil, why):
    """No number is made up where the reference cannot carry it."""
    told, matrix, _ = _world(400)
    reference = spoil(_reference())
    seen = adapt(RULE, told, matrix[:, : reference.matrix.shape[1]], reference, **ARGUMENTS)
    assert seen.cost is None
    assert why in seen.message


def test_a_population_out_of_reach_gives_a_reason():
    """Where nearly every reference row is unlike the decisions, there is no estimate but a word on overlap."""
    told, matrix, _ = _world(400)
    far = matrix.copy()
    far[:, 1] += 30
    near = _reference(4000)
    near.matrix[:10, 1] += 30
    seen = adapt(RULE, told, far, near, **ARGUMENTS)
    assert seen.cost is None
    assert "are worth" in seen.reason


def test_few_decisions_and_columns_that_say_nothing():
    """Twenty decisions give no number; a column that is missing or constant throughout changes none."""
    told, matrix, _ = _world(20)
    assert "20 decisions have no truth yet" in adapt(RULE, told, matrix, _reference(), **ARGUMENTS).message
    told, matrix, _ = _world(800)
    reference = _reference()
    plain = adapt(RULE, told, matrix, reference, **ARGUMENTS)
    for value in (np.nan, 1.0):
        wide = [
            np.column_stack([one, np.full(len(one), value, dtype=np.float32)])
            for one in (matrix, reference.matrix)
        ]
        seen = adapt(RULE, told, wide[0], replace(reference, matrix=wide[1]), **ARGUMENTS)
        assert seen.cost.value == pytest.approx(plain.cost.value)


@pytest.mark.slow
def test_intervals_hold_what_comes():
    """In 24 worlds with a moderate shift the realised mean lies inside in at least 85 % (95 % stated, ratio estimated)."""
    inside = 0
    for seed in range(24):
        told, matrix, costs = _world(1000, shift=0.5, seed=seed)
        seen = adapt(RULE, told, matrix, _reference(2000, seed=1000 + seed), **ARGUMENTS)
        inside += seen.cost.low <= costs.mean() <= seen.cost.high
    assert inside / 24 >= 0.85

"""A challenger is promoted when proven better, seldom when it is not, and refused with a reason."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.wire import decode, encode
from geartrain.retraining.challenge import (
    Challenge,
    ChallengeTerms,
    Verdict,
    cap_of,
    decided,
    meet,
    ruling,
)

TERMS = ChallengeTerms(cap=50.0, horizon_rows=4000)


def _costs(random: np.random.Generator, rows: int, rate: float) -> np.ndarray:
    return np.where(random.random(rows) < rate, 50.0, 1.0)


def test_a_challenger_that_is_no_better_is_seldom_promoted():
    """Of 200 equal challengers, at most 5 % + 2 sd are promoted within the horizon."""
    random = np.random.default_rng(1)

    promoted = sum(
        ruling(
            TERMS,
            meet(
                TERMS, Challenge(), champion=_costs(random, 4000, 0.1), challenger=_costs(random, 4000, 0.1)
            ),
        ).verdict
        is Verdict.PROMOTE
        for _ in range(200)
    )

    assert promoted / 200 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)


def test_a_better_challenger_is_promoted_and_a_worse_one_refused_early():
    """Half the errors is proven before the horizon, twice the errors is shown worse before it."""
    random = np.random.default_rng(2)
    many, few = _costs(random, 4000, 0.2), _costs(random, 4000, 0.1)

    better = decided(
        TERMS,
        meet(TERMS, Challenge(), champion=many, challenger=few),
        product="p",
        champion="a",
        challenger="b",
    )
    worse = ruling(TERMS, meet(TERMS, Challenge(), champion=few, challenger=many))

    assert better is not None
    assert better.promoted
    assert better.evidence >= 20
    assert better.cost_per_1000_challenger < better.cost_per_1000_champion
    assert worse.verdict is Verdict.REFUSE
    assert "shown worse" in worse.reason


def test_identical_models_end_as_not_proven():
    """The same costs on every row: running until the horizon, then the champion stays."""
    costs = np.ones(3999)

    running = meet(TERMS, Challenge(), champion=costs, challenger=costs)
    ended = meet(TERMS, running, champion=costs, challenger=costs)

    assert ruling(TERMS, running).verdict is Verdict.RUNNING
    assert decided(TERMS, running, product="p", champion="a", challenger="b") is None
    assert ruling(TERMS, ended).verdict is Verdict.REFUSE
    assert "not proven better within 4,000 rows" in ruling(TERMS, ended).reason
    assert ended.rows == 4000


def test_a_margin_promotes_an_equal_challenger_with_another_merit():
    """Identical decisions are soon proven not worse by more than a tenth of the cap; a worse one is not."""
    terms = ChallengeTerms(cap=50.0, horizon_rows=4000, margin=5.0)
    random = np.random.default_rng(3)
    costs = _costs(random, 2000, 0.1)

    equal = ruling(terms, meet(terms, Challenge(), champion=costs, challenger=costs))
    worse = ruling(terms, meet(terms, Challenge(), champion=costs, challenger=costs + 10))

    assert equal.verdict is Verdict.PROMOTE
    assert "not worse by more than 5 per decision" in equal.reason
    assert worse.verdict is Verdict.REFUSE


def test_one_enormous_row_does_not_decide():
    """A single row of a million is counted as the cap, and that is said."""
    champion = np.zeros(100)
    champion[50] = 1e6

    found = ruling(TERMS, meet(TERMS, Challenge(), champion=champion, challenger=np.zeros(100)))

    assert found.verdict is Verdict.RUNNING
    assert "1 differences beyond 50" in found.reason


@given(
    pairs=st.lists(
        st.tuples(st.floats(0, 100), st.one_of(st.floats(0, 100), st.just(math.nan))), max_size=150
    ),
    cut=st.integers(0, 150),
)
@settings(max_examples=50)
def test_parts_are_the_whole(pairs, cut):
    """Meeting in two parts gives the same ruling and counts; rows of unknown cost are set aside."""
    ours = np.asarray([one[0] for one in pairs], dtype=float)
    theirs = np.asarray([one[1] for one in pairs], dtype=float)

    whole = meet(TERMS, Challenge(), champion=ours, challenger=theirs)
    first = meet(TERMS, Challenge(), champion=ours[:cut], challenger=theirs[:cut])
    parts = meet(TERMS, first, champion=ours[cut:], challenger=theirs[cut:])

    assert parts.rows == whole.rows == int((~np.isnan(theirs)).sum())
    assert (parts.unknown, parts.capped) == (whole.unknown, whole.capped)
    assert ruling(TERMS, parts).verdict is ruling(TERMS, whole).verdict
    assert parts.better.peak == pytest.approx(whole.better.peak, abs=1e-9)
    assert decode(encode(whole), Challenge) == whole


def test_a_lead_that_was_lost_again_promotes_nobody():
    """Evidence counts as it stands when it is acted on: a good beginning does not outlive a bad end."""
    good = meet(TERMS, Challenge(), champion=np.full(200, 50.0), challenger=np.zeros(200))
    level = meet(TERMS, good, champion=np.zeros(200), challenger=np.full(200, 50.0))
    late = meet(TERMS, level, champion=np.zeros(3000), challenger=np.full(3000, 50.0))

    assert ruling(TERMS, good).verdict is Verdict.PROMOTE
    assert ruling(TERMS, level).verdict is Verdict.RUNNING
    assert ruling(TERMS, late).verdict is Verdict.REFUSE
    assert level.better.evidence > level.better.standing


def test_regression_errors_are_costs_like_any_other():
    """Squared errors, capped at what the reference shows, promote the closer model."""
    random = np.random.default_rng(4)
    truth = random.normal(size=3000)
    champion, challenger = (
        (truth - random.normal(0, 1, 3000)) ** 2,
        (truth - truth + random.normal(0, 0.5, 3000)) ** 2,
    )
    terms = ChallengeTerms(cap=cap_of(champion), horizon_rows=3000)

    assert (
        ruling(terms, meet(terms, Challenge(), champion=champion, challenger=challenger)).verdict
        is Verdict.PROMOTE
    )


def test_no_rows_and_no_costs():
    """Nothing met is running with no evidence; reference costs of nothing give a cap of one unit."""
    found = ruling(TERMS, meet(TERMS, Challenge(), champion=np.array([]), challenger=np.array([])))

    assert (found.verdict, found.rows, found.evidence) == (Verdict.RUNNING, 0, 1.0)
    assert cap_of(np.zeros(5)) == cap_of(np.array([])) == 1.0


def test_impossible_terms_and_unpaired_rows_are_refused():
    """A cap of nothing, a margin beyond the cap, and rows that do not pair are errors."""
    with pytest.raises(ValueError, match="finite cap"):
        ChallengeTerms(cap=0.0)
    with pytest.raises(ValueError, match="margin"):
        ChallengeTerms(cap=1.0, margin=2.0)
    with pytest.raises(ValueError, match="paired"):
        meet(TERMS, Challenge(), champion=np.ones(3), challenger=np.ones(2))

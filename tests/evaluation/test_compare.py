"""Two models on the same rows: cost, agreement, and proof that nothing got worse."""

import numpy as np
import pytest

from geartrain.evaluation.compare import compare


def test_a_rounded_model_is_not_worse(seen, build):
    """Probabilities rounded to three digits decide alike almost always, within a margin of 5 %."""
    p = seen.predictions.values[:, 1]
    rounded = build.binary(p.round(3), seen.truth, columns=seen.columns)
    result = compare(rounded, seen, margin=0.05 * seen.costs.mean())
    assert result.agreement.value > 0.98
    assert result.test.proven
    assert result.rows == 400


def test_a_blunt_model_is_worse(seen, build):
    """A model that says the base rate for everyone costs more, and no number of rows proves otherwise."""
    blunt = build.binary(np.full(400, seen.truth.mean()), seen.truth)
    result = compare(blunt, seen, margin=0.01)
    assert result.candidate_cost > result.reference_cost
    assert not result.test.proven
    assert result.test.difference.low > 0


def test_equal_decisions_prove_nothing_about_rare_ones(seen):
    """The same model twice is not worse as seen; allowing for the unseen, 400 rows do not prove it."""
    assert compare(seen, seen, margin=0.01).test.proven
    careful = compare(seen, seen, margin=0.01, allow_unseen=True).test
    assert not careful.proven
    assert careful.upper == pytest.approx(50 * (1 - 0.05 ** (1 / 400)))
    assert careful.rows_needed > 400


def test_values_agree_to_six_digits(build):
    """A regression's float32 rounding is agreement, a shift is not."""
    truth = np.linspace(0, 100, 50)
    reference = build.values(truth + 1, truth)
    rounded = build.values((truth + 1).astype(np.float32), truth)
    assert compare(rounded, reference, margin=0.01).agreement.value == 1.0
    shifted = compare(build.values(truth + 2, truth), reference, margin=0.5, allow_unseen=True)
    assert shifted.agreement.value == 0.0
    assert shifted.test.difference.value == pytest.approx(1.0)


def test_other_rows_are_refused(seen, build):
    """Models that were asked about different rows cannot be compared."""
    with pytest.raises(ValueError, match="same rows"):
        compare(build.binary([0.5], [1]), seen, margin=0.1)


def test_right_and_wrong_are_tested_on_the_rows_apart(build):
    """Ten rows only the candidate gets right and two only the reference: McNemar's exact p, and Tango's interval."""
    truth = np.tile([1, 0], 100)
    said = np.where(truth == 1, 0.9, 0.0)
    theirs, ours = said.copy(), said.copy()
    theirs[np.flatnonzero(truth == 0)[:10]] = 0.9
    ours[np.flatnonzero(truth == 0)[-2:]] = 0.9
    result = compare(build.binary(ours, truth), build.binary(theirs, truth), margin=0.1)
    assert (result.right.only_first, result.right.only_second) == (10, 2)
    assert result.right.p_value == pytest.approx(0.03857, abs=5e-6)
    assert result.right.difference.value == pytest.approx(8 / 200)
    assert result.ranking.method == "DeLong, paired"
    assert result.ranking.value > 0


def test_repeated_entities_and_days_widen_the_comparison(build):
    """The same 50 rows given eight times prove no more when their entity is named, nor when they are of one day each."""
    generator = np.random.default_rng(5)
    truth = np.tile(np.arange(50) % 2, 8)
    ours, theirs = (np.tile(generator.random(50), 8) for _ in range(2))
    entities, days = np.tile(np.arange(50), 8), np.tile(np.arange(50), 8) * 86_400_000_000

    def compared(**more):
        pair = [build.binary(p, truth, **more) for p in (ours, theirs)]
        return compare(*pair, margin=0.1)

    plain, grouped, timed = compared(), compared(groups=entities), compared(times_us=days)
    assert (plain.drawn, grouped.drawn, timed.drawn) == ("row by row", "whole entities", "whole days")
    for wide in (grouped, timed):
        assert wide.test.upper - wide.test.difference.value > 2 * (
            plain.test.upper - plain.test.difference.value
        )
    assert grouped.right is None, "an exact test would take repeated rows for independent ones"
    assert timed.right is not None


def test_a_value_has_no_right_and_wrong(build):
    """A regression is compared by cost alone."""
    truth = np.linspace(0, 100, 50)
    result = compare(build.values(truth + 1, truth), build.values(truth + 2, truth), margin=0.1)
    assert result.right is None
    assert result.ranking is None

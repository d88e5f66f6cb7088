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

"""Gaps between groups, by definition, with intervals and a small-group rule."""

import numpy as np
import pytest

from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.fairness import fairness


def parted(build, counts, **more):
    """Binary evidence from {group: (tp, fn, fp, tn)}."""
    p, truth, group = [], [], []
    for name, (tp, fn, fp, tn) in counts.items():
        p += [1.0] * tp + [0.0] * fn + [1.0] * fp + [0.0] * tn
        truth += [1] * (tp + fn) + [0] * (fp + tn)
        group += [name] * (tp + fn + fp + tn)
    return build.binary(p, truth, columns={"sex": np.array(group, dtype=object)}, **more)


COUNTS = {"f": (56, 14, 20, 110), "m": (48, 32, 40, 80)}


def gap(evidence, definition, smallest=30, **more):
    parameters = {"groups": "sex", "smallest_group": smallest, **more}
    return fairness(evidence, definition, evidence.everything, parameters)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("demographic_parity", 88 / 200 - 76 / 200),
        ("equal_opportunity", 56 / 70 - 48 / 80),
        ("equalised_odds", 56 / 70 - 48 / 80),
        ("predictive_parity", 56 / 76 - 48 / 88),
        ("cost_parity", (32 * 50 + 40) / 200 - (14 * 50 + 20) / 200),
    ],
)
def test_each_definition_by_hand(build, measured, definition, expected):
    """The value is the largest difference of the quantity that the definition keeps alike."""
    value = measured(gap(parted(build, COUNTS), definition))
    assert value.value == pytest.approx(abs(expected))
    assert "f and m" in value.note


def test_newcombes_published_interval(build, measured):
    """56 of 70 against 48 of 80 differ by .20 with .0524 to .3339 (Newcombe 1998, table II, method 10)."""
    value = measured(gap(parted(build, COUNTS), "equal_opportunity"))
    assert (value.low, value.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert value.method == "Newcombe"
    assert value.relevant == 70


def test_no_gap_has_an_interval_from_zero(build, measured):
    """Alike groups are not proven alike: the low end is 0 and the high end is what the rows allow."""
    value = measured(gap(parted(build, {"f": (50, 10, 5, 50), "m": (50, 10, 5, 50)}), "equal_opportunity"))
    assert (value.value, value.low) == (0.0, 0.0)
    assert 0.05 < value.high < 0.2


def test_small_groups_get_no_verdict_and_are_named(build, measured):
    """The rows that count are positives here; a group of three is in the note, not in the gap."""
    value = measured(gap(parted(build, {**COUNTS, "x": (0, 3, 0, 300)}), "equal_opportunity"))
    assert value.value == pytest.approx(0.2)
    assert "not judged, under 30 rows that count: x" in value.note
    refused = gap(parted(build, {"f": (56, 14, 20, 110), "x": (0, 3, 0, 300)}), "equal_opportunity")
    assert isinstance(refused, Unmeasured)
    assert "too small: x" in refused.reason


def test_a_column_of_keys_does_not_fill_the_page(build):
    """Of 400 groups that are too small, eight are named and the others are counted."""
    refused = gap(parted(build, {f"r{place}": (1, 0, 0, 0) for place in range(400)}), "demographic_parity")
    assert isinstance(refused, Unmeasured)
    assert refused.reason.endswith("r104 with 1 and 392 more)")


def test_more_groups_are_more_chances(build, measured):
    """A third group alike to one of the two widens the interval (Bonferroni), at the same gap."""
    two = measured(gap(parted(build, COUNTS), "equal_opportunity"))
    three = measured(gap(parted(build, {**COUNTS, "x": COUNTS["f"]}), "equal_opportunity"))
    assert three.value == pytest.approx(two.value)
    assert three.high > two.high
    assert "Bonferroni" in three.method


def test_the_interval_covers_the_true_gap(build):
    """Two groups with recalls .9 and .8: the interval misses .1 in at most 6 % of 200 draws."""
    generator = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        hits = generator.binomial(80, [0.9, 0.8])
        counts = {name: (int(hit), 80 - int(hit), 5, 5) for name, hit in zip("fm", hits, strict=True)}
        value = gap(parted(build, counts), "equal_opportunity")
        missed += not value.low <= 0.1 <= value.high
    assert missed / 200 <= 0.06


def test_groups_may_be_an_expression(build, measured):
    """Groups by age band; a missing age is neither young nor old only if the expression says so."""
    p, truth = np.ones(80), np.ones(80, dtype=int)
    age = np.concatenate([np.full(40, 30.0), np.full(40, 70.0)])
    evidence = build.binary(p, truth, columns={"age": age})
    value = measured(fairness(evidence, "equal_opportunity", evidence.everything, {"groups": "age >= 60"}))
    assert "false and true" in value.note


def test_rows_without_a_group_are_counted(build, measured):
    """A missing group is nobody's, and the note says how many rows that were."""
    evidence = parted(build, {**COUNTS, None: (4, 0, 0, 3)})
    assert "7 rows without a group" in measured(gap(evidence, "equal_opportunity")).note


def test_regression_has_cost_parity_only(build, measured):
    """A regression compares mean costs; the other definitions have a reason."""
    columns = {"sex": np.repeat(np.array(["f", "m"], dtype=object), 40)}
    evidence = build.values(np.repeat([1.0, 3.0], 40), np.zeros(80), columns=columns)
    assert measured(gap(evidence, "cost_parity")).value == pytest.approx(2.0)
    assert "compares classes" in gap(evidence, "equal_opportunity").reason
    assert "no definition" in gap(evidence, "kindness").reason


def test_several_classes_take_the_worst(build, measured):
    """Without a class named, the largest gap over all classes counts."""
    truth = np.tile([0, 1, 2], 60)
    said = truth.copy()
    groups = np.repeat(np.array(["f", "m"], dtype=object), 90)
    said[(truth == 2) & (groups == "m")] = 0
    contract = build.contract(Task.MULTICLASS)
    evidence = build.classes(np.eye(3)[said], truth, columns={"sex": groups}, contract=contract)
    assert measured(gap(evidence, "equal_opportunity")).value == 1.0
    assert measured(gap(evidence, "equal_opportunity", **{"class": "b"})).value == 0.0

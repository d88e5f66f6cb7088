"""Clauses that may be looked at any time: what each interval claims, by hand and over many streams."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import DataTerms, FieldTerms, FieldType, SourceKind, SourceTerms
from geartrain.domain.finding import Guarantee
from geartrain.domain.roles import Role
from geartrain.evaluation.anytime import at_all_times
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.metrics import measure
from geartrain.evaluation.prices import price_range
from geartrain.stats.bounded import ConfidenceSequence, Scale, extend, over_time
from geartrain.stats.bounded_pairs import auc_over_time, calibration_over_time

LOOKS = (60, 300, 1000)
STREAMS = 40
BAR = 0.05 + 2 * math.sqrt(0.05 * 0.95 / STREAMS)


def _clause(metric, *, section="success", bound=0.5, relative_to=None, **parameters):
    return Clause(
        path=f"{section}.{metric}",
        metric=metric,
        owner=Role.PRODUCT,
        comparison=Comparison.AT_MOST,
        bound=bound,
        relative_to=relative_to,
        parameters=tuple(parameters.items()),
    )


def _stream(seed, rows=1000, **more):
    """Honest probabilities of a rare class, decided at 1/51, and two groups."""
    chance = np.random.default_rng(seed)
    said = chance.beta(0.3, 8.0, size=rows)
    truth = chance.uniform(size=rows) < said
    return (
        said,
        truth.astype(int),
        {"site": np.where(chance.uniform(size=rows) < 0.4, "A", "B").astype(object)},
    )


def test_f1_is_the_share_of_rows_involved_seen_through_a_curve(build):
    """The value is the plain F1, and its ends are 2 J / (1 + J) of the ends of J = TP / (TP + FP + FN)'s sequence."""
    said, truth, _ = _stream(1)
    evidence = build.binary(said, truth)
    acted = said >= 1 / 51
    involved = acted | (truth == 1)
    hits = (acted & (truth == 1))[involved]
    share = over_time(hits.astype(float), confidence=0.95)

    seen = at_all_times(evidence, _clause("f1"))

    tp, fp, fn = int(hits.sum()), int((acted & (truth == 0)).sum()), int((~acted & (truth == 1)).sum())
    assert seen.value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert (seen.low, seen.high) == pytest.approx(
        tuple(2 * end / (1 + end) for end in (share.low, share.high))
    )
    assert (seen.relevant, seen.rows, seen.guarantee) == (int(involved.sum()), 1000, Guarantee.AT_ALL_TIMES)


def test_an_f1_holds_at_all_looks(build):
    """The F1 that 400,000 rows of the same kind have is in every interval of at least 95 % of streams, less 2 sd."""
    said, truth, _ = _stream(999, rows=400_000)
    true = measure(build.binary(said, truth), "f1").value
    missed = 0
    for seed in range(STREAMS):
        said, truth, _ = _stream(seed)
        seen = [at_all_times(build.binary(said[:n], truth[:n]), _clause("f1")) for n in LOOKS]
        missed += any(not one.low <= true <= one.high for one in seen)

    assert missed / STREAMS <= BAR


def test_calibration_at_a_threshold_holds_at_all_looks_and_finds_what_is_off(build):
    """Honest probabilities are never proven to be off in at least 95 % of streams, less 2 sd; ones that are too low by twenty times are."""
    wrong = found = 0
    for seed in range(STREAMS):
        chance = np.random.default_rng(seed)
        said = chance.uniform(0.0, 0.2, size=1000)
        honest, off = ((chance.uniform(size=1000) < times * said).astype(int) for times in (1, 20))
        seen = [
            at_all_times(build.binary(said[:n], honest[:n]), _clause("calibration_at_threshold"))
            for n in LOOKS
        ]
        wrong += any(not one.low <= 0 <= one.high for one in seen)
        found += at_all_times(build.binary(said, off), _clause("calibration_at_threshold")).low > 0

    assert wrong / STREAMS <= BAR
    assert found >= 0.9 * STREAMS


def test_calibration_at_a_threshold_says_which_rows_it_looked_at(build):
    """About a tenth of the rows; what comes later does not change which."""
    said, truth, _ = _stream(1)

    seen = at_all_times(build.binary(said, truth), _clause("calibration_at_threshold"))

    assert 100 <= seen.relevant <= 130
    assert f"the {seen.relevant} rows that were among the nearest 10% when they came" in seen.note
    assert isinstance(
        at_all_times(
            build.binary([0.5], [1], contract=build.contract(costs=build.costs("0", "0"))),
            _clause("calibration_at_threshold"),
        ),
        Unmeasured,
    )


def test_calibration_between_groups_is_the_worst_group_at_its_own_level(build):
    """The first group to appear has 6 / pi^2 of alpha, the second a quarter of that; the largest ends count."""
    said, truth, columns = _stream(1)
    evidence = build.binary(said, truth, columns=columns)
    first, second = dict.fromkeys(columns["site"].tolist())
    each = [
        calibration_over_time(
            said[columns["site"] == name],
            truth[columns["site"] == name].astype(float),
            confidence=1 - 0.05 * 6 / math.pi**2 / place**2,
        )
        for place, name in enumerate((first, second), start=1)
    ]

    seen = at_all_times(
        evidence, _clause("calibration_within_groups", section="fairness", groups="site", smallest_group=5)
    )

    assert seen.value == max(one.value for one in each)
    assert (seen.low, seen.high) == (max(one.low for one in each), max(one.high for one in each))
    assert seen.guarantee is Guarantee.AT_ALL_TIMES


def test_calibration_between_groups_holds_at_all_looks(build):
    """Honest groups are proven to be off in at most 5 % of streams, plus 2 sd; one that is off is found."""
    clause = _clause("calibration_within_groups", section="fairness", groups="site", smallest_group=5)
    wrong = found = 0
    for seed in range(STREAMS):
        chance = np.random.default_rng(seed)
        said = chance.uniform(size=1000)
        site = np.where(chance.uniform(size=1000) < 0.4, "A", "B").astype(object)
        honest = (chance.uniform(size=1000) < said).astype(int)
        off = (chance.uniform(size=1000) < np.where(site == "A", said / 3, said)).astype(int)
        for n in LOOKS:
            seen = at_all_times(build.binary(said[:n], honest[:n], columns={"site": site[:n]}), clause)
            if seen.low > 0:
                wrong += 1
                break
        found += at_all_times(build.binary(said, off, columns={"site": site}), clause).low > 0.1

    assert wrong / STREAMS <= BAR
    assert found >= 0.9 * STREAMS


def test_an_auc_of_several_classes_is_the_mean_of_each_against_the_rest(build):
    """Each class's pieces have a third of alpha; the mean of the ends is the mean's."""
    chance = np.random.default_rng(1)
    truth = chance.integers(0, 3, size=600)
    raw = chance.uniform(size=(600, 3)) + 0.5 * np.eye(3)[truth]
    values = raw / raw.sum(axis=1, keepdims=True)
    each = [auc_over_time(values[:, k], truth == k, confidence=1 - 0.05 / 3) for k in range(3)]

    seen = at_all_times(build.classes(values, truth), _clause("auc"))

    assert seen.value == pytest.approx(np.mean([one.value for one in each]))
    assert (seen.low, seen.high) == pytest.approx(
        (np.mean([one.low for one in each]), np.mean([one.high for one in each]))
    )
    assert (seen.confidence, seen.guarantee) == (0.95, Guarantee.AT_ALL_TIMES)


def test_a_log_loss_is_bounded_by_where_it_is_cut(build):
    """Its value is the plain one, also where a row was called impossible and happened."""
    said, truth, _ = _stream(1)
    said[0], truth[0] = 0.0, 1

    seen = at_all_times(build.binary(said, truth), _clause("log_loss"))

    assert seen.value == pytest.approx(measure(build.binary(said, truth), "log_loss").value)
    assert 0 <= seen.low < seen.value < seen.high < 34


def _priced(build, *, most=1500.0):
    """A contract whose missed cases cost the row's amount, of which a least and a most are stated."""
    source = SourceTerms(
        name="payments",
        kind=SourceKind.DECISIONS,
        key="id",
        fields=(FieldTerms(name="amount", type=FieldType.NUMBER, minimum=0.0, maximum=most),),
    )
    costs = build.costs(false_negative="amount", false_positive="4 + 0.05 * amount")
    return replace(build.contract(costs=costs), data=DataTerms(sources=(source,)))


def test_a_cost_that_reads_a_column_is_bounded_by_what_the_contract_states_of_it(build):
    """The dearest row costs 1500; the cost has the sequence of that range, and so has its fraction of a baseline's."""
    said, truth, _ = _stream(1)
    amount = np.random.default_rng(2).exponential(80.0, size=1000)
    evidence = build.binary(said, truth, columns={"amount": amount}, contract=_priced(build))

    scale = price_range(evidence.contract, evidence.rule, evidence.columns)
    seen = at_all_times(evidence, _clause("expected_cost"))
    fraction = at_all_times(evidence, _clause("expected_cost", relative_to="always-follow-up"))

    by_hand = extend(ConfidenceSequence(alpha=0.05), evidence.costs / 1500)
    assert (scale.low, scale.high) == pytest.approx((0.0, 1500.0))
    assert (seen.low, seen.value, seen.high) == pytest.approx(
        (1500 * by_hand.low, evidence.costs.mean(), 1500 * by_hand.high), rel=1e-6
    )
    assert (seen.guarantee, fraction.guarantee) == (Guarantee.AT_ALL_TIMES, Guarantee.AT_ALL_TIMES)
    assert fraction.low <= fraction.value <= fraction.high


def test_a_cost_without_a_stated_bound_has_no_form_for_all_times(build):
    """No `max`, or a row beyond it: what one row can do is not known, and nothing is claimed."""
    said, truth, _ = _stream(1)
    columns = {"amount": np.full(1000, 2000.0)}

    assert (
        at_all_times(
            build.binary(said, truth, columns=columns, contract=_priced(build, most=None)),
            _clause("expected_cost"),
        )
        is None
    )
    assert (
        at_all_times(
            build.binary(said, truth, columns=columns, contract=_priced(build)), _clause("expected_cost")
        )
        is None
    )


def test_prices_without_columns_keep_their_range(build):
    """The contract's own numbers, and nothing beside them."""
    said, truth, _ = _stream(1)
    evidence = build.binary(said, truth)
    assert price_range(evidence.contract, evidence.rule, {}) == Scale(low=0.0, high=50.0)

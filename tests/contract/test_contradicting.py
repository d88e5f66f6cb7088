"""Promises that cannot both hold are named before anything is trained."""

from __future__ import annotations

import pytest

from geartrain.contract.contradicting import contradictions
from geartrain.contract.parsing import parse
from geartrain.errors import ContractInvalid

PAIRS = {
    "bounds": (
        (
            "recall: {at_least: 0.8, owner: domain}",
            "recall: {at_least: 0.8}\n  less: {metric: recall, at_most: 0.7}",
        ),
        "success.less",
        "cannot both hold",
    ),
    "bad side": (
        ("recall: {at_least: 0.8,", "recall: {at_most: 0.8,"),
        "success.recall",
        "recall is better when higher",
    ),
    "latencies": (
        ("latency_p50: 20 ms", "latency_p50: 200 ms"),
        "budget.latency_p50",
        "half of the answers may not be slower",
    ),
    "rises and falls": (
        ("invariant_to: seen_at", "falls_with: noise_db"),
        "plausibility.clock_blind",
        "cannot both hold",
    ),
    "forbidden and used": (
        ("forbidden: [night_id]", "forbidden: [noise_db]"),
        "plausibility.louder_is_worse",
        "is forbidden by `plausibility.no_identity`",
    ),
    "a free error": (
        ("true_positive: -50", "true_negative: 300"),
        "costs.false_positive",
        "being wrong costs no more than being right",
    ),
    "one person, two roles": (
        ("science: [Sid Sample]", "science: [Ed Core]"),
        "release.sign",
        "too few people",
    ),
    "canary shrinks": (("canary: 0.5", "canary: 0.05"), "release.rollout.2", "no more traffic"),
    "shadow after canary": (
        ("{canary: 0.5, bake: 2 days}", "{shadow: 2 days}"),
        "release.rollout.2",
        "a shadow comes before any canary",
    ),
    "schedule and cool-down": (
        ("every: 90 days", "every: 10 days"),
        "retraining.every",
        "shorter than the cool-down",
    ),
    "a price without a slot": (
        (
            "  every: 90 days\n  window: 700 days\n  trials: 8\n  action: shadow\n  cool_down: 14 days\n",
            "  cool_down: 0 days\n",
        ),
        "retraining.refit_costs",
        "nothing says when the next retraining could begin",
    ),
    "window and label delay": (
        ("window: 700 days", "window: 14 days"),
        "retraining.window",
        "no row in this window is old enough",
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_each_contradiction_is_named_at_its_place(complete: str, pair: str) -> None:
    """The problem stands at the second half and names the first."""
    edit, path, said = PAIRS[pair]
    assert edit[0] in complete

    with pytest.raises(ContractInvalid) as caught:
        parse(complete.replace(*edit, 1))

    (problem,) = caught.value.problems
    assert problem.path == path
    assert said in problem.message
    assert problem.line > 1


def test_a_range_is_no_contradiction(complete: str) -> None:
    """A bound on the bad side beside one on the good side says "too good to be true"."""
    text = complete.replace(
        "recall: {at_least: 0.8, owner: domain}",
        "recall: {at_least: 0.8}\n  too_good: {metric: recall, at_most: 0.99, because: it would be a leak}",
    )

    assert contradictions(parse(text)) == ()


def test_other_slices_do_not_contradict(complete: str) -> None:
    """Two bounds on different rows are two promises."""
    text = complete.replace(
        "recall: {at_least: 0.8, owner: domain}",
        "recall: {at_least: 0.8}\n"
        "  a: {metric: recall, where: age > 100, at_least: 0.5}\n"
        "  b: {metric: recall, where: age > 100, at_most: 0.7}",
    )

    assert contradictions(parse(text)) == ()


def test_one_person_may_hold_two_roles_where_that_is_said(complete: str) -> None:
    """`two_roles_one_person` lifts the demand."""
    text = complete.replace("science: [Sid Sample]", "science: [Ed Core]").replace(
        "two_roles_one_person: false", "two_roles_one_person: true"
    )

    assert contradictions(parse(text)) == ()


def test_costs_that_depend_on_the_row_are_not_prejudged(complete: str) -> None:
    """Only constant costs can be compared without rows."""
    text = complete.replace("true_positive: -50", "true_positive: diameter")

    assert contradictions(parse(text)) == ()

"""Rows whose truth nobody knows yet: what can be asked of a model all the same."""

import json

import numpy as np
import pytest

from geartrain.domain.clause import Stage
from geartrain.domain.finding import Status
from geartrain.domain.rule import rule_of
from geartrain.evaluation.asking import judge_traffic
from geartrain.evaluation.scene import Traffic

ROWS = 500


@pytest.fixture
def found(build):
    """The live findings about a model that reads x0, by clause, with or without exact contributions."""

    def judged(*clauses, exact=True, rows=ROWS):
        generator = np.random.default_rng(1)
        matrix = generator.normal(size=(rows, 2)).astype(np.float32)
        contract = build.contract(clauses=clauses, costs=build.costs("1", "1"))
        traffic = Traffic(
            contract=contract,
            rule=rule_of(contract, ("benign", "malignant")),
            rows=rows,
            columns={
                "x0": matrix[:, 0].astype(float),
                "x1": matrix[:, 1].astype(float),
                "sign": np.where(matrix[:, 0] > 0, "up", "down").astype(object),
            },
        )
        view = build.view(
            matrix,
            build.says(lambda m: 1 / (1 + np.exp(-2 * m[:, 0]))),
            contributions=(lambda m: np.column_stack([m[:, 0], 0 * m[:, 0]]).astype(float))
            if exact
            else None,
        )
        findings = judge_traffic(traffic, view, clauses, stage=Stage.LIVE, now=build.now)
        return {one.clause: one for one in findings}

    return judged


def test_what_needs_no_truth_is_judged(build, found):
    """Directions, invariance, forbidden columns, shares, proxies and known cases have their answers live."""
    seen = found(
        build.clause("plausibility.up", "rises_with", at_most=0.02, parameters={"column": "x0"}),
        build.clause("plausibility.down", "falls_with", at_most=0.02, parameters={"column": "x0"}),
        build.clause("plausibility.blind", "invariant_to", at_most=0.02, parameters={"column": "x1"}),
        build.clause("plausibility.not", "forbidden", at_most=0, parameters={"columns": ("x0",)}),
        build.clause("plausibility.one", "largest_share", at_most=0.6),
        build.clause("plausibility.hidden", "proxy_of", at_most=0.6, parameters={"attribute": "sign"}),
        build.clause(
            "plausibility.known",
            "cases",
            at_most=0,
            parameters={"cases": json.dumps([{"row": {"x0": 3.0}, "action": "biopsy"}])},
        ),
    )

    assert {path.removeprefix("plausibility."): one.status for path, one in seen.items()} == {
        "up": Status.KEPT,
        "down": Status.BROKEN,
        "blind": Status.KEPT,
        "not": Status.BROKEN,
        "one": Status.BROKEN,
        "hidden": Status.BROKEN,
        "known": Status.KEPT,
    }
    assert seen["plausibility.not"].message == (
        "the answer rests for 100 % on x0, which the domain expert says must not be used: broken"
    )


def test_what_needs_the_truth_says_so(build, found):
    """Stability, earned places and shares without exact contributions wait for labels."""
    seen = found(
        build.clause("plausibility.same", "stable_across", at_most=0.5, parameters={"column": "sign"}),
        build.clause("plausibility.works", "earns_its_place", at_most=0.05, parameters={"columns": ("x0",)}),
        build.clause("plausibility.one", "largest_share", at_most=0.6),
        exact=False,
    )

    assert {one.status for one in seen.values()} == {Status.NOT_MEASURED}
    assert "the truth of these rows is not known yet" in seen["plausibility.same"].message
    assert "only seen where the truth is known" in seen["plausibility.one"].message


def test_other_sections_stages_and_no_rows_are_left_out_or_said(build, found):
    """Only plausibility that is due now is judged; no row and a broken slice have their reasons."""
    clause = build.clause("plausibility.up", "rises_with", at_most=0.02, parameters={"column": "x0"})
    other = build.clause("success.recall", "recall", at_least=0.9)
    later = build.clause("plausibility.later", "rises_with", at_most=0.02, stages=(Stage.RELEASE,))
    sliced = build.clause(
        "plausibility.up", "rises_with", at_most=0, where="moon > 1", parameters={"column": "x0"}
    )

    assert list(found(clause, other, later)) == ["plausibility.up"]
    assert "not one row" in found(clause, rows=0)["plausibility.up"].message
    assert "cannot be read" in found(sliced)["plausibility.up"].message

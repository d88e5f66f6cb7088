"""A finding says what was seen in words that its owner uses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from geartrain.domain.clause import Clause, Comparison, Parameter, Stage
from geartrain.domain.finding import Measurement, judge
from geartrain.domain.roles import Role


def _message(path: str, metric: str, bound: float, seen: Measurement, **parameters: Parameter) -> str:
    clause = Clause(
        path=path,
        metric=metric,
        comparison=Comparison.AT_MOST,
        bound=bound,
        owner=Role.DOMAIN,
        because="the expert says so.",
        parameters=tuple(sorted(parameters.items())),
    )
    return judge(clause, seen, stage=Stage.RELEASE, now=datetime(2026, 1, 1, tzinfo=UTC)).message


SEEN = Measurement(value=0.14, low=0.12, high=0.16, rows=2000)


@pytest.mark.parametrize(
    ("metric", "parameters", "begins"),
    [
        (
            "invariant_to",
            {"column": "shoe_size"},
            "14 % (12 to 16) of the decisions change when nothing but `shoe_size` does, promised at most 1 %: broken",
        ),
        (
            "rises_with",
            {"column": "debts"},
            "14 % (12 to 16) of the rows get a lower answer somewhere when `debts` rises, promised at most 1 %: broken",
        ),
        (
            "proxy_of",
            {"attribute": "sex"},
            "the features give `sex` away with an AUC of 0.14 (0.12 to 0.16), where guessing has 0.5, promised at most 0.01: broken",
        ),
        (
            "forbidden",
            {"columns": ("age", "sex")},
            "0.14 (0.12 to 0.16) of the features read one of (age, sex), promised at most 0.01: broken",
        ),
    ],
)
def test_what_a_domain_expert_promised_is_told_in_their_words(
    metric: str, parameters: dict[str, Parameter], begins: str
) -> None:
    """The column and the decision, not the metric's name; and why it was promised, where it is not kept."""
    said = _message("plausibility.one", metric, 0.01, SEEN, **parameters)

    assert said == f"{begins}; it was promised because the expert says so"


def test_a_gap_between_groups_is_told_in_points() -> None:
    """Between which groups, of what, and by how much."""
    said = _message("fairness.one", "demographic_parity", 0.2, SEEN, groups="sex")

    assert said == (
        "between the groups of `sex`, how often the action is taken differs by 14 points (12 to 16),"
        " promised at most 20 points: kept"
    )


def test_other_quantities_keep_their_name_and_unit() -> None:
    """A metric of the contract's own table is told by its name."""
    assert _message("success.brier", "brier", 0.2, SEEN).startswith("brier is 0.14 (0.12 to 0.16), promised")

"""What a domain expert promised is told in their words: columns, decisions, groups, and why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from geartrain.domain.clause import Clause, Comparison, Parameter, Stage
from geartrain.domain.finding import Measurement
from geartrain.domain.roles import Role
from geartrain.evaluation.judging import finding_of

SEEN = Measurement(value=0.14, low=0.12, high=0.16, rows=2000)


def _told(
    path: str,
    metric: str,
    bound: float,
    comparison: Comparison = Comparison.AT_MOST,
    **parameters: Parameter,
) -> str:
    clause = Clause(
        path=path,
        metric=metric,
        comparison=comparison,
        bound=bound,
        owner=Role.DOMAIN,
        because="the works\n council says so.",
        parameters=tuple(sorted(parameters.items())),
    )
    return finding_of(clause, SEEN, stage=Stage.RELEASE, now=datetime(2026, 1, 1, tzinfo=UTC)).message


@pytest.mark.parametrize(
    ("metric", "parameters", "said"),
    [
        (
            "invariant_to",
            {"column": "shoe_size"},
            "the decision changes for 14 % (12 to 16) of the rows when only shoe_size does, promised at most 1 %",
        ),
        (
            "rises_with",
            {"column": "debts"},
            "the answer falls for 14 % (12 to 16) of the rows when debts rises, promised at most 1 %",
        ),
    ],
)
def test_a_promise_that_is_not_kept_says_why_it_was_made(
    metric: str, parameters: dict[str, Parameter], said: str
) -> None:
    """One sentence: what the model does, what was promised, the status, and the expert's own reason."""
    told = _told("plausibility.one", metric, 0.01, **parameters)

    assert told == f"{said}: broken; it was promised because the works council says so"


@pytest.mark.parametrize(
    ("groups", "named"),
    [
        ("sex", "sex"),
        (("sex", "site"), "sex and site"),
        ("'young' if age < 30 else 'old'", "young_and_old"),
    ],
)
def test_a_gap_between_groups_is_told_in_points(groups: Parameter, named: str) -> None:
    """Groups go by their column, or by the clause's name where they are an expression; kept needs no reason."""
    told = _told("fairness.young_and_old", "demographic_parity", 0.2, groups=groups)

    assert told == (
        f"between the groups of {named}, how often the action is taken differs by 14 points (12 to 16),"
        " promised at most 20: kept"
    )


def test_a_ratio_between_groups_is_told_as_a_share() -> None:
    """The four-fifths rule asks for the smaller as a share of the larger."""
    told = _told(
        "fairness.one", "demographic_parity", 0.8, Comparison.AT_LEAST, groups="sex", compare="ratio"
    )

    assert "the smaller value of how often the action is taken is 14 % (12 to 16) of the larger one" in told
    assert "promised at least 80 %: broken" in told

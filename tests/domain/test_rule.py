"""The rule: what it reads when it decides, and whether the contract lets it."""

import pytest

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import Abstention, Contract, CostEntry, CostTerms, DecisionTerms, ProductTerms
from geartrain.domain.roles import Role
from geartrain.domain.rule import DecisionRule, may_read_groups
from geartrain.domain.task import Task


def rule(*groups):
    return DecisionRule(
        task=Task.BINARY,
        classes=("no", "yes"),
        actions=("no", "yes"),
        costs=CostTerms(entries=(CostEntry(name="fn", action="no", truth="yes", cost="amount"),)),
        abstain=Abstention(when_cheaper=True, then="ask", cost="hours * 2"),
        groups=groups,
    )


def contract(groups, mitigations):
    parameters = (("groups", groups), ("mitigations", mitigations))
    clause = Clause(
        path="fairness.alike",
        metric="equal_opportunity",
        owner=Role.DOMAIN,
        comparison=Comparison.AT_MOST,
        bound=0.1,
        parameters=parameters,
    )
    return Contract(
        product=ProductTerms(name="p", title="P", problem="?"),
        decision=DecisionTerms(task=Task.BINARY, unit="row", label="y"),
        team=(),
        clauses=(clause,),
    )


def test_what_deciding_reads():
    """Costs, the price of handing over, and groups: each column once, sorted."""
    assert rule("sex", "age >= 60").columns == ("age", "amount", "hours", "sex")


@pytest.mark.parametrize(
    ("own", "groups", "mitigations", "allowed"),
    [
        ((), "sex", (), True),
        (("sex",), "sex", ("thresholds",), True),
        (("sex",), "sex", ("reweighing",), False),
        (("sex",), "age", ("thresholds",), False),
        (("sex", "age"), ("sex", "age"), ("reweighing", "thresholds"), True),
    ],
)
def test_only_a_clause_that_allows_it_lets_a_rule_read_groups(own, groups, mitigations, allowed):
    """A rule by group needs a clause about these very groups with `thresholds` among its mitigations."""
    assert may_read_groups(contract(groups, mitigations), rule(*own)) is allowed

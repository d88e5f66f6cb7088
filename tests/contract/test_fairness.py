"""What a contract may say about costs, handing over and groups, and what it is told where that makes no sense."""

import pytest

from geartrain.contract.parsing import parse
from geartrain.domain.clause import Comparison
from geartrain.errors import ContractInvalid

HEAD = """\
product: {name: coin, title: Coins, problem: which ones are false}
team: {product: [Ann], domain: [Bo]}
"""
DECISION = "decision: {task: binary, unit: a coin, label: false_coin, positive: 1, negative: 0}\n"


def fair(text):
    return parse(HEAD + DECISION + "fairness: {alike: {because: the law, " + text + "}}\n")


def problems(text):
    with pytest.raises(ContractInvalid) as refused:
        parse(text)
    return str(refused.value)


def test_groups_may_be_crossed():
    """One expression stays as it was; several are a list in the clause."""
    one = fair("groups: sex, definition: equal_opportunity, at_most: 0.1").clause("fairness.alike")
    assert one.parameter("groups") == "sex"
    two = fair('groups: [sex, "age >= 60"], definition: equal_opportunity, at_most: 0.1').clause(
        "fairness.alike"
    )
    assert two.parameter("groups") == ("sex", "age >= 60")


def test_a_ratio_is_promised_from_below():
    """Four fifths: at_least, and the clause says that it compares by ratio."""
    clause = fair("groups: sex, definition: demographic_parity, at_least: 0.8").clause("fairness.alike")
    assert (clause.comparison, clause.bound) == (Comparison.AT_LEAST, 0.8)
    assert clause.parameter("compare") == "ratio"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("groups: sex, definition: equal_opportunity", "promises nothing"),
        ("groups: sex, definition: equal_opportunity, at_most: 0.1, at_least: 0.8", "has two bounds"),
        ("groups: sex, definition: calibration_within_groups, at_least: 0.8", "has no ratio"),
        ("groups: [], definition: equal_opportunity, at_most: 0.1", "groups"),
    ],
)
def test_a_promise_that_is_none_is_refused(said, told):
    """Each slip is told in its own words."""
    assert told in problems(HEAD + DECISION + "fairness: {alike: {because: the law, " + said + "}}\n")


def test_an_abstention_has_a_price():
    """Were it free, a model that never decides would cost least: the price must be said, 0 where it is meant."""
    decision = DECISION.rstrip("}\n")
    silent = problems(HEAD + decision + ", abstain: {when_cheaper: true, then: ask Bo}}\n")
    assert "nothing says what an abstention costs" in silent
    said = parse(HEAD + decision + ", abstain: {when_cheaper: true, then: ask Bo, cost: 0.2}}\n")
    assert said.decision.abstain.when_cheaper
    assert said.decision.abstain.cost == "0.2"
    assert "nothing says when" in problems(HEAD + decision + ", abstain: {then: ask Bo, cost: 1}}\n")


def test_errors_that_pay_are_refused():
    """A false alarm that earns more than leaving things alone is no error."""
    found = problems(HEAD + DECISION + "costs: {false_negative: 5, false_positive: -1}\n")
    assert "nothing to decide" in found

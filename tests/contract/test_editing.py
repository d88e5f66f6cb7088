import pytest

from geartrain.contract.editing import Leaf, changed, leaves_of
from geartrain.contract.parsing import parse
from geartrain.errors import ContractUnreadable

TEXT = """\
# why we are here
success:
  recall: {at_least: 0.97, owner: domain}   # the board's number
  cost:
    at_most: 3
    because: "it is: dear"
budget:
  latency_p99: 10 ms
"""


def test_only_what_is_meant_changes():
    """Comments, order and quotes of everything else stay as they were."""
    after = changed(TEXT, "success.recall", {"at_least": "0.95"})
    assert after == TEXT.replace("0.97", "0.95")


def test_an_empty_value_is_taken_out_and_a_new_one_is_added():
    """A form's empty field takes its word out of the text."""
    after = changed(TEXT, "success.cost", {"at_most": "3", "because": "", "severity": "warn"})
    assert leaves_of(after, "success.cost") == (
        Leaf(name="at_most", value="3"),
        Leaf(name="severity", value="warn"),
        Leaf(name="because", value=""),
        Leaf(name="owner", value=""),
    )


def test_a_bare_value_is_a_leaf_without_a_name():
    """A promise spelled as one value can be edited too."""
    assert leaves_of(TEXT, "budget.latency_p99") == (Leaf(name="", value="10 ms"),)
    assert "latency_p99: 12 ms" in changed(TEXT, "budget.latency_p99", {"": "12 ms"})


def test_a_new_clause_gets_its_section():
    """A clause in a section that is not there yet makes the section."""
    after = changed(TEXT, "plausibility.more", {"rises_with": "amount", "because": "money: it matters"})
    assert leaves_of(after, "plausibility.more")[:2] == (
        Leaf(name="rises_with", value="amount"),
        Leaf(name="because", value="money: it matters"),
    )
    assert after.startswith("# why we are here")


def test_what_would_be_nested_stays_a_text():
    """A person who writes a colon does not write a mapping."""
    after = changed(TEXT, "success.cost", {"because": "a: b"})
    assert Leaf(name="because", value="a: b") in leaves_of(after, "success.cost")


def test_what_cannot_be_edited_is_said():
    """No YAML, no place: an error of our own and never a broken text."""
    assert leaves_of(TEXT, "success.no_such") is None
    with pytest.raises(ContractUnreadable, match="not YAML"):
        changed("a: [", "a.b", {"c": "1"})
    with pytest.raises(ContractUnreadable, match="bare value"):
        changed(TEXT, "budget.latency_p99.at_most", {"x": "1"})


@pytest.mark.parametrize("example", ["card-fraud", "tumour-triage"])
def test_an_edited_example_means_what_was_edited(example):
    """The examples' contracts survive an edit with every other clause as it was."""
    from pathlib import Path

    file = Path(__file__).parents[2] / "examples" / example / "product.yaml"
    text = file.read_text(encoding="utf-8")
    before = parse(text, origin="x")
    after = parse(changed(text, "success.expected_cost", {"at_most": "0.123"}), origin="x")
    assert after.clause("success.expected_cost").bound == 0.123
    assert [one.path for one in after.clauses] == [one.path for one in before.clauses]

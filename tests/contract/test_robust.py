"""`robust_to`: what a team may promise about input that goes wrong."""

from __future__ import annotations

import pytest

from geartrain.contract.parsing import parse
from geartrain.contract.wording import sentence
from geartrain.errors import ContractInvalid


def _with(text: str, promise: str) -> str:
    return text.replace("  no_identity:", f"  sturdy: {promise}\n  no_identity:", 1)


@pytest.mark.parametrize(
    ("corruption", "words"),
    [
        ("{missing: noise_db, share: 10 %}", "noise_db is missing in 10 % of the rows"),
        ("{noise: noise_db}", "noise_db moves by a quarter of its spread"),
        ("{unit: age}", "age comes a thousand times too large"),
        ("{unseen: material}", "material has a value that nobody has seen"),
        ("{swapped: [age, diameter]}", "age and diameter change places"),
    ],
)
def test_each_corruption_is_a_clause_in_words(complete: str, corruption: str, words: str) -> None:
    """The rise that is tolerated may be more than the whole cost; the sentence says what goes wrong."""
    clause = parse(_with(complete, f"{{robust_to: {corruption}, at_most: 1.5}}")).clause(
        "plausibility.sturdy"
    )

    assert clause is not None
    assert (clause.metric, clause.bound) == ("robust_to", 1.5)
    assert sentence(clause) == (
        f"the cost rises by at most 150 % of itself when {words} (domain, blocks a release)"
    )


@pytest.mark.parametrize(
    ("promise", "told"),
    [
        ("{robust_to: {missing: age, unit: age}, at_most: 1}", "what goes wrong?"),
        ("{robust_to: {share: 10 %}, at_most: 1}", "what goes wrong?"),
        ("{robust_to: {missing: age}}", "`robust_to` needs a bound"),
        ("{robust_to: {missing: aeg_of_pipe, colour: red}, at_most: 1}", "there is no key `colour` here"),
        ("{robust_to: {missing: noise_bd}, at_most: 1}", "there is no column `noise_bd`"),
    ],
)
def test_slips_are_named(complete: str, promise: str, told: str) -> None:
    """Two corruptions at once, none, no bound, a key and a column that are not there."""
    with pytest.raises(ContractInvalid) as caught:
        parse(_with(complete, promise))
    assert told in "\n".join(one.message for one in caught.value.problems)

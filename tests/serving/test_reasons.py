"""Reasons in words: what the feature is, how unusual its value, and which answer it speaks for."""

import numpy as np
import pytest
from tests.serving.conftest import NOW

from geartrain.domain.contract import CostTerms
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.serving.deciding import decide_rows
from geartrain.serving.reasons import rank_in_words
from geartrain.serving.runtime import ColumnWords, Spread


def spread(values):
    """Rows of these values, each known exactly."""
    ends, counts = np.unique(values, return_counts=True)
    told = tuple(ends.tolist())
    return Spread(lows=told, highs=told, reached=(0, *np.cumsum(counts).tolist()))


WORDS = (
    ColumnWords(
        column="size",
        label="customer's mean amount over 7 days",
        unit="EUR",
        spread=spread(np.linspace(0, 218.5, 101)),
    ),
    ColumnWords(column="age", label="age"),
)


def exact(*sizes):
    """Contributions that are the same for every row, shape (n, outputs, d)."""
    return lambda matrix: np.tile(np.array(sizes, dtype=float), (len(matrix), 1, 1))


def reasons(served, row):
    return decide_rows(served, [row], NOW, ["1"], explain=True).decisions[0].reasons


def test_contributions_speak_for_and_against(make_served):
    """The strongest first, each with its value and how few others reach it."""
    served = make_served(words=WORDS, contribute=exact((1.5, -0.2)))

    assert reasons(served, {"size": 212.0, "age": 50}) == (
        "customer's mean amount over 7 days is 212 EUR, higher than for 97 % of cases: speaks for malignant",
        "age is 50: speaks against malignant",
    )


def test_an_answer_that_says_nothing_by_itself_is_told_with_its_label(make_served):
    """Nobody reads "speaks for true": of `is_fraud` it is fraud, with contributions and without."""
    names = ("false", "true")
    rule = DecisionRule(
        task=Task.BINARY, classes=names, actions=("accept", "stop"), costs=CostTerms(), fallback="stop"
    )

    def predict(matrix):
        p = 1 / (1 + np.exp(10.0 - matrix[:, 0].astype(float)))
        return Predictions(task=Task.BINARY, classes=names, values=np.column_stack([1 - p, p]))

    for contribute, words in (
        (exact((1.5, 0.0)), ": speaks for fraud"),
        (None, "the probability of fraud by"),
    ):
        served = make_served(
            rule=rule, predict=predict, contribute=contribute, label="is_fraud", positive="true"
        )
        assert words in reasons(served, {"size": 12.0, "age": 50})[0]


def test_a_missing_value_is_a_reason_too(make_served):
    """What is missing is said to be missing, and has no rank."""
    served = make_served(words=WORDS, contribute=exact((0.0, -0.2)))

    assert reasons(served, {"size": 212.0}) == ("age is missing: speaks against malignant",)


def test_the_score_of_two_classes_turns_for_the_first_of_them(make_served):
    """Where the product looks for the first class, what raises the score speaks against it."""
    served = make_served(words=WORDS, contribute=exact((1.5, 0.0)), positive="benign")

    assert reasons(served, {"size": 12.0, "age": 5})[0].endswith(
        "lower than for 94 % of cases: speaks against benign"
    )


def test_several_classes_and_values_have_their_own_words(make_served):
    """Of several classes the likeliest is spoken of; a value is raised or lowered."""
    names = ("a", "b", "c")
    rule = DecisionRule(task=Task.MULTICLASS, classes=names, actions=names, costs=CostTerms(), fallback="a")
    several = make_served(
        rule=rule,
        words=(),
        contribute=exact((9, 9), (0.5, -0.1), (9, 9)),
        predict=lambda m: Predictions(
            task=Task.MULTICLASS, classes=names, values=np.tile([0.2, 0.5, 0.3], (len(m), 1))
        ),
    )
    assert reasons(several, {"size": 1, "age": 2}) == (
        "size is 1: speaks for b",
        "age is 2: speaks against b",
    )

    number = DecisionRule(
        task=Task.REGRESSION, classes=(), actions=("predict",), costs=CostTerms(), fallback="predict"
    )
    value = make_served(
        rule=number,
        words=(),
        contribute=exact((-3.0, 0.0)),
        predict=lambda m: Predictions(task=Task.REGRESSION, classes=(), values=m[:, :1] * 2.0),
    )
    assert reasons(value, {"size": 21}) == ("size is 21: lowers the value",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (50.0, ""),
        (97.0, "higher than for 97 % of cases"),
        (2.0, "lower than for 97 % of cases"),
        (-1.0, "lower than in all known cases"),
        (101.0, "higher than in all known cases"),
    ],
)
def test_ranks_are_told_only_where_they_say_something(value, words):
    """Of 100 equally spaced values the middle is ordinary and the ends are named."""
    assert rank_in_words(spread(np.arange(100.0)), value) == words
    assert rank_in_words(None, value) == ""


def test_rows_with_the_same_value_are_neither_lower_nor_higher():
    """Of 48 zeros, 49 ones and 3 twos a zero is ordinary: 52 % are higher, too few to be told."""
    many = spread(np.repeat([0.0, 1.0, 2.0], [48, 49, 3]))
    assert rank_in_words(many, 0.0) == ""
    assert rank_in_words(many, 1.0) == ""
    assert rank_in_words(many, 2.0) == "higher than for 97 % of cases"
    assert rank_in_words(spread(np.repeat([0.0, 1.0], [996, 4])), 1.0) == "higher than for 99 % of cases"

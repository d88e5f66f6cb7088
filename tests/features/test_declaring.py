"""Definitions are plain data with stable names, and nonsense is refused with the place and a hint."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from geartrain.domain.features import Aggregation, FeatureSet, FeatureType, WindowFeature
from geartrain.domain.wire import decode, encode
from geartrain.errors import FeatureInvalid
from geartrain.features.declaring import feature_set, function, lookup, request, window

COUNT = WindowFeature(name="n", source="s", entity="e", aggregation=Aggregation.COUNT)


def test_windows_expand_to_documented_names() -> None:
    """Entity, aggregation, column, width and delay make the name, in the order they were asked for."""
    made = window(
        "tx", entity="card", over=("1d", "1w", None), delay="36 hours", count=True, mean=("amount", "fee"), last_n="amount", n=2
    )  # fmt: skip

    assert [one.name for one in made[:5]] == [
        "card_count_1d_delay_36h",
        "card_mean_amount_1d_delay_36h",
        "card_mean_fee_1d_delay_36h",
        "card_last_1_amount_1d_delay_36h",
        "card_last_2_amount_1d_delay_36h",
    ]
    assert made[5].name == "card_count_7d_delay_36h"
    assert made[10].name == "card_count_delay_36h"
    assert made[10].width_us is None
    assert {one.delay_us for one in made} == {36 * 3_600_000_000}


def test_expressions_get_a_word_in_the_name() -> None:
    """A mapping names the expression; without one its letters do."""
    made = window(
        "tx", entity="card", over="1d", sum={"eur": "amount * rate"}, max="amount * rate", named="spent"
    )

    assert [(one.name, one.column) for one in made] == [
        ("spent_sum_eur_1d", "amount * rate"),
        ("spent_max_amount_rate_1d", "amount * rate"),
    ]


def test_only_the_aggregations_that_keep_values_keep_their_type() -> None:
    """The last country is a category, how many there were is a number."""
    last, distinct = window(
        "tx", entity="card", over="1d", last="country", distinct="country", type="category"
    )

    assert (last.type, distinct.type) == (FeatureType.CATEGORY, FeatureType.NUMBER)


def test_definitions_survive_json_and_keep_their_identity() -> None:
    """A feature set goes into bundles and ledgers; what comes back is the same, by digest too."""
    features = feature_set(
        request("amount", unit="EUR"),
        *window("tx", entity="card", over=(timedelta(days=1), "7d"), decayed_sum="amount", half_life="1d"),
    )

    again = decode(encode(features), FeatureSet)

    assert again == features
    assert again.id == features.id
    assert feature_set(*features.features[:1]).id != features.id


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (replace(COUNT, column="amount"), "takes no column"),
        (replace(COUNT, aggregation=Aggregation.SUM), "needs a column"),
        (replace(COUNT, aggregation=Aggregation.RATIO), "needs a column"),
        (replace(COUNT, width_us=0), "wider than nothing"),
        (replace(COUNT, delay_us=-1), "after the decision"),
        (replace(COUNT, half_life_us=1), "half-life"),
        (replace(COUNT, aggregation=Aggregation.DECAYED_SUM, column="a"), "half-life"),
        (replace(COUNT, aggregation=Aggregation.DECAYED_SUM, column="a", half_life_us=0), "half-life"),
        (replace(COUNT, aggregation=Aggregation.LAST_N, column="a"), "needs n"),
        (replace(COUNT, aggregation=Aggregation.LAST_N, column="a", n=0), "counts from 1"),
        (replace(COUNT, aggregation=Aggregation.MEAN, column="a", type=FeatureType.CATEGORY), "is a number"),
        (replace(COUNT, where="amount >"), "no expression"),
        (replace(COUNT, aggregation=Aggregation.SUM, column="system(1)"), "no expression"),
        (replace(COUNT, name="_n"), "begin with `_`"),
        (request("n", "import os; os.system('x')"), "no expression"),
        (request("n", ""), "empty"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(feature: WindowFeature, message: str) -> None:
    """Each refusal names the feature and says what would be right."""
    with pytest.raises(FeatureInvalid) as refused:
        feature_set(feature)

    assert message in refused.value.message
    assert refused.value.where
    assert refused.value.hint


def test_all_contradictions_are_told_at_once() -> None:
    """Two features of one name and a window without width are one error with both places."""
    with pytest.raises(FeatureInvalid) as refused:
        feature_set(request("a"), request("a"), replace(COUNT, width_us=-5))

    assert refused.value.where == "a, n"
    assert "2 features have one name" in refused.value.found


def test_a_missing_signal_counts_as_a_name() -> None:
    """The 0/1 column of one feature must not take the name of another."""
    with pytest.raises(FeatureInvalid, match="one name"):
        feature_set(request("a", missing_is_signal=True), request("a__missing", "b"))


@pytest.mark.parametrize(
    "asked",
    [
        {"over": "soon"},
        {"over": "0d"},
        {"over": timedelta(0)},
        {"delay": "-1d"},
        {"type": "colour"},
        {"count": False},
        {"last_n": "amount"},
    ],
)
def test_a_window_that_cannot_be_read_is_refused(asked: dict[str, object]) -> None:
    """Durations, types and empty wishes are told apart where they are written."""
    with pytest.raises(FeatureInvalid) as refused:
        window("tx", entity="card", **{"count": True, "over": "1d", **asked})

    assert refused.value.where == "window on tx by card"
    assert refused.value.hint


def test_lookups_and_functions_need_something_to_read() -> None:
    """An empty column, an expression that is none and a function without input are refused together."""

    def one(batch):
        return batch

    with pytest.raises(FeatureInvalid) as refused:
        feature_set(
            lookup("a", "t", entity="e", column=" "),
            lookup("b", "t", entity="e", where="c >"),
            function("c", one),
        )

    assert refused.value.where == "a, b: where, c"


def test_the_digest_of_windows_and_requests_is_what_it_was() -> None:
    """Releases name their definitions by digest: a new kind of feature must not rename the old ones."""
    features = feature_set(
        request("amount"), *window("tx", entity="card", over="1d", count=True, mean="amount")
    )

    assert features.id == "ac8c0035c8e782606fec94cd0e360d0978dc8bba03ca6203d5d708f757a246a9"

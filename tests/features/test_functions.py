"""A team's own functions: known by their text, pure, and the same alone as among others."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from geartrain.domain.features import FeatureSet, FeatureType
from geartrain.domain.wire import decode, encode
from geartrain.errors import FeatureInvalid
from geartrain.features import functions
from geartrain.features.declaring import feature_set, function, request, window
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures

LIMIT = 5


def per_mean(batch):
    return pc.divide(batch["amount"], batch["card_mean_amount_1d"])


def shouted(batch):
    return pc.utf8_upper(batch["word"])


def above(batch):
    return pc.greater(batch["amount"], LIMIT)


def share(batch):
    return pc.divide(batch["amount"], pc.sum(batch["amount"]))


def too_short(batch):
    return pa.array([1.0])


def words(batch):
    return batch["word"]


def fails(batch):
    return batch["nothing of that name"]


FEATURES = feature_set(
    request("amount"),
    *window("paid", entity="card", over="1d", mean="amount"),
    function("amount_per_mean", per_mean, numbers=("amount", "card_mean_amount_1d"), because="a thief takes more"),
    function("loud", shouted, texts=("word",), type="category"),
)  # fmt: skip
KEYS = {"paid": "id"}


def paid() -> pl.DataFrame:
    hours = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (0, 2, 4)]
    return pl.DataFrame(
        {
            "id": [1, 2, 3],
            "card": "a",
            "amount": [2.0, 3.0, None],
            "word": ["so", None, "be it"],
            "_event_time": hours,
            "_arrival_time": hours,
        }
    )


def test_a_function_reads_the_row_and_earlier_features_offline_and_online() -> None:
    """Among others or alone, from a frame or from one request: one value; missing is null."""
    events = paid()
    table = point_in_time(FEATURES, events, {"paid": events}, keys=KEYS)
    state = OnlineFeatures(FEATURES, keys=KEYS)
    state.apply_rows("paid", events)

    served = [state.read(row, int(row["_event_time"].timestamp() * 1e6)) for row in events.to_dicts()]

    assert table["amount_per_mean"].to_list() == [None, 1.5, None]
    assert table["loud"].to_list() == ["SO", None, "BE IT"]
    assert table.to_dicts() == served


def test_a_definition_is_plain_data_named_by_the_functions_text() -> None:
    """It survives JSON, another text is another feature, and declaring calls nothing."""
    again = function("x", fails, numbers=("amount",))

    assert decode(encode(FEATURES), FeatureSet) == FEATURES
    assert again.code != function("x", too_short, numbers=("amount",)).code
    assert again == function("x", fails, numbers=("amount",))
    assert again.reads == (("amount", FeatureType.NUMBER),)


def test_a_function_may_rest_on_nothing_that_could_change_unseen() -> None:
    """Module constants, neighbours' helpers, closures, lambdas and built-ins are refused, with what was found."""
    inner = 3

    def closed(batch):
        return pc.add(batch["amount"], inner)

    for refused, found in [
        (above, "LIMIT"),
        (closed, "inner"),
        (lambda batch: batch["amount"], "lambda"),
        (len, "len"),
    ]:
        with pytest.raises(FeatureInvalid) as error:
            function("x", refused, numbers=("amount",))
        assert found in error.value.found


@pytest.mark.parametrize(
    ("run", "kind", "message"),
    [
        (share, "number", "among others than alone"),
        (too_short, "number", "a value for each row"),
        (words, "number", "no number"),
        (fails, "number", "failed"),
    ],
)
def test_what_a_function_gets_wrong_is_said(run: functions.Function, kind: str, message: str) -> None:
    """Looking across rows, a wrong length or type and an exception name the feature and a way out."""
    features = feature_set(function("x", run, numbers=("amount",), texts=("word",), type=kind))
    rows = pl.DataFrame({"amount": [1.0, 2.0, 3.0], "word": ["a", "b", "c"]})

    with pytest.raises(FeatureInvalid, match=message) as error:
        point_in_time(features, rows, {})
    assert error.value.where == "feature x" and error.value.hint


def test_a_function_that_is_not_loaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A definition without its code says which code it needs; carried over, it works."""
    carried = functions.remembered()
    monkeypatch.setattr(functions, "_known", {})
    rows = pl.DataFrame({"word": ["a"]})
    features = feature_set(function("x", shouted, texts=("word",), type="category"))
    functions._known.clear()

    with pytest.raises(FeatureInvalid, match="not loaded"):
        point_in_time(features, rows, {})
    functions.recall(carried)
    assert point_in_time(features, rows, {})["x"].to_list() == ["A"]


def test_what_is_not_finite_is_missing() -> None:
    """A division by nothing is null, as it is everywhere else."""

    def split(batch):
        import pyarrow.compute as pc

        return pc.divide(batch["amount"], 0.0)

    values = point_in_time(
        feature_set(function("x", split, numbers=("amount",))), pl.DataFrame({"amount": [1.0, 0.0]}), {}
    )

    assert math.inf > 0 and values["x"].to_list() == [None, None]

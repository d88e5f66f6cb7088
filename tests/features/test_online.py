"""Online state: what is taken, what is refused, what survives a snapshot."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from geartrain.errors import FeatureInvalid
from geartrain.features.declaring import feature_set, lookup, request, window
from geartrain.features.online import OnlineFeatures

FEATURES = feature_set(
    request("amount"),
    *window("paid", entity="card", over="10us", count=True, last="shop", type="category"),
)
KEYS = {"paid": "id"}


def state_of(*events: tuple[object, str | None, str, int, int]) -> OnlineFeatures:
    state = OnlineFeatures(FEATURES, keys=KEYS)
    for event_id, card, shop, time, arrival in events:
        state.apply(
            "paid", {"id": event_id, "card": card, "shop": shop}, event_time_us=time, arrival_us=arrival
        )
    return state


def test_a_read_gives_every_feature_in_order() -> None:
    """What the request lacks is None; what nobody knows of the entity is 0 or None."""
    state = state_of((1, "a", "baker", 5, 5))

    assert list(state.read({"card": "a", "amount": 2}, 6).items()) == [
        ("amount", 2.0), ("card_count_10us", 1.0), ("card_last_shop_10us", "baker"),
    ]  # fmt: skip
    assert state.read({}, 6) == {"amount": None, "card_count_10us": 0.0, "card_last_shop_10us": None}


def test_a_correction_counts_from_its_own_arrival_on() -> None:
    """The second delivery of an id replaces the first, even for another card, and never before it was seen."""
    state = state_of((1, "a", "baker", 5, 5), (1, "b", "butcher", 5, 8))

    assert state.read({"card": "a"}, 7)["card_last_shop_10us"] == "baker"
    assert state.read({"card": "a"}, 8)["card_count_10us"] == 0.0
    assert state.read({"card": "b"}, 7)["card_count_10us"] == 0.0
    assert state.read({"card": "b"}, 8)["card_last_shop_10us"] == "butcher"


def test_of_equal_arrivals_the_last_delivered_counts() -> None:
    """A batch that says two things of one event means the later row."""
    state = state_of((1, "a", "baker", 5, 5), (1, "a", "butcher", 5, 5))

    assert state.read({"card": "a"}, 9) == {
        "amount": None,
        "card_count_10us": 1.0,
        "card_last_shop_10us": "butcher",
    }


def test_feeds_are_what_windows_read() -> None:
    """A table that changes slowly is read too, but its silence says nothing about the features' age."""
    features = feature_set(
        *window("paid", entity="card", over="1d", count=True), lookup("limit", "limits", entity="card")
    )
    state = OnlineFeatures(features, keys={**KEYS, "limits": "version"})

    assert (tuple(state.sources), state.feeds) == (("paid", "limits"), ("paid",))


def test_ids_at_one_moment_stand_in_their_order() -> None:
    """Event 10 comes after event 9, in whatever order they were applied."""
    assert (
        state_of((10, "a", "ten", 5, 5), (9, "a", "nine", 5, 5)).read({"card": "a"}, 6)["card_last_shop_10us"]
        == "ten"
    )


def test_what_changes_nothing_is_said() -> None:
    """Another source, a row without an id, and an event that was evicted are not taken."""
    state = state_of((1, "a", "baker", 5, 5))
    state.evict(100)

    assert not state.apply("logins", {"id": 2}, event_time_us=200, arrival_us=200)
    assert not state.apply("paid", {"card": "a"}, event_time_us=200, arrival_us=200)
    assert not state.apply("paid", {"id": 1, "card": "a"}, event_time_us=5, arrival_us=5)
    assert state.apply("paid", {"id": 2, "card": "a"}, event_time_us=90, arrival_us=101)
    assert state.read({"card": "a"}, 101)["card_count_10us"] == 0.0
    assert state.apply_rows("logins", pl.DataFrame({"id": [1]})) == 0


def test_eviction_frees_what_no_window_reaches() -> None:
    """Memory follows the longest window, not history; lateness keeps more."""
    state = state_of(*((n, f"c{n}", "s", n, n) for n in range(100)))

    state.evict(100, lateness_us=5)
    source = state.sources["paid"]

    assert len(source.versions) == len(source.streams[0].logs) == 15


def test_a_batch_needs_its_key_and_clocks() -> None:
    """A frame that did not come through the lake is refused before anything is taken."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    rows = pl.DataFrame({"id": [1, None], "_event_time": [moment] * 2, "_arrival_time": [moment] * 2})
    state = OnlineFeatures(FEATURES, keys=KEYS)

    for column in rows.columns:
        with pytest.raises(FeatureInvalid, match="no column"):
            state.apply_rows("paid", rows.drop(column))
    assert state.latest_arrival_us("paid") is None
    assert state.apply_rows("paid", rows) == 1
    assert state.latest_arrival_us("paid") == int(moment.timestamp() * 1_000_000)
    with pytest.raises(FeatureInvalid, match="nobody said"):
        OnlineFeatures(FEATURES)


def test_only_a_whole_snapshot_of_these_features_is_restored() -> None:
    """Other definitions, other bytes, cut or altered ones are refused, never half believed."""
    content = state_of((1, "a", "baker", 5, 5), (2, "a", "butcher", 6, 6)).snapshot()
    document = msgspec.msgpack.decode(content)
    document["sources"]["paid"][2][0][1][0][1] = b"12345678"

    assert OnlineFeatures.restore(FEATURES, content).snapshot() == content
    for bad in (b"", b"pickle", content[:-3], msgspec.msgpack.encode(document)):
        with pytest.raises(FeatureInvalid):
            OnlineFeatures.restore(FEATURES, bad)
    with pytest.raises(FeatureInvalid, match="other feature definitions"):
        OnlineFeatures.restore(feature_set(request("amount")), content)

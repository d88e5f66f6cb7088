"""Offline, online and a brute-force reading of the rule say the same, however events arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.columns import as_text, microseconds
from geartrain.domain.features import Aggregation, FeatureSet, LookupFeature, WindowFeature
from geartrain.features.algebra import weights
from geartrain.features.declaring import feature_set, lookup, request, window
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures
from geartrain.features.together import TOGETHER

T0 = datetime(2026, 3, 1, tzinfo=UTC)
CLOCK = pl.Datetime("us", "UTC")
SCHEMA = {
    "id": pl.Int64,
    "card": pl.Int64,
    "kind": pl.String,
    "amount": pl.Float64,
    "_event_time": CLOCK,
    "_arrival_time": CLOCK,
}
KEYS = {"paid": "id"}

EVERY = {
    "count": True,
    "time_since": True,
    "sum": "amount",
    "mean": "amount",
    "min": "amount",
    "max": "amount",
    "first": "amount",
    "last": "amount",
    "distinct": "kind",
    "ratio": "amount > 0",
    "decayed_sum": "amount",
    "half_life": "3us",
    "last_n": "amount",
    "n": 2,
}
FEATURES = feature_set(
    request("amount"),
    request("kind", type="category"),
    request("odd", "log1p(amount) * 2 if kind == 'a' else amount ** 2"),
    *window("paid", entity="card", over=("6us", None), **EVERY),
    *window("paid", entity="card", over="4us", delay="2us", **EVERY),
    *window("paid", entity="kind", over="6us", where="amount > 0.1", named="large", **EVERY),
    *window(
        "paid",
        entity="kind",
        over="6us",
        last="card",
        first="kind",
        last_n="kind",
        n=1,
        type="category",
        named="what",
    ),
    lookup("newest_amount", "paid", entity="card", column="amount"),
    request("to_usual", "amount / card_mean_amount_6us"),
    request("to_newest", "newest_amount - to_usual + amount"),
    lookup("newest_kind", "paid", entity="card", column="kind", where="amount > 0.1", type="category"),
    request("as_before", "kind == newest_kind", type="category"),
    lookup("by_id", "paid", entity="card", key="id", column="card", type="category"),
)


def clock(microsecond: int) -> datetime:
    return T0 + timedelta(microseconds=microsecond)


amounts = st.sampled_from([None, 0.1, 0.2, 0.3, -5.5, 3.0, 0.0, -0.0, 1e16, 1e300, float("inf")])
cards = st.sampled_from([1, 2, None])
kinds = st.sampled_from(["a", "b", None])


@st.composite
def deliveries(draw: st.DrawFn) -> list[dict[str, object]]:
    """Events with ties, late ones, deliveries again and corrections; no id arrives twice at one moment."""
    rows = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.integers(0, 14),
                    "card": cards,
                    "kind": kinds,
                    "amount": amounts,
                    "time": st.integers(0, 12),
                    "late": st.sampled_from([0, 0, 0, 1, 4, 9]),
                }
            ),
            max_size=24,
        )
    )
    events = [
        {
            "id": row["id"],
            "card": row["card"],
            "kind": row["kind"],
            "amount": row["amount"],
            "_event_time": clock(row["time"]),
            "_arrival_time": clock(row["time"] + row["late"]),
        }
        for row in rows
    ]
    return list({(row["id"], row["_arrival_time"]): row for row in events}.values())


decisions = st.lists(
    st.fixed_dictionaries({"card": st.sampled_from([1, 2, 3, None]), "kind": kinds, "amount": amounts, "at": st.integers(0, 20)}),
    min_size=1,
    max_size=8,
)  # fmt: skip


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def asked_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    return frame_of(
        [
            {
                "id": place,
                "card": row["card"],
                "kind": row["kind"],
                "amount": row["amount"],
                "_event_time": clock(row["at"]),
                "_arrival_time": clock(row["at"]),
            }
            for place, row in enumerate(rows)
        ]
    )


def offline(
    events: list[dict[str, object]], asked: pl.DataFrame, features: FeatureSet = FEATURES
) -> list[dict[str, object]]:
    return point_in_time(features, asked, {"paid": frame_of(events)}, keys=KEYS).to_dicts()


def online_from(events: list[dict[str, object]], features: FeatureSet = FEATURES) -> OnlineFeatures:
    state = OnlineFeatures(features, keys=KEYS)
    for row in events:
        state.apply(
            "paid",
            row,
            event_time_us=microseconds(row["_event_time"]),
            arrival_us=microseconds(row["_arrival_time"]),
        )
    return state


def served(state: OnlineFeatures, asked: pl.DataFrame) -> list[dict[str, object]]:
    return [state.read(row, microseconds(row["_event_time"])) for row in asked.to_dicts()]


def by_the_rule(  # noqa: PLR0912 - one branch for each aggregation
    feature: WindowFeature, events: list[dict[str, object]], decision: dict[str, object]
) -> object:
    """The rule of `geartrain.domain.features`, word for word, with rational sums."""
    at = microseconds(decision["_event_time"])
    arrived = [row for row in events if microseconds(row["_arrival_time"]) <= at]
    latest: dict[object, dict[str, object]] = {}
    for row in sorted(arrived, key=lambda row: row["_arrival_time"]):
        latest[row["id"]] = row
    end = at - feature.delay_us
    inside = [
        row
        for row in sorted(
            latest.values(), key=lambda row: (row["_event_time"], len(str(row["id"])), str(row["id"]))
        )
        if row[feature.entity] is not None
        and row[feature.entity] == decision[feature.entity]
        and microseconds(row["_event_time"]) < end
        and (feature.width_us is None or microseconds(row["_event_time"]) >= end - feature.width_us)
        and (feature.where is None or (row["amount"] is not None and row["amount"] > 0.1))
    ]
    if feature.column == "amount > 0":
        values = [float(row["amount"] is not None and row["amount"] > 0) for row in inside]
    elif feature.column is None:
        values = [1.0] * len(inside)
    else:
        inside = [row for row in inside if row[feature.column] not in {None, float("inf")}]
        values = [row[feature.column] for row in inside]
    times = [microseconds(row["_event_time"]) for row in inside]
    match feature.aggregation:
        case Aggregation.COUNT:
            return len(values)
        case Aggregation.DISTINCT:
            return len(set(values))
    if not values:
        return None
    if feature.type == "category":
        values = [as_text(value) for value in values]
    match feature.aggregation:
        case Aggregation.SUM:
            return float(sum(map(Fraction, values)))
        case Aggregation.MEAN:
            return float(sum(map(Fraction, values))) / len(values)
        case Aggregation.MIN:
            return min(values)
        case Aggregation.MAX:
            return max(values)
        case Aggregation.FIRST:
            return values[0]
        case Aggregation.LAST:
            return values[-1]
        case Aggregation.LAST_N:
            return values[-feature.n] if feature.n <= len(values) else None
        case Aggregation.RATIO:
            return sum(values) / len(values)
        case Aggregation.TIME_SINCE:
            return (at - times[-1]) / 1e6
        case Aggregation.DECAYED_SUM:
            ages = [at - time for time in times]
            weighted = [value * float(weights(pl.Series([age]).to_numpy(), feature.half_life_us)[0])
                        for value, age in zip(values, ages, strict=True)]  # fmt: skip
            return float(sum(map(Fraction, weighted)))
    raise AssertionError(feature.aggregation)


def in_force(feature: LookupFeature, events: list[dict[str, object]], decision: dict[str, object]) -> object:
    """The rule of lookups, word for word."""
    at = decision["_event_time"]
    latest: dict[object, dict[str, object]] = {}
    for row in sorted(events, key=lambda row: row["_arrival_time"]):
        if row["_arrival_time"] <= at:
            latest[row["id"]] = row
    mine = [
        row
        for row in latest.values()
        if row[feature.key or feature.entity] is not None
        and row[feature.key or feature.entity] == decision[feature.entity]
        and row["_event_time"] < at
    ]
    if not mine:
        return None
    newest = max(mine, key=lambda row: (row["_event_time"], len(str(row["id"])), str(row["id"])))
    if feature.where is not None and not (newest["amount"] is not None and newest["amount"] > 0.1):
        return None
    value = newest[feature.column]
    return as_text(value) if feature.type == "category" else None if value == float("inf") else value


@settings(max_examples=60)
@given(events=deliveries(), asked=decisions)
def test_offline_follows_the_rule(events: list[dict[str, object]], asked: list[dict[str, object]]) -> None:
    """Every aggregation equals a direct reading of the rule, with sums over exact fractions."""
    frame = asked_of(asked)

    for decision, row in zip(frame.to_dicts(), offline(events, frame), strict=True):
        for feature in FEATURES.windows:
            assert row[feature.name] == by_the_rule(feature, events, decision), feature.name
        for feature in FEATURES.lookups:
            assert row[feature.name] == in_force(feature, events, decision), feature.name


@settings(max_examples=80)
@given(events=deliveries(), asked=decisions, data=st.data())
def test_online_equals_offline_in_any_order(
    events: list[dict[str, object]], asked: list[dict[str, object]], data: st.DataObject
) -> None:
    """Late, repeated and corrected events, applied shuffled and some of them twice, read as offline says."""
    frame = asked_of(asked)
    again = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))

    assert served(online_from(shuffled), frame) == offline(events, frame)


@settings(max_examples=40)
@given(events=deliveries(), asked=decisions, data=st.data())
def test_online_equals_offline_in_arrival_order(
    events: list[dict[str, object]], asked: list[dict[str, object]], data: st.DataObject
) -> None:
    """Read the moment that everything known by then has arrived, as serving does, and after batches."""
    frame = asked_of(sorted(asked, key=lambda row: row["at"]))
    state = OnlineFeatures(FEATURES, keys=KEYS)
    waiting = sorted(data.draw(st.permutations(events)), key=lambda row: row["_arrival_time"])
    expected = offline(events, frame)

    for decision, row in zip(frame.to_dicts(), expected, strict=True):
        ready = [one for one in waiting if one["_arrival_time"] <= decision["_event_time"]]
        waiting = waiting[len(ready) :]
        state.apply_rows("paid", frame_of(ready))
        assert state.read(decision, microseconds(decision["_event_time"])) == row


@settings(max_examples=40)
@given(events=deliveries(), asked=decisions, data=st.data())
def test_what_arrives_later_changes_nothing_before(
    events: list[dict[str, object]], asked: list[dict[str, object]], data: st.DataObject
) -> None:
    """No leak: a feature at t is the same whether or not the world went on after t."""
    frame = asked_of(asked)
    cut = data.draw(st.integers(0, 20))
    past = frame.filter(pl.col("_event_time") <= clock(cut))
    known = [row for row in events if row["_arrival_time"] <= clock(cut)]

    assert offline(known, past) == offline(events, past)


@settings(max_examples=30)
@given(events=deliveries(), asked=decisions, data=st.data())
def test_the_order_of_rows_does_not_matter(
    events: list[dict[str, object]], asked: list[dict[str, object]], data: st.DataObject
) -> None:
    """Shuffled events give the same values; shuffled decisions give the same rows, shuffled."""
    order = data.draw(st.permutations(range(len(asked))))
    straight = offline(events, asked_of(asked))

    shuffled = offline(data.draw(st.permutations(events)), asked_of([asked[place] for place in order]))

    assert shuffled == [straight[place] for place in order]


@settings(max_examples=40)
@given(events=deliveries(), asked=decisions, at_once=st.integers(1, 30), early=st.integers(-3, 3))
def test_parts_do_not_show(
    events: list[dict[str, object]], asked: list[dict[str, object]], at_once: int, early: int
) -> None:
    """Cut by entity into as many parts as one likes, and known at another time than asked, nothing changes."""
    known = pl.col("_event_time").dt.offset_by(f"{early}us").alias("known")
    frame, happened = asked_of(asked).with_columns(known), frame_of(events)
    whole, parted = (
        point_in_time(FEATURES, frame, {"paid": happened}, keys=KEYS, known_at="known", events_at_once=many)
        for many in (10**9, at_once)
    )
    state = online_from(events)
    then = [
        state.read(row, microseconds(row["_event_time"]), known_us=microseconds(row["known"]))
        for row in frame.to_dicts()
    ]

    assert parted.equals(whole)
    assert whole.to_dicts() == then


@settings(max_examples=40)
@given(events=deliveries(), asked=decisions, data=st.data())
def test_a_restored_snapshot_is_the_state(
    events: list[dict[str, object]], asked: list[dict[str, object]], data: st.DataObject
) -> None:
    """Restoring a snapshot and going on equals never having stopped, to the byte."""
    frame = asked_of(asked)
    cut = data.draw(st.integers(0, len(events)))
    whole = online_from(events)

    resumed = OnlineFeatures.restore(FEATURES, online_from(events[:cut]).snapshot())
    resumed.apply_rows("paid", frame_of(events[cut:]))

    assert resumed.snapshot() == whole.snapshot()
    assert served(resumed, frame) == served(whole, frame)


@settings(max_examples=40)
@given(events=deliveries(), asked=decisions, now=st.integers(0, 20))
def test_eviction_changes_no_read_from_now_on(
    events: list[dict[str, object]], asked: list[dict[str, object]], now: int
) -> None:
    """What was forgotten could not be reached any more, and is not taken again."""
    features = feature_set(*window("paid", entity="card", over="6us", delay="2us", **EVERY))
    frame = asked_of(asked).filter(pl.col("_event_time") >= clock(now))
    state = online_from(events, features)

    state.evict(microseconds(clock(now)))
    state.apply_rows("paid", frame_of(events))

    assert served(state, frame) == offline(events, frame, features)


@settings(max_examples=80)
@given(
    events=deliveries(),
    asked=decisions,
    known=st.sampled_from([None, 0, 5, 12]),
    bound=st.sampled_from([4, 10_000]),
)
def test_many_rows_read_together_are_read_as_one_by_one(
    events: list[dict[str, object]], asked: list[dict[str, object]], known: int | None, bound: int
) -> None:
    """A hundred entities at once say what each says alone: late, corrected, uncounted and folded events too."""
    state = OnlineFeatures(FEATURES, keys=KEYS, exact_events=bound)
    for row in events:
        happened, arrived = (microseconds(row[name]) for name in ("_event_time", "_arrival_time"))
        state.apply("paid", row, event_time_us=happened, arrival_us=arrived)
    at_us = microseconds(clock(asked[0]["at"]))  # type: ignore[arg-type]
    known_us = None if known is None else microseconds(clock(known))

    told = state.read_all(asked * TOGETHER, at_us, known_us=known_us)

    assert told == [state.read(row, at_us, known_us=known_us) for row in asked] * TOGETHER
    assert list(told[0]) == [one.name for one in FEATURES.features]

"""What was served is what training computes; where it is not, the check says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from msgspec import structs

from geartrain.domain.columns import microseconds
from geartrain.domain.prediction import Decision
from geartrain.engine.consistency import compare_log, in_one_line, note_consistency, noted_consistency
from geartrain.engine.decided import decisions_of
from geartrain.engine.hosting import online_encode, rows_as_held
from geartrain.engine.ingesting import Door
from geartrain.engine.logbook import log_records
from geartrain.features.consistency import Cause
from geartrain.features.declaring import feature_set, lookup, request, window
from geartrain.features.encoding import fit_encoding
from geartrain.features.online import OnlineFeatures
from geartrain.serving.columns import logged_row
from geartrain.serving.journal import LoggedDecision

START = datetime(2026, 3, 1, tzinfo=UTC)
CONTRACT = {
    "product": {"name": "till", "title": "Till", "problem": "is it so?"},
    "decision": {
        "task": "binary", "unit": "a visit", "label": "bought", "positive": "yes", "classes": ["yes", "no"],
        "actions": {"yes": "show", "no": "hide"},
    },
    "data": {
        "sources": {
            "visits": {
                "kind": "decisions", "key": "visit", "event_time": "at",
                "fields": {
                    "visit": {"type": "string", "required": True},
                    "who": {"type": "string", "required": True, "feature": False},
                    "pages": {"type": "number"},
                    "device": {"type": "string"},
                    "town": {"type": "string", "path": "$.address.town"},
                    "at": {"type": "timestamp", "required": True},
                    "bought": {"type": "string"},
                },
            },
            "clicks": {
                "kind": "events", "key": "click", "event_time": "at", "arrival_time": "seen",
                "fields": {
                    "click": {"type": "string", "required": True},
                    "who": {"type": "string", "required": True},
                    "weight": {"type": "number"},
                    "at": {"type": "timestamp", "required": True},
                    "seen": {"type": "timestamp", "required": True},
                },
            },
        }
    },
}  # fmt: skip
FEATURES = feature_set(
    request("pages"),
    request("device", type="category"),
    request("town", type="category"),
    request("hour", "hour(at)"),
    *window("clicks", entity="who", over=("1h", "1d"), count=True, sum="weight", mean="weight"),
    lookup("newest", "clicks", entity="who", column="weight"),
    request("to_usual", "pages / who_count_1d"),
)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def click(name: str, minutes: float, *, who: str = "v", weight: float = 0.1) -> dict[str, object]:
    return {"click": name, "who": who, "weight": weight, "at": at(minutes), "seen": at(minutes)}


class Till:
    """A small product: clicks come in through the door, and decisions are served as a server does."""

    def __init__(self, workspace, contract) -> None:
        self.workspace = workspace
        self.contract = contract
        self.door = Door(workspace, contract)
        self.online = OnlineFeatures(FEATURES, keys={"clicks": "click", "visits": "visit"})
        texts = pl.DataFrame({"device": ["desk", "phone"], "town": ["Brno", "Kolin"]})
        nothing = pl.DataFrame({one.name: [None, None] for one in FEATURES.features})
        self.encoding = fit_encoding(FEATURES, nothing.with_columns(texts["device"], texts["town"]))
        visits = next(one for one in contract.data.sources if one.name == "visits")
        self.encode = online_encode(self.online, self.encoding, fields=visits.fields)
        self.made: list[LoggedDecision] = []

    def take(self, rows, *, minutes: float, source: str = "clicks", online: bool = True) -> None:
        frame = pl.DataFrame(rows)
        taken = self.door.take(source, frame, content=json.dumps(rows, default=str).encode(), now=at(minutes))
        assert taken.batch.quarantined == 0, taken.reasons
        if online and source == "clicks":
            self.online.apply_rows(source, taken.good)

    def deliver_again(self, row, *, minutes: float) -> None:
        """A delivery of a known id in the lake itself, as labels come, or as two ingesters at once bring it."""
        clock = pl.Datetime("us", "UTC")
        frame = pl.DataFrame([row]).with_columns(
            pl.col("at", "seen").cast(clock),
            pl.lit(at(0)).cast(clock).alias("_event_time"),
            pl.lit(at(minutes)).cast(clock).alias("_arrival_time"),
            pl.lit("again").alias("_batch"),
        )
        self.workspace.lake.append("till/clicks", frame.to_arrow(), batch=f"again-{minutes}")

    def decide(self, minutes: float, *, who: str = "v", **row: object) -> dict[str, object]:
        name = f"visit-{len(self.made)}"
        sent = {
            "visit": name, "who": who, "pages": 20.0, "device": "phone",
            "address": {"town": "Kolin"}, "at": at(minutes).isoformat(), **row,
        }  # fmt: skip
        (features,) = self.encode([sent], at(minutes))
        decision = Decision(
            id=f"d{len(self.made)}", product="till", release="r" * 64, key=name, decided_at=at(minutes),
            action="show", probabilities=(("yes", 0.6), ("no", 0.4)), expected_cost=0.1,
        )  # fmt: skip
        self.made.append(
            LoggedDecision(
                decision=decision, at=at(minutes), row=logged_row(sent), features=features.tobytes()
            )
        )
        return sent

    def check(self, *, minutes: float = 10_000.0):
        log_records(
            self.workspace, self.made, batch="served", encoding_of=lambda product, release: self.encoding
        )
        log = decisions_of(self.workspace, "till", now=at(minutes))
        return compare_log(
            self.workspace, self.contract, self.encoding, log, release="r" * 64, now=at(minutes)
        )


@pytest.fixture
def till(memory, product):
    """A till whose lake is in memory."""
    return Till(memory(), product(CONTRACT).contract)


def causes(found) -> dict[tuple[Cause, str], int]:
    return {(one.cause, one.source): one.cells for one in found.explanation.explained}


def test_an_ordered_log_has_no_differing_cell(till) -> None:
    """Times and nested values of a request, categories, windows, lookups: all as training has them."""
    for minute in range(0, 300, 7):
        till.take([click(f"c{minute}", minute, weight=minute / 7)], minutes=minute)
        till.decide(minute + 3)

    found = till.check()

    assert (found.decisions, found.report.cells) == (43, 43 * 12)
    assert (found.report.differing, found.kept) == (0, True)
    hours = decisions_of(till.workspace, "till", now=at(10_000))["feature:hour"]
    assert hours.to_list() == [float((minute + 3) // 60) for minute in range(0, 300, 7)]
    assert found.measurement.high == pytest.approx(1 - 0.025 ** (1 / 43))
    assert in_one_line(found) == "each of 516 feature values of 43 decisions is what training computes"


def test_a_row_that_was_taken_in_late_explains_what_it_changes(till) -> None:
    """A click that says that it had been seen, while others went on coming in."""
    till.take([click("a", 0)], minutes=0)
    till.take([click("c", 20)], minutes=20)
    till.decide(30)
    till.take([click("b", 10)], minutes=50)
    till.decide(60)

    found = till.check()

    # Of the first decision: counts, sums and the ratio to the count; the means of equal weights stay.
    assert causes(found) == {(Cause.LATE, "clicks"): 5}
    assert (found.report.differing, found.explanation.unexplained) == (5, 0)


def test_a_feed_that_stopped_is_told_from_a_late_row(till) -> None:
    """Nothing came in from the first click that was missed until the decision."""
    till.take([click("a", 0)], minutes=0)
    till.decide(30)
    till.take([click("b", 10), click("c", 20)], minutes=50)

    assert set(causes(till.check())) == {(Cause.MISSING_FEED, "clicks")}


def test_a_server_that_lags_behind_the_lake_is_told(till) -> None:
    """A click that stood in the lake before the decision and was applied after it."""
    till.take([click("a", 0)], minutes=29.999, online=False)
    till.decide(30)

    found = till.check()

    assert found.explanation.unexplained == 0
    assert {(one.cause, one.detail) for one in found.explanation.explained} == {
        (Cause.BEHIND, "by up to 0.1 s")
    }


def test_a_duplicate_that_was_counted_and_a_correction_that_was_not(till) -> None:
    """Deliveries of one id: the kernel counts the last one, once."""
    till.take([click("a", 0, weight=1.0), click("x", 0, who="w", weight=1.0)], minutes=0)
    till.deliver_again(click("a", 0, weight=2.0), minutes=5)
    till.deliver_again(click("x", 0, who="w", weight=1.0), minutes=6)
    till.decide(30)
    twice = click("x2", 0, who="w", weight=1.0)
    till.online.apply("clicks", twice, event_time_us=microseconds(at(0)), arrival_us=microseconds(at(6)))
    till.decide(40, who="w")

    found = till.check()

    assert found.explanation.unexplained == 0
    assert causes(found) == {(Cause.CORRECTED, "clicks"): 5, (Cause.DUPLICATE, "clicks"): 5}


def test_a_row_that_was_sent_otherwise_is_told(till) -> None:
    """The lake holds dollars where the request held cents: training and serving see two worlds."""
    sent = till.decide(30, pages=2000.0)
    till.take([sent | {"pages": 20.0, "bought": "yes"}], minutes=40, source="visits")

    found = till.check()

    assert causes(found) == {(Cause.SENT_OTHERWISE, ""): 1}
    assert found.kept


def test_what_nothing_explains_is_counted_and_shown(till) -> None:
    """A served value that the kernel gives under no guess is a bug, with its feature and its row."""
    till.take([click("a", 0)], minutes=0)
    till.decide(30)
    till.decide(40)
    wrong = till.made[1].inputs().copy()
    wrong[till.encoding.columns.index("who_count_1h")] = 7.0
    till.made[1] = structs.replace(till.made[1], features=wrong.tobytes())

    found = till.check()

    assert (found.report.differing, found.explanation.unexplained, found.kept) == (1, 1, False)
    assert found.explanation.features == (("who_count_1h", 1),)
    ((name, one),) = found.explanation.examples
    assert (name, one.row, one.served, one.recomputed) == ("who_count_1h", "visit-1", 7.0, 1.0)
    assert found.measurement.value == 0.5
    note_consistency(till.workspace, found)
    assert noted_consistency(till.workspace, "till")["causes"] == {"unexplained": 1}


def test_what_cannot_be_compared_is_said(till) -> None:
    """Nothing to compare is no agreement: the measurement is missing, the reason is there."""
    till.decide(30)
    blank = np.full(len(till.encoding.columns), np.nan, dtype=np.float32).tobytes()
    till.made[0] = LoggedDecision(
        decision=structs.replace(till.made[0].decision, fallback=True),
        at=at(30), row=till.made[0].row, features=blank,
    )  # fmt: skip

    found = till.check()

    assert found.left_out == (("answered by the fallback, without features", 1),)
    assert found.measurement is None


def test_a_request_reads_as_the_lake_holds_it(till) -> None:
    """ISO text and microseconds become times, a nested value its column; what is there already stays."""
    visits = next(one for one in till.contract.data.sources if one.name == "visits")
    as_held = rows_as_held(visits.fields)

    assert as_held({"at": "2026-03-01T12:00:00+01:00", "address": '{"town": "Brno"}'}) == {
        "at": datetime.fromisoformat("2026-03-01T12:00:00+01:00"),
        "address": '{"town": "Brno"}',
        "town": "Brno",
    }
    assert as_held({"at": microseconds(START), "address": 3})["at"] == START
    assert rows_as_held(())({"at": "x"}) == {"at": "x"}

"""A workspace that serves: answers are kept, the truth comes back, events count, releases change hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from msgspec import structs

from geartrain.domain.events import Refused, StageEntered
from geartrain.domain.prediction import Outcome
from geartrain.domain.release import ReleaseStage
from geartrain.engine import releasing
from geartrain.engine.decided import decisions_of
from geartrain.engine.ingesting import Door
from geartrain.engine.logbook import DECISIONS, FEATURE, LATENCY, SHADOWS, log_records
from geartrain.engine.rows import frame_of, table_of, take_rows
from geartrain.errors import ProductUnknown, SourceUnreadable
from geartrain.serving.host import OutcomeStatus
from geartrain.serving.lanes import Ask, answer, decide_in_shadow
from geartrain.wiring import Settings, build_host

NAME = "shop"
ROW = {"visit_id": "new-1", "visitor": "v1", "pages": 21.0, "device": "phone"}


def now() -> datetime:
    return datetime.now(UTC)


def ask(living, *rows):
    """Decide as the API does: through the lane, then into the log."""
    lane = living.host.lane(NAME)
    given = Ask(
        rows=rows,
        ids=tuple(living.host.new_id() for _ in rows),
        keys=tuple(str(row.get("visit_id", "")) for row in rows),
    )
    (records,) = answer(lane, [given], now())
    assert isinstance(records, tuple)
    records += decide_in_shadow(lane, [given], now())
    living.host.log.record(records).result(timeout=5)
    return records[: len(rows)]


def logged(the_shop, name=DECISIONS):
    return frame_of(the_shop.workspace().lake.scan(table_of(NAME, name)))


def tell(decision, label, *, at=None):
    moment = at or now()
    return Outcome(decision=decision, label=label, happened_at=moment, arrived_at=moment, by="test")


def test_an_answer_is_in_the_lake_with_what_it_was_made_from(living, the_shop):
    """A decision is logged with its features by name and its row, and is found again by its id."""
    (record,) = ask(living, ROW)
    assert living.host.log.flush(timeout_s=5)

    row = logged(the_shop).row(0, named=True)
    assert row["decision_id"] == record.decision.id
    assert row["release"] == the_shop.first
    assert row[FEATURE + "pages"] == 21.0
    assert row[FEATURE + "device"] == "phone"
    assert '"pages":21.0' in row["row"]
    found = living.host.find(NAME, record.decision.id)
    assert living._find_decisions(NAME, {record.decision.id, "nobody"}) == {record.decision.id: found}
    assert found is not None
    assert (found.action, found.key) == (record.decision.action, "new-1")
    assert found.probabilities == record.decision.probabilities


def test_a_log_from_before_latencies_takes_them(living, the_shop):
    """A table without the column goes on; what was written before has no latency, what comes has."""
    ask(living, ROW)
    assert living.host.log.flush(timeout_s=5)
    space = the_shop.workspace()
    told = logged(the_shop).drop(LATENCY)
    space.lake.append(table_of("older", DECISIONS), told.to_arrow(), batch="before")
    assert decisions_of(space, "older", now=now(), columns=(LATENCY,)).height == 1

    (record,) = ask(living, ROW)
    timed = structs.replace(
        record, decision=structs.replace(record.decision, product="older", id="timed"), latency_ms=2.5
    )
    log_records(space, [timed], batch="after", encoding_of=lambda *_: None)

    found = decisions_of(space, "older", now=now(), columns=(LATENCY,))
    assert dict(zip(found["decision_id"], found[LATENCY], strict=True)) == {
        told["decision_id"][0]: None,
        "timed": 2.5,
    }


def test_an_outcome_becomes_a_label(living, the_shop):
    """The truth about a row that only a request carried makes it a row to learn from; a correction counts."""
    (record,) = ask(living, ROW)
    said = living.host.record_outcomes(NAME, [tell(record.decision.id, "no")])
    again = living.host.record_outcomes(NAME, [tell(record.decision.id, "no")])
    other = living.host.record_outcomes(NAME, [tell(record.decision.id, "yes")])

    assert (said, again, other) == (
        (OutcomeStatus.RECORDED,),
        (OutcomeStatus.DUPLICATE,),
        (OutcomeStatus.CORRECTED,),
    )
    _, rows = take_rows(
        the_shop.workspace(), the_shop.product.contract, the_shop.product.features, known_at=now()
    )
    mine = rows.raw.filter(pl.col("visit_id") == "new-1")
    assert mine.height == 1
    assert mine["_label"].to_list() == ["yes"]
    assert mine["pages"].to_list() == [21.0]


def test_an_outcome_that_cannot_be_true_changes_nothing(living, the_shop):
    """An unknown decision and an unknown class are told one by one; the good item beside them is taken."""
    (record,) = ask(living, ROW)
    statuses = living.host.record_outcomes(
        NAME, [tell("nobody", "yes"), tell(record.decision.id, "maybe"), tell(record.decision.id, "yes")]
    )

    assert statuses == (OutcomeStatus.UNKNOWN, OutcomeStatus.INVALID, OutcomeStatus.RECORDED)
    kept = frame_of(the_shop.workspace().lake.scan(table_of(NAME, "outcomes")))
    assert kept["label"].to_list() == ["yes"]
    assert kept["key"].to_list() == ["new-1"]


def test_a_row_without_a_key_is_learned_from_too(living, the_shop):
    """Where the request names no key, the decision's own id joins the truth to the row."""
    row = {name: value for name, value in ROW.items() if name != "visit_id"}
    (record,) = ask(living, row)
    living.host.record_outcomes(NAME, [tell(record.decision.id, "no")])

    _, rows = take_rows(
        the_shop.workspace(), the_shop.product.contract, the_shop.product.features, known_at=now()
    )
    mine = rows.raw.filter(pl.col("visit_id") == record.decision.id)
    assert mine["_label"].to_list() == ["no"]
    assert logged(the_shop)["key"].to_list() == [record.decision.id]


def test_known_labels_survive_a_restart(living, the_shop, complaints):
    """The same outcome sent to the next process is still a duplicate."""
    (record,) = ask(living, ROW)
    living.host.record_outcomes(NAME, [tell(record.decision.id, "yes")])
    living.end()
    after = build_host(Settings(root=the_shop.root), tell=complaints.append)
    after.begin()
    try:
        assert after.host.record_outcomes(NAME, [tell(record.decision.id, "yes")]) == (
            OutcomeStatus.DUPLICATE,
        )
    finally:
        after.end()


def test_an_event_changes_the_next_decision(living, the_shop):
    """A click that was taken counts in the features of the next answer, once, also after a restart."""
    rows = [{"click_id": "c-new", "visitor": "fresh", "weight": 2.5, "at": now().isoformat()}]
    (before,) = ask(living, ROW | {"visitor": "fresh"})
    batch = living.host.take_events(NAME, "clicks", rows, now())
    again = living.host.take_events(NAME, "clicks", rows, now())
    (after,) = ask(living, ROW | {"visitor": "fresh"})

    columns = living.host.lane(NAME).champion.columns
    place = next(i for i, one in enumerate(columns) if "count_7d" in one)
    assert (batch.accepted, batch, before.inputs()[place], after.inputs()[place]) == (1, again, 0.0, 1.0)


def test_an_event_of_another_process_counts_too(living, the_shop):
    """Rows that `geartrain ingest` took in elsewhere are in the features after the next look."""
    rows = pl.DataFrame(
        {"click_id": ["c-else"], "visitor": ["else"], "weight": [1.0], "at": [now().isoformat()]}
    )
    door = Door(the_shop.workspace(), the_shop.product.contract)
    door.take("clicks", rows, content=b"elsewhere", now=now())
    living.look()
    (record,) = ask(living, ROW | {"visitor": "else"})

    columns = living.host.lane(NAME).champion.columns
    place = next(i for i, one in enumerate(columns) if "count_7d" in one)
    assert record.inputs()[place] == 1.0


def test_bad_events_are_told(living):
    """An unknown source is refused; a bad row goes to quarantine beside the good one."""
    with pytest.raises((ProductUnknown, SourceUnreadable)):
        living.host.take_events(NAME, "nonsense", [{"a": 1}], now())
    good = {"click_id": "g", "visitor": "v1", "weight": 1, "at": now().isoformat()}
    batch = living.host.take_events(NAME, "clicks", [good, good | {"click_id": "b", "weight": -1}], now())
    assert (batch.accepted, batch.quarantined) == (1, 1)


def test_releases_change_hands_as_the_ledger_says(living, the_shop):
    """Canary, promotion and rollback that another workspace handle decides take effect at the next look."""
    elsewhere, contract = the_shop.workspace(), the_shop.product.contract
    answered = releasing.promote(elsewhere, contract, release=the_shop.second, now=now(), reason="better")
    assert releasing.accepted(answered)
    living.look()
    assert living.host.lane(NAME).champion.release == the_shop.second

    releasing.roll_back(elsewhere, contract, reason="worse", now=now())
    living.look()
    assert living.host.lane(NAME).champion.release == the_shop.first
    assert ask(living, ROW)[0].decision.release == the_shop.first


def test_a_shadow_is_logged_beside(living, the_shop):
    """A release in shadow decides about the same rows; its answers go to a table of their own."""
    entered = StageEntered(
        product=NAME, release=the_shop.second, stage=ReleaseStage.SHADOW, share=1.0, approved_by=()
    )
    the_shop.workspace().record(NAME, [entered], now=now())
    living.look()
    ask(living, ROW)
    assert living.host.log.flush(timeout_s=5)

    assert logged(the_shop)["release"].to_list() == [the_shop.first]
    assert logged(the_shop, SHADOWS)["release"].to_list() == [the_shop.second]


def test_a_tampered_bundle_is_never_loaded(living, the_shop, complaints):
    """One changed byte: the old release goes on, the problem is told, the ledger has the refusal once."""
    bundle = the_shop.root / "bundles" / the_shop.second
    model = next(path for path in bundle.rglob("*.onnx"))
    model.chmod(0o644)
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    space = the_shop.workspace()
    releasing.promote(space, the_shop.product.contract, release=the_shop.second, now=now())
    living.look()
    living.look()

    assert living.host.lane(NAME).champion.release == the_shop.first
    assert ask(living, ROW)[0].decision.release == the_shop.first
    assert the_shop.second[:12] in living.host.problems[NAME]
    assert living.host.not_ready_because() == ()
    assert len(complaints) == 1
    refusals = [one.event for one in space.history(NAME) if isinstance(one.event, Refused)]
    assert [one.subject for one in refusals] == [the_shop.second]

    model.write_bytes(content)
    living._changed.add(NAME)
    living.look()
    assert living.host.lane(NAME).champion.release == the_shop.second
    assert dict(living.host.problems) == {}


def test_a_tampered_champion_is_not_served_at_all(the_shop, complaints):
    """A server that starts on a damaged live release answers nothing from it, and says why."""
    manifest = next((the_shop.root / "bundles" / the_shop.first).rglob("*.onnx"))
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes()[:-1])
    made = build_host(Settings(root=the_shop.root), tell=complaints.append)
    made.begin()
    made.end()

    assert made.host.products == ()
    assert the_shop.first[:12] in made.host.problems[NAME]
    assert len(complaints) == 1


def test_promises_have_their_latest_finding(living):
    """Every clause of the live contract comes with what was found about the release."""
    told = living.host.promises(NAME)
    assert [clause.path for clause, _ in told] == [clause.path for clause in living.contract(NAME).clauses]
    assert any(finding is not None for _, finding in told)


def test_silence_is_counted(living):
    """How long the clicks have been silent is known, and ends with the next click."""
    late = now() + timedelta(days=1)
    silent = living.host.stale_s(NAME, late)
    row = {"click_id": "s", "visitor": "v1", "weight": 1, "at": now().isoformat()}
    living.host.take_events(NAME, "clicks", [row], now())
    assert silent is not None
    assert silent > 86_400 * 30
    assert living.host.stale_s(NAME, late) == pytest.approx(86_400, abs=60)


def test_what_another_server_took_in_is_no_news_here(living, the_shop):
    """The door learns other doors' keys as it follows the ledger; the same click in another delivery is a duplicate."""
    click = {"click_id": "twice", "visitor": "v1", "weight": 1, "at": now().isoformat()}
    living.host.take_events(NAME, "clicks", [click | {"click_id": "before"}], now())
    other = build_host(Settings(root=the_shop.root), tell=print)
    try:
        other.look()
        assert other.host.take_events(NAME, "clicks", [click], now()).accepted == 1
    finally:
        other.end()
    living.look()
    batch = living.host.take_events(NAME, "clicks", [click, click | {"click_id": "new"}], now())

    assert (batch.accepted, batch.duplicates) == (1, 1)


def test_an_example_row_can_be_sent(living):
    """The row that people are shown is one that the contract accepts, without the label."""
    row = living.example_row(NAME)
    assert "bought" not in row
    assert living.host.lane_and_checks(NAME)[1].violations([row]) == ()

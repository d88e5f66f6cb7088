"""A live release is watched from the log of its decisions, and retrained with a reason or not at all."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import CONTRACT, Shell

from geartrain.domain.clause import Stage
from geartrain.domain.events import Refused
from geartrain.engine.products import load_product
from geartrain.engine.releasing import releases
from geartrain.engine.review_queue import Why, review_queue
from geartrain.engine.telling import told_event
from geartrain.wiring import Settings, open_workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMED = (
    (
        CONTRACT.replace("      key: id\n", "      key: id\n      event_time: at\n      freshness: 2 days\n")
        .replace("        amount:", "        at: {type: timestamp, required: true}\n        amount:")
        .replace("max: 1000}", "max: 100000}")
        .replace("data:\n", "data:\n  split: {by_time: true}\n")
    )
    + """\
integrity:
  target_proxy: {accept: [amount], because: the limit of 60 is the rule that is learned here}
plausibility:
  larger_is_worse: {rises_with: amount, at_most: 0.5}
  no_names: {forbidden: [id]}
  amount_works: {earns_its_place: [amount], severity: warn}
monitoring:
  false_alarms: {ever: 0.01, every: 365 days}
  smallest_change: 0.1
  window: 5 days
  owners: {population: science, feed: engineering, concept: domain}
retraining: {on_alarm: true, cool_down: 5 days, trials: 1, refuse_when: {fewer_labels_than: 100}}
"""
)


def _rows(first: int, count: int, *, scale: float = 1.0) -> pl.DataFrame:
    places = range(first, first + count)
    amounts = [float((place * 37) % 100) for place in places]
    return pl.DataFrame(
        {
            "id": [f"r{place}" for place in places],
            "at": [(START + timedelta(hours=place)).isoformat() for place in places],
            "amount": [amount * scale for amount in amounts],
            "outcome": ["bad" if amount > 60 else "good" for amount in amounts],
        }
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test keeps the folder that all begin with."""
    return tmp_path_factory.mktemp("watching") / "live"


@pytest.fixture
def live(kept: Path, tiny: Path, shell: Shell) -> tuple[Path, str]:
    """A live release of the tiny product, with time; 25 days of rows. Released once, a copy for each test."""
    if not kept.exists():
        _released(tiny, shell)
        shutil.copytree(tiny, kept)
    shutil.copytree(kept, tiny, dirs_exist_ok=True)
    release = shell(tiny, "release", "list", "--json").document["result"]["champion"]
    return tiny, release


def _released(tiny: Path, shell: Shell) -> None:
    (tiny / "product.yaml").write_text(TIMED)
    (tiny / "model.py").write_text(
        "from geartrain.training.recipe import recipe\n"
        "model = recipe('lightgbm', fixed={'n_estimators': 10, 'num_leaves': 4, 'min_child_samples': 5})\n"
    )
    _rows(0, 600).write_csv(tiny / "rows.csv")
    now = (START + timedelta(hours=600)).isoformat()
    assert shell(tiny, "ingest", "rows.csv", "--now", now).code == 0
    for verb in (("train", "--trials", "1", "--now", now), ("compress",), ("evaluate", "--now", now)):
        said = shell(tiny, *verb)
        assert said.code == 0, said.out + said.err
    assert "what the answers rest on:\n  100 % amount (100 to 100)" in said.out
    team = {"product": "ann", "domain": "ben", "engineering": "cyd", "science": "dan"}
    for role, person in team.items():
        shell(tiny, "release", "sign", "--role", role, "--as", person, "--now", now)
    assert shell(tiny, "release", "promote", "--now", now).code == 0
    release = shell(tiny, "release", "list", "--json").document["result"]["champion"]
    past = shell(tiny, "release", "history", "champion", "--json").document["result"]
    assert past["release"] == release
    assert [one["actor"] for one in past["steps"]][1:5] == list(team.values())
    assert past["steps"][-1]["what"].startswith(f"release {release[:12]} entered live")


def _decided(home: Path, release: str, rows: pl.DataFrame) -> None:
    """Write the log as a server does."""
    clock = pl.Datetime("us", "UTC")
    times = rows["at"].str.to_datetime(time_zone="UTC").cast(clock)
    good = [outcome == "good" for outcome in rows["outcome"].to_list()]
    log = pl.DataFrame(
        {
            "_event_time": times,
            "_arrival_time": times,
            "_batch": ["b"] * rows.height,
            "key": rows["id"],
            "decision_id": "d-" + rows["id"],
            "release": [release] * rows.height,
            "arm": ["champion"] * rows.height,
            "action": ["pass" if one else "stop" for one in good],
            "probabilities": [json.dumps({"bad": 0.1, "good": 0.9})] * rows.height,
            "expected_cost": [0.1] * rows.height,
            "abstained": [False] * rows.height,
            "fallback": [False] * rows.height,
            "doubt": [""] * rows.height,
            "feature:amount": rows["amount"],
        }
    )
    space = open_workspace(Settings(root=home / ".geartrain"))
    space.lake.append("tiny/decisions__log", log.to_arrow(), batch="b")


def test_what_changed_is_noticed_told_and_answered(live: tuple[Path, str], shell: Shell) -> None:
    """A shifted feature opens one incident for its owner, once; a retraining has its reason or its refusal."""
    home, release = live
    rows = _rows(600, 360, scale=30.0)
    _decided(home, release, rows)
    now = (START + timedelta(hours=961)).isoformat()

    first = shell(home, "monitor", "--now", now, "--json")
    second = shell(home, "monitor", "--now", now, "--json")

    found = first.document["result"]
    assert (first.code, second.code) == (1, 1)
    assert found["decisions"] == 360
    assert any(one["kind"] in {"drift", "unit"} and one["about"] == "amount" for one in found["signals"])
    assert any(one["kind"] == "silent-feed" for one in found["signals"])
    assert len(found["opened"]) >= 1
    unlike = {one["name"]: one for one in found["unlike"]["columns"]}
    assert (unlike["amount"]["named"], unlike["score"]["named"]) == (True, False)
    assert unlike["amount"]["reference"] > 0
    assert ("unlike", "amount") in {
        (one["kind"], one["about"]) for incident in found["opened"] for one in incident["signals"]
    }
    assert second.document["result"]["opened"] == []
    told = (home / ".geartrain" / "notifications.jsonl").read_text().splitlines()
    assert len(told) == len(found["opened"])

    refused = shell(home, "retrain", "--force", "--as", "dan", "--now", now, "--json")
    assert refused.code == 1
    assert "incident" in " ".join(refused.document["result"]["refused"])
    written = shell(home, "ledger", "show", "--type", "Refused", "--json")
    assert written.document["result"]["total"] == 1


def test_the_cost_of_decisions_is_known_when_their_labels_are(live: tuple[Path, str], shell: Shell) -> None:
    """Right decisions cost nothing, which the live clause's interval shows, and nobody is called."""
    home, release = live
    rows = _rows(600, 240)
    _decided(home, release, rows)
    rows.write_csv(home / "more.csv")
    now = (START + timedelta(hours=841)).isoformat()
    shell(home, "ingest", "more.csv", "--now", now)

    said = shell(home, "monitor", "--now", now, "--json")

    assert said.document["result"]["labelled"] == 240
    assert said.document["result"]["open"] == [], said.out
    assert said.code == 0
    assert not any(one["named"] for one in said.document["result"]["unlike"]["columns"])
    rests = said.document["result"]["attribution"]
    assert [(one["feature"], one["live"], one["named"]) for one in rests["features"]] == [
        ("amount", 1, False)
    ]
    assert rests["rows"] == 128
    assert "no evidence in values of 2 columns over 240 rows" in said.document["result"]["unlike"]["message"]
    live = {one["clause"]: one for one in said.document["result"]["findings"]}
    assert live["plausibility.larger_is_worse"]["status"] == "kept"
    assert live["plausibility.larger_is_worse"]["stage"] == "live"
    assert live["plausibility.no_names"]["message"] == "no feature reads id: kept"
    assert live["plausibility.amount_works"]["status"] == "not measured"
    assert "the truth of these rows is not known yet" in live["plausibility.amount_works"]["message"]

    asked = shell(home, "retrain", "--force", "--as", "dan", "--trials", "1", "--now", now, "--json")
    assert asked.document["result"]["retrained"] is True
    assert asked.document["result"]["release"] != release
    assert asked.document["result"]["reason"] == "dan asked for it"
    soon = shell(home, "retrain", "--force", "--as", "dan", "--now", now, "--json")
    assert soon.code == 1
    assert "cooling down" in " ".join(soon.document["result"]["refused"])


def test_what_cannot_be_answered_about_releases_is_told_with_its_reason(
    live: tuple[Path, str], shell: Shell
) -> None:
    """A waiver without an end, a time that has not come, a folder that is no bundle; a refusal about nothing has no gap."""
    home, _ = live
    now = (START + timedelta(hours=841)).isoformat()
    waived = ("--clause", "success.expected_cost", "--role", "product", "--as", "ann", "--reason", "x")

    endless = shell(home, "release", "waive", *waived, "--until", "1 month", "--now", now)
    future = shell(home, "release", "live-at", "2099-01-01", "--now", now)
    bundle = shell(home, "release", "verify", ".")

    assert (endless.code, "--until '1 month'" in endless.err, "`90 days`" in endless.err) == (2, True, True)
    assert (future.code, "2099-01-01 00:00 UTC has not come yet" in future.err) == (2, True)
    assert (bundle.code, "this is no bundle" in bundle.err) == (2, True)
    refused = Refused(product="tiny", what="roll back", subject="", reason="nothing is live")
    assert told_event(refused) == "refused to roll back: nothing is live"


def test_labels_that_stop_are_an_alarm(live: tuple[Path, str], shell: Shell) -> None:
    """Decisions whose labels came for ten days and then stop call the owner of the label feed, not of the model."""
    home, release = live
    rows = _rows(600, 600)
    _decided(home, release, rows)
    labelled = rows.head(240)
    labelled.write_csv(home / "later.csv")
    rows.tail(360).drop("outcome").with_columns(pl.lit(None, pl.String).alias("outcome")).write_csv(
        home / "unlabelled.csv"
    )
    arrived = (START + timedelta(hours=842)).isoformat()
    assert shell(home, "ingest", "later.csv", "--now", arrived).code == 0
    now = (START + timedelta(hours=1201)).isoformat()
    shell(home, "ingest", "unlabelled.csv", "--now", now)

    told = shell(home, "monitor", "--now", now, "--json").document["result"]
    causes = {one["cause"]: one for one in told["open"]}
    assert "label-feed" in causes, told
    assert "labels that are due have arrived" in causes["label-feed"]["message"]
    assert "concept" not in causes


def test_cost_is_estimated_before_labels_and_checked_by_them(live: tuple[Path, str], shell: Shell) -> None:
    """Decisions without a truth get an estimate with its assumption; the labelled ones show that it was wrong."""
    home, release = live
    rows = _rows(600, 360)
    _decided(home, release, rows)
    now = (START + timedelta(hours=961)).isoformat()
    early = shell(home, "monitor", "--now", now)
    assert "a decision, accuracy " in early.out
    assert (
        "for 360 whose truth is not known, 242 of them overdue; assumes that P(y|x) has not changed"
        in early.out
    )
    assert "estimates cannot be checked yet: the truth of 0 decisions is known that was due" in early.out
    rows.head(240).write_csv(home / "more.csv")
    shell(home, "ingest", "more.csv", "--now", now)

    text = shell(home, "monitor", "--now", now)
    found = shell(home, "monitor", "--now", now, "--json").document["result"]

    # The log says "bad with 0.1" of every row and is right about all: a stop costs 0.9 by that, a pass 0.1.
    stopped = sum(outcome == "bad" for outcome in rows["outcome"].tail(120)) / 120
    assert found["estimate"]["cost"]["value"] == pytest.approx(0.9 * stopped + 0.1 * (1 - stopped))
    assert found["estimate"]["rows"] == 120
    assert found["estimate"]["assumes"] == "assumes that P(y|x) has not changed"
    assert found["reconciled"]["whole"]["cost"]["realised"] == 0.0
    assert found["reconciled"]["whole"]["agrees"] is False
    assert [one["agrees"] for one in found["reconciled"]["windows"]] == [False, False]
    assert (
        "the estimate was too high: P(y|x) has changed, or the probabilities were not calibrated" in text.out
    )


def test_a_few_labels_that_were_asked_for_tell_what_no_estimate_could(
    live: tuple[Path, str], shell: Shell
) -> None:
    """Drawn decisions stand in the review queue until somebody answers; their truths give a cost that needs no model."""
    home, release = live
    none = shell(home, "labels", "ask", "--now", (START + timedelta(hours=601)).isoformat(), "--json")
    assert (none.code, none.document["result"]["request"]) == (1, None)
    assert none.document["result"]["refused"] == "no decision of the live release is in the log yet"
    rows = _rows(600, 360)
    _decided(home, release, rows)
    now = START + timedelta(hours=961)
    text = shell(home, "monitor", "--now", now.isoformat()).out
    assert "adapted to the population: " in text
    assert "sealed rows are worth" in text
    assert text.count("assumes that P(y|x) has not changed") >= 2

    asked = shell(
        home, "labels", "ask", "--labels", "60", "--as", "dan", "--now", now.isoformat(), "--json"
    ).document["result"]
    drawn = [one["decision"] for one in asked["request"]["asked"]]
    assert 35 <= len(drawn) <= 90
    assert asked["request"]["of"] == 360
    assert "0 answers to the" in asked["from_asked_labels"]["reason"]
    written = shell(home, "ledger", "show", "--type", "LabelsAsked", "--json").document["result"]
    assert written["events"][0]["actor"] == "dan"

    space, product = open_workspace(Settings(root=home / ".geartrain")), load_product(home)
    queue = review_queue(space, product.contract, now=now)
    settling = [one for one in queue.chosen if one.why is Why.SETTLES]
    ordinary = {one.decision for one in queue.chosen} - {one.decision for one in settling}
    assert len(ordinary) == 40
    assert [one.decision for one in settling] == [one for one in drawn[:40] if one not in ordinary]
    assert "would settle whether the cost has changed; drawn with probability" in settling[0].words

    # Rightly decided all along, though the log says "bad with 0.1" of every row.
    rows.filter(pl.col("id").is_in([one.removeprefix("d-") for one in drawn])).write_csv(home / "told.csv")
    later = (now + timedelta(hours=1)).isoformat()
    shell(home, "ingest", "told.csv", "--now", later)
    told = shell(home, "labels", "show", "--now", later, "--json").document["result"]["from_asked_labels"]
    assert (told["labels"], told["of"]) == (len(drawn), 360)
    assert told["cost"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert told["assumes"] == "drawn with known probabilities: needs no model to be right, only the answers"


def test_fairness_and_success_are_judged_on_decisions_whose_truth_is_known(
    live: tuple[Path, str], shell: Shell
) -> None:
    """Live clauses get a status from the log at stage `live`, said to hold at all times; what cannot be told says why."""
    home, release = live
    with (home / "product.yaml").open("a") as contract:
        contract.write(
            "fairness:\n"
            "  large_ones: {groups: amount >= 50, definition: demographic_parity, at_most: 0.1, because: all alike}\n"
            "  found_alike: {groups: amount >= 80, definition: equal_opportunity, at_most: 0.2, because: all alike}\n"
            "  each_alone: {groups: id, definition: demographic_parity, at_most: 0.1, because: all alike}\n"
        )
    rows = _rows(600, 360)
    _decided(home, release, rows)
    now = (START + timedelta(hours=961)).isoformat()
    before = {
        one["clause"]: one
        for one in shell(home, "monitor", "--now", now, "--json").document["result"]["findings"]
    }
    assert "the truth of 0 answered decisions is known" in before["fairness.large_ones"]["message"]
    rows.write_csv(home / "more.csv")
    shell(home, "ingest", "more.csv", "--now", now)

    said = shell(home, "monitor", "--now", now, "--json").document["result"]["findings"]

    live_now = {one["clause"]: one for one in said}
    large = live_now["fairness.large_ones"]
    assert (large["status"], large["stage"], large["rows"]) == ("broken", "live", 360)
    assert "holds at all times at once, however often one looks" in large["message"]
    assert live_now["fairness.found_alike"]["status"] in {"kept", "unproven"}
    assert live_now["fairness.found_alike"]["value"] == 0.0
    assert live_now["fairness.each_alone"]["status"] == "not measured"
    assert "fewer than two groups" in live_now["fairness.each_alone"]["message"]
    assert live_now["success.expected_cost"]["status"] == "kept"
    assert live_now["success.expected_cost"]["value"] == 0.0
    space = open_workspace(Settings(root=home / ".geartrain"))
    recorded = releases(space, "tiny").findings(release, Stage.LIVE)
    assert ("fairness.large_ones", "broken") in [(one.clause, str(one.status)) for one in recorded]


def test_a_broken_blocking_clause_opens_one_incident_for_its_owner(
    live: tuple[Path, str], shell: Shell
) -> None:
    """Traffic that breaks a fairness clause calls the clause's owner, by its own evidence; a second look calls nobody."""
    home, release = live
    with (home / "product.yaml").open("a") as contract:
        contract.write(
            "fairness:\n"
            "  large_ones: {groups: amount >= 50, definition: demographic_parity, at_most: 0.1,"
            " owner: science, because: all alike}\n"
        )
    rows = _rows(600, 360)
    _decided(home, release, rows)
    rows.write_csv(home / "more.csv")
    now = (START + timedelta(hours=961)).isoformat()
    shell(home, "ingest", "more.csv", "--now", now)

    first = shell(home, "monitor", "--now", now, "--json").document["result"]
    told = [json.loads(one) for one in (home / ".geartrain" / "notifications.jsonl").read_text().splitlines()]
    second = shell(home, "monitor", "--now", now, "--json").document["result"]

    (opened,) = [
        one
        for one in first["opened"]
        if "fairness.large_ones" in {signal["about"] for signal in one["signals"]}
    ]
    assert opened["owner"] == "science"
    assert opened["signals"][0]["evidence"] > 20
    assert "holds at all times at once" in opened["message"]
    assert [one["people"] for one in told if one["incident"]["id"] == opened["id"]] == [["dan"]]
    assert second["opened"] == []
    assert opened["id"] in {one["id"] for one in second["open"]}
    again = (home / ".geartrain" / "notifications.jsonl").read_text().splitlines()
    assert len(again) == len(told)

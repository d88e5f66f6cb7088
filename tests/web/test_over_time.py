"""Over time: costs by day from the log, zoomed by address, with what happened; never retraining from the first release."""

import json
from dataclasses import replace
from datetime import timedelta
from threading import Event
from urllib.parse import urlencode

import numpy as np
import polars as pl
import pytest

from geartrain.domain.events import ContractAdopted, Refused, StageEntered
from geartrain.domain.release import ReleaseStage
from geartrain.engine import costs_counted, counting, feeds_counted
from geartrain.engine.adopted import read_contract_text
from geartrain.engine.bundles import load_bundle
from geartrain.engine.releasing import releases
from geartrain.features.encoding import encode
from geartrain.stats.deciding import decide
from geartrain.stats.onnx_model import OnnxModel
from geartrain.web.app import create_room
from geartrain.wiring import Settings, open_workspace

AT = "/products/shop/over-time"


def log_visits(team, release, *, features=()):
    """Log a decision of *release* about each visit in the lake: the offer is shown from 16 pages."""
    visits = pl.from_arrow(team.workspace.lake.scan("shop/visits")).sort("_event_time", "visit_id")
    rows = visits.select(
        "_event_time", pl.col("_event_time").alias("_arrival_time"), pl.col("visit_id").alias("key"),
        pl.col("visit_id").alias("decision_id"), pl.lit(release).alias("release"),
        pl.when(pl.col("pages") > 15).then(pl.lit("show")).otherwise(pl.lit("hide")).alias("action"),
        pl.lit(value=False).alias("abstained"),
        pl.lit(json.dumps({"no": 0.6, "yes": 0.4})).alias("probabilities"),
        pl.col("pages").alias("feature:pages"), pl.col("device").alias("feature:device"),
        *(pl.lit(1.0).alias(f"feature:{name}") for name in features),
    )  # fmt: skip
    team.workspace.lake.append("shop/decisions__log", rows.to_arrow(), batch=f"log-{release}")
    return visits


def make_live(team, release, at):
    event = StageEntered(
        product="shop", release=release, stage=ReleaseStage.LIVE, share=1.0,
        approved_by=("science:Sam Cole",), reason="a test",
    )  # fmt: skip
    team.workspace.record("shop", [event], now=at)


@pytest.fixture
def both(team):
    """The shop's two releases, one live after the other."""
    ids = [one.id for one in releases(team.workspace, "shop").records]
    for place, release in enumerate(ids):
        make_live(team, release, team.now - timedelta(days=90 - 14 * place))
    return ids


def test_nothing_is_drawn_before_anything_was_decided(team):
    """An empty page says what would fill it."""
    browser = team.signed_in("Visitor Vera")
    assert "The line begins with the first release that answers" in browser.page(AT)
    assert browser.twin(AT)["chart"] is None


def test_the_line_tells_costs_savings_and_what_happened(team, both):
    """The product's mean is what arithmetic says; the twin holds the numbers of the picture."""
    visits = log_visits(team, both[-1])
    team.workspace.record(
        "shop", [Refused(product="shop", what="promote", subject="x", reason="<script>alert(1)</script>")], now=team.now
    )  # fmt: skip
    browser = team.signed_in("Visitor Vera")
    page, twin = browser.page(AT), browser.twin(AT)
    shown, bought = visits["pages"] > 15, visits["bought"] == "yes"
    cost = int((shown & ~bought).sum()) + 3 * int((~shown & bought).sum())
    own = twin["totals"][0]
    assert own["total"] == cost
    assert own["cost"]["value"] == pytest.approx(1000 * cost / visits.height)
    assert own["cost"]["low"] < own["cost"]["value"] < own["cost"]["high"]
    assert {one["name"] for one in twin["totals"]} >= {"geartrain", "always-show", "always-hide"}
    assert "1,000 decisions cost" in page
    assert "refused to promote" in page
    assert "<script>alert" not in page
    kinds = [one["event"]["kind"] for one in twin["events"]]
    assert kinds.count("release") >= 2
    assert "refusal" in kinds
    assert "<svg" in page


def test_a_span_a_step_and_a_wrong_day_stand_in_the_address(team, both):
    """`from`, `to` and `by` choose what is drawn; what cannot be read is said and all is shown."""
    log_visits(team, both[-1])
    browser = team.signed_in("Visitor Vera")
    week = browser.twin(f"{AT}?from=2026-03-09&to=2026-03-22&by=week")
    assert (week["since"], week["until"], week["by"]) == ("2026-03-09", "2026-03-22", "week")
    assert len(week["chart"]["series"][0]["points"]) == 2
    assert "not told apart" in browser.page(AT) or week["compared"]
    for wrong in ("from=yesterday", "from=2026-13-01", "to=99999-01-01", "from=2026-04-01&to=2026-03-01"):
        assert browser.twin(f"{AT}?{wrong}")["wrong"]
    hostile = browser.page(f"{AT}?from=%3Cscript%3Ealert(1)%3C/script%3E&slice=%22%3E%3Cscript%3E")
    assert "<script>alert" not in hostile


def test_each_slice_and_each_group_has_a_line_and_an_address_of_its_own(team, both):
    """A slice of a clause and a group of a fairness clause are chosen by `slice`, and tell only of their own rows."""
    text = team.product.text + (
        "fairness:\n  devices: {groups: device, definition: equal_opportunity, at_most: 0.9, because: no reason}\n"
    )
    adopted = ContractAdopted(
        product="shop",
        contract=read_contract_text(text).id,
        text=team.workspace.blobs.put(text.encode()),
    )
    team.workspace.record("shop", [adopted], now=team.now)
    visits = log_visits(team, both[-1])
    browser = team.signed_in("Visitor Vera")
    groups = {one["words"]: one["key"] for one in browser.twin(AT)["slices"] if "devices" in one["key"]}
    assert len(groups) == visits["device"].n_unique()
    told = {words: browser.twin(f"{AT}?{urlencode({'slice': key})}") for words, key in groups.items()}
    assert sum(one["decisions"] for one in told.values()) == visits.height
    for words, one in told.items():
        assert words in one["chart"]["title"]
        assert one["slice"] == groups[words]
        assert f'<option value="{one["slice"]}" selected' in browser.page(
            f"{AT}?{urlencode({'slice': one['slice']})}"
        )


def test_never_retraining_is_the_first_release_asked_again(team, both):
    """Its cost is that of its own decisions about the features in the log."""
    first = load_bundle(team.workspace, both[0])
    names = [one.name for one in first.encoding.feature_set.features]
    visits = log_visits(team, both[1], features=[one for one in names if one not in {"pages", "device"}])
    twin = team.signed_in("Visitor Vera").twin(AT)
    never = next(one for one in twin["totals"] if one["kind"] == "never")
    features = visits.select(
        "pages", "device", *(pl.lit(1.0).alias(one) for one in names if one not in {"pages", "device"})
    )
    answers = OnnxModel(first.onnx).predict(encode(first.encoding, features))
    shown = np.array(first.rule.actions)[decide(first.rule, answers, {}).actions] == "show"
    bought = (visits["bought"] == "yes").to_numpy()
    assert never["total"] == (shown & ~bought).sum() + 3 * (~shown & bought).sum()
    assert never["drawn"]


def test_never_retraining_is_not_guessed_where_the_log_lacks_its_features(team, both):
    """What the first release read must be in the log."""
    log_visits(team, both[1])
    twin = team.signed_in("Visitor Vera").twin(AT)
    assert dict(twin["unsaid"])["never retrained"].startswith("the log does not hold the features")
    assert "What cannot be said" in team.signed_in("Visitor Vera").page(AT)


def test_only_who_is_signed_in_looks(team):
    """The page and its twin are for those who were let in."""
    assert team.browser().get(AT).status_code == 303
    assert team.browser().get(f"{AT}.json").status_code == 401


@pytest.mark.parametrize("page", ["over-time", "feeds"])
def test_nobody_waits_for_the_first_count(team, both, page, monkeypatch):
    """While the first count is being made page and twin say so, at once; without a script the page renews itself too."""
    log_visits(team, both[-1])
    asked_for, at = Event(), f"/products/shop/{page}"
    for module, name in ((costs_counted, "count_costs"), (feeds_counted, "count_feeds")):
        monkeypatch.setattr(module, name, _held_back(getattr(module, name), asked_for))
    monkeypatch.setattr(counting, "WAIT_S", 0.01)
    browser = team.signed_in("Visitor Vera")
    try:
        shown = browser.page(at)
        assert "being counted for the first time" in shown
        assert '<noscript><meta http-equiv="refresh"' in shown
        assert "data-renew" in shown
        assert browser.twin(at)["being_counted"]
    finally:
        asked_for.set()
    monkeypatch.setattr(counting, "WAIT_S", 60.0)
    assert not browser.twin(at)["being_counted"]
    counted = browser.page(at)
    assert "data-renew" not in counted
    assert "http-equiv" not in counted


def _held_back(count, until):
    def held(*told, **named):
        assert until.wait(60)
        return count(*told, **named)

    return held


def test_a_room_that_begins_again_reads_what_was_counted(team, both, monkeypatch):
    """Counts outlast the room: another one over the same workspace counts nothing that was counted before."""
    log_visits(team, both[-1])
    first = team.signed_in("Visitor Vera").twin(AT)

    def never(*_told, **_named):
        raise AssertionError("counted twice")

    monkeypatch.setattr(costs_counted, "count_costs", never)
    again = replace(team.room, workspace=open_workspace(Settings(root=team.root)))
    team.app = create_room(again)
    assert team.signed_in("Visitor Vera").twin(AT)["counted_at"] == first["counted_at"]

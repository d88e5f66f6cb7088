"""Costs over time: sums by day that agree with arithmetic by hand, and days that are left out for a reason."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.engine import counting
from geartrain.engine.adopted import read_contract_text
from geartrain.engine.costs_counted import count_costs, counted_costs, key_of_count
from geartrain.engine.costs_over_time import Step, costs_over_time, on_the_line
from geartrain.engine.counting import counted
from geartrain.engine.workspace import Workspace
from geartrain.release.keys import new_key
from geartrain.testing.blobs import MemoryBlobs
from geartrain.testing.lake import MemoryLake
from geartrain.testing.ledger import MemoryLedger
from geartrain.testing.notifier import MemoryNotifier

BEGINS = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONTRACT = """\
geartrain: 1
product: {name: shop, title: Who will buy, problem: "Which visitor is shown the offer?", serves: the shop}
decision:
  task: binary
  unit: one visit
  label: bought
  positive: "yes"
  actions: {"yes": show, "no": hide}
  label_delay: 2 days
  fallback: hide
costs: {currency: EUR, false_negative: 3, false_positive: pages}
success:
  baselines:
    by-pages: {rule: pages > 2, action: show}
  expected_cost: {at_most: 5, relative_to: by-pages, owner: product, because: it is a test}
  on_phones: {metric: recall, at_least: 0.1, where: "device == 'phone'", owner: domain, because: phones are many}
fairness:
  devices: {groups: device, definition: equal_opportunity, at_most: 0.5, because: a device is no reason}
data:
  sources:
    visits:
      kind: decisions
      key: visit_id
      event_time: at
      fields:
        visit_id: {type: string, required: true}
        pages: {type: number, required: true, min: 0, max: 1000}
        device: {type: string, values: [phone, desk]}
        at: {type: timestamp}
    buys:
      kind: labels
      key: visit_id
      decision_key: visit_id
      event_time: at
      fields:
        visit_id: {type: string, required: true}
        bought: {type: string, values: ["yes", "no"]}
        at: {type: timestamp}
team: {product: [Pia], domain: [Dan], engineering: [Eva], science: [Sam]}
"""


@pytest.fixture(autouse=True)
def counts_are_waited_for(monkeypatch):
    """What is counted is asked here, not how long a page waits for it."""
    monkeypatch.setattr(counting, "WAIT_S", 60.0)


@pytest.fixture
def contract():
    return read_contract_text(CONTRACT)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(
        root=tmp_path, ledger=MemoryLedger(), lake=MemoryLake(), blobs=MemoryBlobs(),
        notifier=MemoryNotifier(), signing_key=new_key,
    )  # fmt: skip


def decide(workspace, rows, *, batch="one"):
    """Log decisions and their rows; a row is (day, device, pages, action, truth or None)."""
    at = [BEGINS + timedelta(days=day, minutes=place) for place, (day, *_) in enumerate(rows)]
    keys = [f"{batch}-{place}" for place in range(len(rows))]
    clocks = {"_event_time": at, "_arrival_time": at}
    log = pl.DataFrame(
        {
            **clocks, "key": keys, "decision_id": keys, "release": ["r1"] * len(rows),
            "action": [row[3] for row in rows], "abstained": [False] * len(rows),
            "probabilities": [json.dumps({"no": 0.5, "yes": 0.5})] * len(rows),
        },
        schema_overrides={"_event_time": pl.Datetime("us", "UTC"), "_arrival_time": pl.Datetime("us", "UTC")},
    )  # fmt: skip
    visits = log.select("_event_time", "_arrival_time", pl.col("key").alias("visit_id")).with_columns(
        pl.Series("pages", [float(row[2]) for row in rows]), pl.Series("device", [row[1] for row in rows])
    )
    buys = log.select("_event_time", pl.col("key").alias("visit_id")).with_columns(
        (pl.col("_event_time") + timedelta(days=1)).alias("_arrival_time"),
        pl.Series("bought", [row[4] for row in rows], dtype=pl.String),
    )
    workspace.lake.append("shop/decisions__log", log.to_arrow(), batch=batch)
    workspace.lake.append("shop/visits", visits.to_arrow(), batch=batch)
    workspace.lake.append("shop/buys", buys.filter(pl.col("bought").is_not_null()).to_arrow(), batch=batch)


#: A day with a right showing, a missed buyer (3), a needless showing (its pages: 4) and a right hiding.
DAY = (
    ("phone", 1, "show", "yes"),
    ("desk", 1, "hide", "yes"),
    ("desk", 4, "show", "no"),
    ("phone", 5, "hide", "no"),
)


def days(count, of=DAY, begin=0):
    return [(begin + day, *row) for day in range(count) for row in of]


def test_a_day_costs_what_arithmetic_says(workspace, contract):
    """The product's mistakes and everybody else's on the same rows, at the contract's own costs."""
    decide(workspace, days(1))
    counts = count_costs(workspace, contract, now=NOW)
    day = {one["policy"]: one for one in counts.days.filter(pl.col("slice") == "").to_dicts()}
    assert day["geartrain"]["cost"] == 3 + 4
    assert day["geartrain"]["square"] == 9 + 16
    assert day["always-show"]["cost"] == 4 + 5
    assert day["always-hide"]["cost"] == 3 + 3
    assert day["by-pages"]["cost"] == 3 + 3 + 4 + 5, "the team's own rule shows where there are more than two"
    assert {one["rows"] for one in day.values()} == {4}
    assert dict(counts.missing)["never retrain"].startswith("only one release has been live")


def test_every_where_and_every_group_is_a_slice(workspace, contract):
    """A condition of a clause and each group of a fairness clause can be looked at alone."""
    decide(workspace, days(1))
    counts = count_costs(workspace, contract, now=NOW)
    words = {one.words: one.key for one in counts.slices}
    assert list(words) == ["all decisions", "device == 'phone'", "device: desk", "device: phone"]

    def cost(name):
        own = counts.days.filter(pl.col("slice") == words[name], pl.col("policy") == "geartrain")
        return own["cost"].sum(), own["decisions"].sum()

    assert cost("device: desk") == (7, 2)
    assert cost("device: phone") == cost("device == 'phone'") == (0, 2)


def test_a_slice_that_cannot_be_read_is_said(workspace):
    """A condition over a column that nobody brings leaves the others as they are."""
    text = CONTRACT.replace("device == 'phone'", "mood == 'good'")
    decide(workspace, days(1))
    counts = count_costs(workspace, read_contract_text(text), now=NOW)
    assert "mood == 'good'" in dict(counts.missing)
    assert "all decisions" in {one.words for one in counts.slices}


def test_means_and_savings_are_of_1000_decisions(workspace, contract):
    """Twelve equal days: every mean is known, every interval has no width."""
    decide(workspace, days(12))
    counts = count_costs(workspace, contract, now=NOW)
    costs = costs_over_time(counts, contract, slice_key="", now=NOW)
    assert costs.rows == 48
    assert [one.name for one in costs.policies] == ["geartrain", "always-hide", "always-show", "by-pages"]
    own, hide = costs.policies[0], costs.policies[1]
    assert (own.cost.value, own.cost.low, own.cost.high) == pytest.approx((1750, 1750, 1750))
    assert hide.saved.value == pytest.approx(1500 - 1750), "below zero: the other way was cheaper"
    assert [one.kind for one in costs.policies] == ["product", "trivial", "trivial", "own"]
    assert [one.cost for one in own.points] == pytest.approx([1750] * 12)


def test_a_band_is_the_normal_interval_of_the_days_rows(workspace, contract):
    """Mean 1.75 of (0, 3, 4, 0), s^2 = 4.25, twice as many rows a day: the half width by hand."""
    decide(workspace, days(9, of=DAY * 2))
    costs = costs_over_time(count_costs(workspace, contract, now=NOW), contract, slice_key="", now=NOW)
    point = costs.policies[0].points[0]
    variance = (2 * (9 + 16) / 8 - 1.75**2) * 8 / 7
    half = 1.959964 * (variance / 8) ** 0.5
    assert (point.low, point.high) == pytest.approx((1000 * (1.75 - half), 1000 * (1.75 + half)), rel=1e-5)
    assert point.rows == 8


def test_few_rows_and_few_days_have_no_interval(workspace, contract):
    """Four rows have no band, three days say nothing of how days differ."""
    decide(workspace, days(3))
    own = costs_over_time(
        count_costs(workspace, contract, now=NOW), contract, slice_key="", now=NOW
    ).policies[0]
    assert own.cost.low is None
    assert {one.low for one in own.points} == {None}


def test_days_without_their_labels_are_cut(workspace, contract):
    """Not yet due, or far fewer labels than usual: such a day is told and not drawn."""
    few = ((*DAY[0],), *((*row[:3], None) for row in DAY[1:]))
    decide(workspace, days(9))
    decide(workspace, days(1, of=few, begin=9), batch="two")
    decide(workspace, days(1, begin=10), batch="three")
    now = BEGINS + timedelta(days=12)
    costs = costs_over_time(count_costs(workspace, contract, now=now), contract, slice_key="", now=now)
    told = [(one.due, one.drawn, one.labelled) for one in costs.days[-3:]]
    assert told == [(True, True, 4), (True, False, 1), (False, False, 4)]
    assert len(costs.policies[0].points) == 9
    assert (costs.decisions, costs.rows) == (44, 36)


def test_a_span_is_zoomed_and_weeks_begin_on_mondays(workspace, contract):
    """From, to before, by week; a span that holds nothing shows all of it."""
    decide(workspace, days(21))
    counts = count_costs(workspace, contract, now=NOW)
    costs = costs_over_time(
        counts, contract, slice_key="", now=NOW, since=BEGINS + timedelta(days=3), until=BEGINS + timedelta(days=10),
        step=Step.WEEK,
    )  # fmt: skip
    assert [(one.at, one.rows) for one in costs.policies[0].points] == [
        (BEGINS, 16), (BEGINS + timedelta(days=7), 12),
    ]  # fmt: skip
    nothing = costs_over_time(counts, contract, slice_key="", now=NOW, since=NOW)
    assert nothing.since == BEGINS
    assert costs_over_time(counts, contract, slice_key="no such", now=NOW) is None


def test_the_line_keeps_the_cheapest_trivial_policy(workspace, contract):
    """The product, the team's own rule and the cheapest trivial one; many trivial ones would hide them."""
    decide(workspace, days(9, of=(*DAY, ("phone", 9, "hide", "no"))))
    costs = costs_over_time(count_costs(workspace, contract, now=NOW), contract, slice_key="", now=NOW)
    drawn = {one.name for one in on_the_line(costs)}
    assert {"geartrain", "always-hide", "by-pages"} <= drawn


def test_what_is_there_is_counted_again_only_when_it_changed(workspace, contract):
    """The same lake gives the same count without counting; another row gives another key."""
    decide(workspace, days(2))
    first, current = counted_costs(workspace, contract, now=NOW)
    assert current
    again, _ = counted_costs(workspace, contract, now=NOW + timedelta(minutes=5))
    assert again.counted_at == first.counted_at
    key = key_of_count(workspace, contract, now=NOW)
    decide(workspace, days(1, begin=3), batch="two")
    assert key_of_count(workspace, contract, now=NOW) != key
    assert again.days.equals(first.days)


def test_a_spoilt_count_is_made_again(tmp_path):
    """A file that is not what was written is no count."""
    file, made = tmp_path / "x.counts", []

    def make():
        made.append(1)
        return b"seven"

    assert counted(file, "key", make) == (b"seven", True)
    assert counted(file, "key", make) == (b"seven", True)
    assert len(made) == 1
    file.write_bytes(file.read_bytes()[:-1])
    assert counted(file, "key", make) == (b"seven", True)
    assert len(made) == 2


def test_no_decision_is_no_line(workspace, contract):
    """Before anything was decided the count says so."""
    counts = count_costs(workspace, contract, now=NOW)
    assert dict(counts.missing) == {"geartrain": "no decision is in the log yet"}
    assert costs_over_time(counts, contract, slice_key="", now=NOW) is None

"""Labels that are asked for: drawn once and on record, answered by those who may, weighed by how they were drawn."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from geartrain.contract.parsing import parse
from geartrain.domain.events import DecisionReviewed, LabelsAsked, Verdict
from geartrain.domain.rule import rule_of
from geartrain.engine.decided import decisions_of, with_truth
from geartrain.engine.estimated_live import foretold
from geartrain.engine.label_requests import latest_request, request_labels
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.requested_truth import requested_sample
from geartrain.engine.rows import table_of
from geartrain.monitoring.powering import ANSWERED, Settling, from_labels

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
CONTRACT = """\
geartrain: 1
product: {name: shop, title: Shop, problem: "Whom to show the offer?"}
decision:
  task: binary
  unit: one visit
  label: bought
  positive: "yes"
  actions: {"no": hide, "yes": show}
costs: {currency: EUR, false_negative: 3, false_positive: 1}
success:
  expected_cost: {at_most: 5, owner: product, because: it is a test}
data:
  sources:
    visits: {kind: decisions, key: visit_id, fields: {visit_id: {type: string}, bought: {type: string}}}
team: {product: [Ann], domain: [Bo, Eve], engineering: [Cleo], science: [Dev]}
"""


@pytest.fixture
def contract():
    """A shop that has no source of labels: what people say is what is known."""
    return parse(CONTRACT, origin="product.yaml")


@pytest.fixture
def space(memory):
    """Four hundred decisions, each a minute apart; every tenth is a close call."""
    made = memory()
    chances = [0.24 if i % 10 == 0 else 0.02 for i in range(400)]
    times = pl.Series([NOW - timedelta(minutes=i) for i in range(400)], dtype=pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(
        {
            "_event_time": times,
            "_arrival_time": times,
            "_batch": ["b"] * 400,
            "key": [f"v{i}" for i in range(400)],
            "decision_id": [f"d{i}" for i in range(400)],
            "release": ["r1"] * 400,
            "arm": ["champion"] * 400,
            "action": ["hide"] * 400,
            "probabilities": [json.dumps({"no": 1 - one, "yes": one}) for one in chances],
            "expected_cost": [0.1] * 400,
            "abstained": [False] * 400,
            "fallback": [False] * 400,
            "doubt": [""] * 400,
        }
    )
    made.lake.append(table_of("shop", DECISIONS), frame.to_arrow(), batch="b")
    return made


def _read(space, contract, now=NOW):
    rule = rule_of(contract, ("no", "yes"))
    known = with_truth(space, contract, decisions_of(space, "shop", now=now), now=now)
    return rule, known, *foretold(space, contract, rule, known, now=now)


def _ask(space, contract, *, labels=120, now=NOW):
    _, _, rows, told = _read(space, contract)
    plan = Settling(about="success.expected_cost", of=len(told))
    return request_labels(
        space,
        contract,
        release="r1",
        rows=rows,
        told=told,
        settling=plan,
        labels=labels,
        now=now,
        actor="Dev",
    )


def _answer(space, person, decision, *, agree):
    event = DecisionReviewed(
        product="shop",
        decision=decision,
        release="r1",
        verdict=Verdict.AGREE if agree else Verdict.DISAGREE,
        action="hide",
        right="" if agree else "show",
        reason="",
        chosen="",
    )
    space.record("shop", [event], now=NOW, actor=person)


def test_a_request_is_drawn_once_and_stands_in_the_ledger(space, contract):
    """Close calls are likelier, none is out of reach, and what is read later is what was drawn."""
    made = _ask(space, contract)
    inclusion = {one.decision: one.inclusion for one in made.asked}
    assert 80 <= len(made.asked) <= 160
    close = {value for name, value in inclusion.items() if int(name[1:]) % 10 == 0}
    rest = {value for name, value in inclusion.items() if int(name[1:]) % 10}
    assert min(close) > 2 * max(rest) > 0.1
    again = latest_request(space, "shop", release="r1", now=NOW)
    assert again.asked == made.asked
    np.testing.assert_allclose(again.expected, made.expected)
    (event,) = [one for one in space.history("shop") if isinstance(one.event, LabelsAsked)]
    assert (event.actor, event.event.asked, event.event.of) == ("Dev", len(made.asked), 400)
    assert latest_request(space, "shop", release="r2", now=NOW) is None
    assert latest_request(space, "shop", release="r1", now=NOW - timedelta(days=1)) is None


def test_asking_again_draws_anew(space, contract):
    """A second request has chance of its own, and is the one that counts."""
    first, second = _ask(space, contract), _ask(space, contract, now=NOW + timedelta(minutes=1))
    assert {one.decision for one in first.asked} != {one.decision for one in second.asked}
    latest = latest_request(space, "shop", release="r1", now=NOW + timedelta(hours=1))
    assert latest.asked == second.asked


def test_rows_that_were_erased_are_no_request_any_more(space, contract):
    """The frame that names the drawn rows carries their key, so erasing finds it; then nothing is estimated from it."""
    made = _ask(space, contract)
    (event,) = [one.event for one in space.history("shop") if isinstance(one.event, LabelsAsked)]
    assert made.asked
    space.blobs.erase(event.rows)
    assert latest_request(space, "shop", release="r1", now=NOW) is None


def test_those_who_hold_domain_answer_and_nobody_else(space, contract):
    """Agreement of whoever holds domain is a truth, of others not; where two of them differ there is none."""
    made = _ask(space, contract)
    rule, known, _, _ = _read(space, contract)
    names = [one.decision for one in made.asked]
    rows, told = foretold(space, contract, rule, known.filter(pl.col("decision_id").is_in(names)), now=NOW)

    def labels():
        sample = requested_sample(space, contract, rule, made, rows, told)
        return sample, from_labels(sample)

    _answer(space, "Cleo", names[0], agree=True)
    assert labels()[1].labels == 0
    for name in names[:50]:
        _answer(space, "Bo", name, agree=False)
    sample, seen = labels()
    assert (seen.labels, seen.asked, seen.assumes) == (50, len(names), ANSWERED)
    assert "50 of them judged by people" in seen.message
    assert sample.values.tolist() == [3.0] * 50, "a visit that would have bought was not shown the offer"
    assert seen.cost.value == pytest.approx(3.0)
    _answer(space, "Eve", names[0], agree=True)
    assert labels()[1].labels == 49

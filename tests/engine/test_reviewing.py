"""What people say about decisions: who may, what is kept, how far they agree, when it counts as truth."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.contract.parsing import parse
from geartrain.domain.contract import FieldTerms, FieldType, SourceKind, SourceTerms
from geartrain.domain.events import DecisionReviewed, Verdict
from geartrain.domain.features import Aggregation, Encoding, FeatureSet, RequestFeature, WindowFeature
from geartrain.engine import reviewing
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.release_words import hidden_features, may_be_shown
from geartrain.engine.review_cases import full_case, known_truth
from geartrain.engine.review_queue import Why
from geartrain.engine.rows import OUTCOMES, frame_of, table_of

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
  label_delay: 1 day
  abstain: {below_confidence: 0.6, then: ask, cost: 1}
data:
  sources:
    visits:
      kind: decisions
      key: visit_id
      event_time: at
      fields:
        visit_id: {type: string, required: true}
        pages: {type: number, unit: pages}
        income: {type: number, sensitive: true}
        at: {type: timestamp}
        stayed: {type: number, known_after: 1 day}
        bought: {type: string, values: ["yes", "no"]}
team: {product: [Ann], domain: [Bo, Cy], engineering: [Cleo], science: [Dev]}
"""
ROW = {"visit_id": "v1", "pages": 7.0, "income": 91234.0, "at": "2026-06-09T08:00:00+00:00", "stayed": 3.0}


@pytest.fixture
def contract():
    """A shop that learns what was bought from its own rows."""
    return parse(CONTRACT, origin="product.yaml")


@pytest.fixture
def space(memory):
    """A workspace in which three visits were decided about, one of them by nobody."""
    made = memory()
    at = pl.Series([NOW - timedelta(days=1)] * 3, dtype=pl.Datetime("us", "UTC"))
    rows = pl.DataFrame(
        {
            "_event_time": at,
            "_arrival_time": at,
            "_batch": ["b"] * 3,
            "key": ["v1", "v2", "v3"],
            "decision_id": ["d1", "d2", "d3"],
            "release": ["gone"] * 3,
            "arm": ["champion"] * 3,
            "action": ["show", "hide", "ask"],
            "probabilities": [json.dumps({"no": 0.3, "yes": 0.7})] * 3,
            "expected_cost": [0.3] * 3,
            "abstained": [False, False, True],
            "fallback": [False] * 3,
            "doubt": ["", "", "the confidence is low"],
            "row": [json.dumps({**ROW, "visit_id": f"v{i}"}) for i in (1, 2, 3)],
        }
    )
    made.lake.append(table_of("shop", DECISIONS), rows.to_arrow(), batch="b")
    return made


def say(space, contract, id_, verdict, *, right="", reason="", person="Bo", chosen=Why.RANDOM, now=NOW):
    case = full_case(space, contract, id_, now=now)
    return reviewing.answer(
        space, contract, case.decision, verdict=verdict, right=right, reason=reason,
        chosen=str(chosen), person=person, now=now,
    )  # fmt: skip


def said(person, decision, verdict, *, right="", chosen=Why.RANDOM, action="show"):
    return reviewing.Answer(
        person=person, at=NOW, decision=decision, release="r", verdict=verdict, action=action,
        right=right, reason="", chosen=str(chosen),
    )  # fmt: skip


def test_a_later_answer_takes_the_place_of_an_earlier_one(space, contract):
    """Once for each person and decision; both stay in the ledger, and the same again is no news."""
    assert say(space, contract, "d1", Verdict.AGREE) is None
    assert say(space, contract, "d1", Verdict.AGREE) is None
    assert say(space, contract, "d1", Verdict.DISAGREE, right="hide", reason="a bot") is None
    assert say(space, contract, "d1", Verdict.AGREE, person="Dev") is None
    events = [one for one in space.history("shop") if isinstance(one.event, DecisionReviewed)]
    assert [one.actor for one in events] == ["Bo", "Bo", "Dev"]
    now = {one.person: one for one in reviewing.answers(space.history("shop"))}
    assert (now["Bo"].verdict, now["Bo"].right, now["Bo"].before) == (Verdict.DISAGREE, "hide", 1)
    assert (now["Dev"].verdict, now["Dev"].before) == (Verdict.AGREE, 0)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"person": "Eve"}, "no role"),
        ({"right": "dance", "reason": "why not"}, "names the action"),
        ({"right": "show", "reason": "it is what was done"}, "names the action"),
        ({"right": "hide"}, "says why"),
    ],
)
def test_an_answer_that_says_too_little_is_refused(space, contract, told, reason):
    """By who may not, without another action, without a reason; nothing is written down."""
    refused = say(space, contract, "d1", Verdict.DISAGREE, **told)
    assert reason in refused.reason
    assert refused.do
    assert space.history("shop") == ()


def test_agreement_has_the_exact_interval_and_random_ones_speak_alone(contract):
    """9 of 10: Clopper and Pearson's interval is .5550 to .9975; what was chosen for a reason is apart."""
    told = [said("Bo", f"d{i}", Verdict.AGREE if i else Verdict.DISAGREE, right="hide") for i in range(10)]
    told += [said("Bo", f"t{i}", Verdict.DISAGREE, right="hide", chosen=Why.THRESHOLD) for i in range(5)]
    told += [said("Bo", "x", Verdict.CANNOT_TELL)]
    found = reviewing.reviewed(told)
    share = found.at_random.share
    assert (share.value, share.low, share.high) == pytest.approx((0.9, 0.5550, 0.9975), abs=5e-5)
    assert found.at_random.cannot_tell == 1
    assert [(one.about, one.share.value) for one in found.by_reason] == [("near the threshold", 0.0)]


def test_a_decision_that_several_looked_at_counts_as_one():
    """Ten people about one decision prove no more than one person about it."""
    one = reviewing.reviewed([said("Bo", "d", Verdict.AGREE)]).at_random.share
    ten = reviewing.reviewed([said(f"P{i}", "d", Verdict.AGREE) for i in range(10)]).at_random.share
    assert (ten.low, ten.high) == pytest.approx((one.low, one.high))


def test_kappa_is_the_published_one():
    """20 and 15 alike, 5 and 10 not: agreement .7, kappa .4 (the usual textbook table of 50)."""
    table = (
        [("show", "show")] * 20 + [("show", "hide")] * 5 + [("hide", "show")] * 10 + [("hide", "hide")] * 15
    )
    told = [
        said(person, f"d{i}", Verdict.AGREE if pair[place] == "show" else Verdict.DISAGREE, right="hide")
        for i, pair in enumerate(table)
        for place, person in enumerate(("Ann", "Bo"))
    ]
    (found,) = reviewing.reviewed(told).between
    assert found.people == ("Ann", "Bo")
    assert found.agreed.value == pytest.approx(0.7)
    assert found.kappa.value == pytest.approx(0.4)
    assert found.kappa.low < 0.4 < found.kappa.high
    same = reviewing.reviewed([said(one, "d", Verdict.AGREE) for one in ("Ann", "Bo")]).between
    assert same[0].kappa is None


def test_nothing_sensitive_and_nothing_known_later_is_shown(space, contract):
    """Neither the income nor how long they stayed is in what a reviewer sees, nor in a known case."""
    case = full_case(space, contract, "d1", now=NOW)
    shown = {one.name for one in case.row}
    assert shown == {"visit_id", "pages", "at"}
    assert case.hidden == ("income",)
    assert "91234" not in repr((case.row, case.features, case.reasons, case.as_known_case))
    assert case.said == (("“bought: yes”", 0.7),)
    assert not may_be_shown(contract, contract.data.decisions.field("bought"))
    assert full_case(space, contract, "nobody", now=NOW) is None


def test_features_made_of_sensitive_columns_are_hidden(contract):
    """What tells the value is hidden, also through another feature; how often something happened is not."""
    window = {"source": "visits", "entity": "visit_id", "column": "income", "width_us": 10}
    features = (
        WindowFeature(name="mean", aggregation=Aggregation.MEAN, **window),
        WindowFeature(name="often", aggregation=Aggregation.COUNT, **window),
        RequestFeature(name="rich", expression="income > 5"),
        RequestFeature(name="double", expression="2 * mean"),
        RequestFeature(name="pages", expression="pages"),
    )
    encoding = Encoding(feature_set=FeatureSet(features=features), columns=())
    assert hidden_features(contract, encoding) == {"mean", "rich", "double"}


def test_the_domain_role_may_let_an_answer_count_as_truth(space, contract):
    """In their name, once; the row becomes one to learn from."""
    say(space, contract, "d1", Verdict.DISAGREE, right="hide", reason="a bot")
    done, refused = reviewing.record_as_outcome(space, contract, "d1", person="Bo", now=NOW)
    assert refused is None
    assert "“no”" in done
    (row,) = frame_of(space.lake.scan(table_of("shop", OUTCOMES))).to_dicts()
    assert (row["label"], row["decision"], row["by"]) == ("no", "d1", "Bo")
    learned = frame_of(space.lake.scan(table_of("shop", "visits")))
    assert learned["visit_id"].to_list() == ["v1"]
    case = full_case(space, contract, "d1", now=NOW)
    assert known_truth(space, contract, case, now=NOW) == "no"
    _, again = reviewing.record_as_outcome(space, contract, "d1", person="Bo", now=NOW)
    assert "known already: no" in again.reason


def test_not_every_answer_is_a_truth(space, contract):
    """Not by another role, not unanswered, not where the right action names no class."""
    say(space, contract, "d1", Verdict.AGREE, person="Dev")
    say(space, contract, "d2", Verdict.DISAGREE, right="ask", reason="nobody knows")
    say(space, contract, "d3", Verdict.CANNOT_TELL)
    tries = [
        ("d1", "Dev", "does not hold domain"),
        ("d1", "Bo", "not answered"),
        ("d2", "Bo", "no class"),
        ("d3", "Bo", "no class"),
    ]
    for id_, person, reason in tries:
        _, refused = reviewing.record_as_outcome(space, contract, id_, person=person, now=NOW)
        assert reason in refused.reason, (id_, person)
    assert frame_of(space.lake.scan(table_of("shop", OUTCOMES))).height == 0


def test_where_labels_have_a_source_the_truth_comes_from_there(space, contract):
    """The contract says where truth comes from; a judgement is no delivery of it."""
    labels = SourceTerms(name="tills", kind=SourceKind.LABELS, key="till_id", decision_key="visit_id",
                         fields=(FieldTerms(name="bought", type=FieldType.STRING),))  # fmt: skip
    other = replace(contract, data=replace(contract.data, sources=(*contract.data.sources, labels)))
    assert "“tills”" in reviewing.not_an_outcome(other)
    say(space, other, "d1", Verdict.AGREE)
    _, refused = reviewing.record_as_outcome(space, other, "d1", person="Bo", now=NOW)
    assert "“tills”" in refused.do
    at = pl.Series([NOW], dtype=pl.Datetime("us", "UTC"))
    told = pl.DataFrame({"_event_time": at, "_arrival_time": at, "visit_id": ["v1"], "bought": ["yes"]})
    space.lake.append("shop/tills", told.to_arrow(), batch="t")
    case = full_case(space, other, "d1", now=NOW)
    assert known_truth(space, other, case, now=NOW) == "yes"
    assert known_truth(space, other, case, now=NOW - timedelta(hours=1)) is None

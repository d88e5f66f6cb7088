"""Review: what a reviewer sees and does not see, who may answer, and what comes of an answer."""

import json
import re
from datetime import timedelta
from html import unescape

import polars as pl
import pytest

from geartrain.domain.events import ContractAdopted, DecisionReviewed
from geartrain.engine.logbook import DECISIONS
from geartrain.engine.rows import OUTCOMES, frame_of, table_of

AT = "/products/shop/review"
HOSTILE = "<script>alert(1)</script> \"quoted\" 'twice'"


@pytest.fixture
def logged(team):
    """A function that lets the live release have answered 30 visits in the week before, as a server logs them."""

    def make(count=30, device="phone"):
        champion = team.workspace.releases("shop").champion
        assert champion is not None
        at = [team.now - timedelta(days=2, minutes=i) for i in range(count)]
        times = pl.Series(at, dtype=pl.Datetime("us", "UTC"))
        chances = [0.9 if i % 3 == 0 else 0.05 for i in range(count)]
        sent = [
            {"visit_id": f"v-{i}", "visitor": "vip-4711", "pages": 12.0, "device": device, "at": at[i].isoformat(), "bought": "yes"}
            for i in range(count)
        ]  # fmt: skip
        rows = pl.DataFrame(
            {
                "_event_time": times,
                "_arrival_time": times,
                "_batch": ["b"] * count,
                "key": [f"v-{i}" for i in range(count)],
                "decision_id": [f"d-{i:04d}" for i in range(count)],
                "release": [champion] * count,
                "arm": ["champion"] * count,
                "action": ["show" if one > 0.25 else "hide" for one in chances],
                "probabilities": [json.dumps({"no": 1 - one, "yes": one}) for one in chances],
                "expected_cost": [0.15] * count,
                "abstained": [False] * count,
                "fallback": [False] * count,
                "doubt": [""] * count,
                "row": [json.dumps(one) for one in sent],
                "feature:pages": [12.0] * count,
                "feature:device": [device] * count,
            }
        )
        names = {one for one in rows.columns if one.startswith("feature:")}
        for name in feature_names(team):
            if f"feature:{name}" not in names:
                rows = rows.with_columns(pl.lit(1.5).alias(f"feature:{name}"))
        team.workspace.lake.append(table_of("shop", DECISIONS), rows.to_arrow(), batch="b")

    return make


def feature_names(team):
    return [one.name for one in team.product.features.features]


def adopted(team, before, after):
    """Let the team have adopted the contract with *after* in the place of *before*."""
    text = team.product.text.replace(before, after)
    assert text != team.product.text
    from geartrain.contract.parsing import parse

    event = ContractAdopted(
        product="shop", contract=parse(text, origin="x").id, text=team.workspace.blobs.put(text.encode())
    )
    team.workspace.record("shop", [event], now=team.now, actor=team.holder("product"))


def test_an_empty_log_says_what_would_fill_the_queue(team):
    """No decision, no question, and no error."""
    page = team.signed_in("Visitor Vera").page(AT)
    assert "No decision was logged yet" in page
    assert "Nobody has answered yet" in page


def test_a_decision_is_shown_in_full_with_inputs_and_reasons(team, logged):
    """Its action, probability, row and features, reasons in words and why it was chosen."""
    logged()
    browser = team.signed_in(team.holder("domain"))
    page, view = unescape(browser.page(AT)), browser.twin(AT)
    assert view["waiting"] == len(view["queue"]) == 30
    case = view["case"]
    assert case["decision"]["id"] == view["queue"][0]["decision"]
    assert case["why"] == view["queue"][0]["why"]
    assert case["reasons"]
    assert all(one["feature"] in feature_names(team) for one in case["reasons"])
    for words in (
        # The page begins the sentence with a capital and writes a percentage as all pages do.
        case["reasons"][0]["words"].replace(" %", "%")[1:],
        case["why_in_words"],
        "Probability of “bought: yes”",
        "One visit of",
    ):
        assert words in page, words
    assert {one["name"] for one in case["row"]} >= {"pages", "device", "visit_id"}
    assert "drawn at random" in page


def test_the_outcome_and_other_answers_wait_for_ones_own(team, logged):
    """Neither the label of the row, nor what became known, nor what others said is in page or twin before."""
    logged()
    vera, dan, sam = (
        team.signed_in(one) for one in ("Visitor Vera", team.holder("domain"), team.holder("science"))
    )
    id_ = dan.twin(AT)["case"]["decision"]["id"]
    here = f"{AT}?decision={id_}"
    outcome = pl.DataFrame(
        {
            "_event_time": pl.Series([team.now], dtype=pl.Datetime("us", "UTC")),
            "_arrival_time": pl.Series([team.now], dtype=pl.Datetime("us", "UTC")),
            "key": [f"v-{int(id_.split('-')[1])}"],
            "label": ["no"],
            "decision": [id_],
            "by": ["the till"],
        }
    )
    team.workspace.lake.append(table_of("shop", OUTCOMES), outcome.to_arrow(), batch="o")
    sam.act(f"{AT}/answer", decision=id_, verdict="agree", reason="it looks usual to me")
    for browser in (vera, dan):
        case = browser.twin(here)["case"]
        assert (case["truth"], case["others"], case["mine"]) == (None, [], None)
        assert "bought" not in {one["name"] for one in case["row"]}
        assert "What became known" not in browser.page(here)
    assert dan.twin(AT)["answers"] == []
    assert len(vera.twin(AT)["answers"]) == 1, "who is not asked may read"
    assert "it looks usual to me" not in dan.page(AT)
    dan.act(f"{AT}/answer", decision=id_, verdict="cannot tell")
    case = dan.twin(here)["case"]
    assert case["truth"] == "no"
    assert [one["person"] for one in case["others"]] == [team.holder("science")]
    assert "What became known: <strong>no</strong>" in dan.page(here)


def test_an_answer_is_an_event_by_name_and_the_next_decision_is_shown(team, logged):
    """Why it was chosen is the queue's word and not the form's."""
    logged()
    browser = team.signed_in(team.holder("domain"))
    first = browser.twin(AT)["case"]
    answer = browser.act(f"{AT}/answer", decision=first["decision"]["id"], verdict="agree", chosen="forged")
    assert answer.status_code == 303
    recorded = team.workspace.history("shop")[-1]
    assert isinstance(recorded.event, DecisionReviewed)
    assert recorded.actor == team.holder("domain")
    assert recorded.event.chosen == first["why"]
    after = browser.twin(AT)
    assert after["waiting"] == 29
    assert after["case"]["decision"]["id"] != first["decision"]["id"]
    assert after["answers"][0]["person"] == team.holder("domain")


def test_only_who_holds_a_role_answers(team, logged):
    """Everybody else may look; the form is not there, and a forged one is refused."""
    logged()
    vera = team.signed_in("Visitor Vera")
    id_ = vera.twin(AT)["case"]["decision"]["id"]
    assert 'name="verdict"' not in vera.page(AT)
    vera.act(f"{AT}/answer", decision=id_, verdict="agree")
    assert "no role" in vera.said()
    vera.act(f"{AT}/answer", decision=id_, verdict="perhaps")
    assert "nothing was said" in vera.said()
    assert not [one for one in team.workspace.history("shop") if isinstance(one.event, DecisionReviewed)]
    assert vera.get(f"{AT}?decision=nobody").status_code == 404
    assert vera.act(f"{AT}/answer", decision="nobody", verdict="agree").status_code == 404


def test_disagreement_becomes_an_outcome_or_a_clause(team, logged):
    """The domain role records it in its name; the links fill in clauses that the contract understands."""
    logged()
    browser = team.signed_in(team.holder("domain"))
    case = browser.twin(AT)["case"]
    id_, right = case["decision"]["id"], case["actions"][0]
    browser.act(f"{AT}/answer", decision=id_, verdict="disagree", right=right)
    assert "says why" in browser.said()
    browser.act(f"{AT}/answer", decision=id_, verdict="disagree", right=right, reason="a bot, by its pace")
    here = f"{AT}?decision={id_}"
    suggestions = browser.twin(here)["case"]["suggestions"]
    assert f"must always be answered with “{right}”" in suggestions[0]["words"]
    for one in (suggestions[0], suggestions[1]):
        form = browser.page(one["address"])
        fields = {
            name: unescape(value)
            for name, value in re.findall(
                r'<(?:input|textarea)[^>]* name="(leaf-[a-z_]+)"[^>]*?(?:value="|>)([^"<]*)', form
            )
        }
        assert fields["leaf-because"] == "a bot, by its pace"
        path = re.search(r'name="path" value="([^"]+)"', form).group(1)
        seen = browser.act("/products/shop/promise/preview", path=path, reason="we looked", **fields)
        assert seen.status_code == 200, unescape(seen.text)[:3000]
        assert path in seen.text
    browser.act(f"{AT}/outcome", decision=id_)
    assert "is the outcome" in browser.said()
    (row,) = frame_of(team.workspace.lake.scan(table_of("shop", OUTCOMES))).to_dicts()
    assert (row["by"], row["decision"]) == (team.holder("domain"), id_)
    assert not browser.twin(here)["case"]["may_record"]
    other = team.signed_in(team.holder("science"))
    other.act(f"{AT}/outcome", decision=id_)
    assert "does not hold domain" in other.said()


def test_what_the_contract_calls_sensitive_is_nowhere(team, logged):
    """Not in the row, not in the features, not in a reason, not in the clause that is suggested."""
    logged(device="desk-of-the-minister")
    adopted(team, "device: {type: string,", "device: {sensitive: true, type: string,")
    browser = team.signed_in(team.holder("domain"))
    id_ = browser.twin(AT)["case"]["decision"]["id"]
    browser.act(f"{AT}/answer", decision=id_, verdict="agree", reason="as usual")
    for path in (AT, f"{AT}?decision={id_}"):
        assert "minister" not in browser.page(path)
        assert "minister" not in json.dumps(browser.twin(path))
    assert "device" in browser.twin(AT)["case"]["sensitive"]
    assert "Not shown, because the contract calls it sensitive: device" in browser.page(AT)


def test_hostile_words_are_shown_as_words(team, logged):
    """In the row, in an answer, in the address."""
    logged(device=HOSTILE)
    browser = team.signed_in(team.holder("domain"))
    id_ = browser.twin(AT)["case"]["decision"]["id"]
    browser.act(f"{AT}/answer", decision=id_, verdict="agree", reason=HOSTILE)
    for path in (AT, f"{AT}?decision={id_}"):
        page = browser.page(path)
        assert "<script>alert" not in page
        assert HOSTILE in unescape(page)
    assert "<script>alert" not in browser.get(f"{AT}?decision={HOSTILE}").text


def test_agreement_is_told_for_the_random_ones_alone(team, logged):
    """With its interval; two people are compared where both looked."""
    logged()
    dan, sam = team.signed_in(team.holder("domain")), team.signed_in(team.holder("science"))
    queue = dan.twin(AT)["queue"]
    drawn = [one["decision"] for one in queue if one["why"] == "drawn at random"][:3]
    for id_ in drawn:
        dan.act(f"{AT}/answer", decision=id_, verdict="agree")
    sam.act(f"{AT}/answer", decision=drawn[0], verdict="disagree", right="hide" if _action(queue, drawn[0]) == "show" else "show", reason="no")  # fmt: skip
    view = dan.twin(AT)
    assert view["reviewed"]["at_random"]["share"]["rows"] == 4
    assert view["reviewed"]["at_random"]["share"]["value"] == 0.75
    (between,) = view["reviewed"]["between"]
    assert between["people"] == sorted([team.holder("domain"), team.holder("science")])
    assert between["agreed"]["value"] == 0.0
    page = dan.page(AT)
    assert "Only decisions drawn at random speak for all decisions" in page
    assert "75%" in page


def _action(queue, id_):
    return next(one["action"] for one in queue if one["decision"] == id_)

"""The decision route: what it answers, for every task, and what is logged."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter, sleep
from urllib.parse import quote

import numpy as np
import pytest

from geartrain.api.app import create_app
from geartrain.api.decisions import MOST_ROWS_AT_ONCE, RowLimits
from geartrain.errors import RequestInvalid
from geartrain.serving.admission import AdmissionLimits

URL = "/v1/products/{}/decisions"


def test_a_row_is_decided_logged_and_found_again(world, talk):
    """The answer has action, probabilities, cost, release and id; the same decision is in the log and by its URL."""

    async def conversation(client):
        answer = await client.post(URL.format("p"), json={"row": {"id": "k1", "x": 1.0, "y": 2.0}})
        (made,) = answer.json()["decisions"]
        again = await client.get(f"/v1/products/p/decisions/{made['id']}")
        missing = await client.get("/v1/products/p/decisions/none")
        return answer, made, again, missing

    answer, made, again, missing = talk(world, conversation)

    assert answer.status_code == 200
    # Scores 0.5 * y and x are equal: p(yes) = 1/2; a "no" costs 1.5, a "yes" 0.5 (a wrong cell costs 1).
    assert made["probabilities"] == {"no": pytest.approx(0.5), "yes": pytest.approx(0.5)}
    assert (made["action"], made["expected_cost"]) == ("yes", pytest.approx(0.5))
    assert (made["release"], made["key"], made["arm"], made["value"]) == ("r1", "k1", "champion", None)
    assert again.json() == made
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "serving.decision-unknown")
    (record,) = world.logged()
    assert record.decision.id == made["id"]
    assert record.sent() == {"id": "k1", "x": 1.0, "y": 2.0}
    assert record.inputs().tolist() == [1.0, 2.0]


def test_multiclass_and_regression_are_decided(world, talk):
    """A product with three classes and one that predicts a number answer through the same route."""

    async def conversation(client):
        many = await client.post(URL.format("m"), json={"rows": [{"x": 9, "y": 0}, {"x": -9, "y": 0}]})
        number = await client.post(URL.format("n"), json={"row": {"x": 2, "y": 1}})
        return many.json()["decisions"], number.json()["decisions"]

    many, (number,) = talk(world, conversation)

    assert [one["action"] for one in many] == ["b", "c"]
    assert set(many[0]["probabilities"]) == {"a", "b", "c"}
    assert (number["action"], number["value"]) == ("predict", 5.0)
    assert (number["probabilities"], number["expected_cost"]) == (None, None)


def test_the_same_decision_id_gets_the_same_answer(world, talk, make_served):
    """A repeated request is answered with what was decided first, even by another release since."""

    async def conversation(client):
        body = {"rows": [{"x": 5, "y": 0}], "decision_ids": ["mine"]}
        first = await client.post(URL.format("p"), json=body)
        world.host.swap("p", make_served(release="r2", bias=-50.0))
        second = await client.post(URL.format("p"), json=body)
        other = await client.post(URL.format("p"), json={"row": {"x": 5, "y": 0}})
        return first.json(), second.json(), other.json()

    first, second, other = talk(world, conversation)

    assert first == second
    assert other["decisions"][0]["release"] == "r2"
    assert [one.decision.id for one in world.logged()].count("mine") == 1


def test_reasons_keys_and_times_are_taken(world, talk):
    """`explain`, `keys` and `at` reach the decision; reasons come only on request."""
    at = datetime.now(UTC) - timedelta(days=2)

    async def conversation(client):
        body = {"rows": [{"x": 2, "y": 0}], "keys": ["k9"], "at": at.isoformat(), "explain": True}
        return (await client.post(URL.format("p"), json=body)).json()["decisions"][0]

    made = talk(world, conversation)

    change = 1 / (1 + math.exp(-2)) - 0.5
    assert made["reasons"] == [
        f"the x 2 m raises the probability of “label: yes” by {change:.3g} (typical: 0 m)"
    ]
    assert made["key"] == "k9"
    assert world.logged()[0].at == at


def test_loading_what_reasons_need_holds_nobody_up(world, talk, make_served):
    """The first request for a release's reasons waits for seconds where a library is loaded; other decisions do not."""
    asked: list[int] = []

    def contribute(matrix):
        asked.append(len(matrix))
        if len(asked) == 1:
            sleep(1.0)
        return np.ones((len(matrix), 1, 2))

    world.host.swap("p", make_served(contribute=contribute))

    async def conversation(client):
        async def timed(body):
            began = perf_counter()
            answer = await client.post(URL.format("p"), json=body)
            return answer.json()["decisions"][0]["reasons"], perf_counter() - began

        row = {"row": {"x": 2, "y": 0}}
        explained = [asyncio.create_task(timed(row | {"explain": True})) for _ in range(2)]
        await asyncio.sleep(0.1)
        return await timed(row), [await one for one in explained]

    (none, took_s), explained = talk(world, conversation)

    assert (none, took_s < 0.7) == ([], True)
    assert [len(reasons) for reasons, _ in explained] == [2, 2]
    assert min(waited for _, waited in explained) >= 1.0
    assert asked[0] == 1
    assert sum(asked) == 3


def test_reasons_that_cannot_be_loaded_cost_no_decision(world, talk, make_served):
    """A release whose reasons fail is as one whose model fails: the fallback acts, and nobody meets a 500."""
    world.host.swap("p", make_served(contribute=lambda matrix: 1 / 0))

    async def conversation(client):
        return await client.post(URL.format("p"), json={"row": {"x": 2, "y": 0}, "explain": True})

    answer = talk(world, conversation)

    assert (answer.status_code, answer.json()["decisions"][0]["fallback"]) == (200, True)


@pytest.mark.parametrize("name", ["loan/7", "a/b c é", "../x"])
def test_a_decision_is_found_under_any_id_that_was_taken(world, talk, name):
    """A client's own id may have any character that can be seen; in the path it is written with percents."""

    async def conversation(client):
        body = {"row": {"x": 2, "y": 0}, "decision_ids": [name]}
        made = (await client.post(URL.format("p"), json=body)).json()["decisions"][0]
        return made, await client.get(f"{URL.format('p')}/{quote(name, safe='')}")

    made, found = talk(world, conversation)

    assert made["id"] == name
    assert (found.status_code, found.json()["id"]) == (200, name)


@pytest.mark.parametrize("name", ["a\nb", "a\x00"])
def test_an_id_that_nobody_could_write_down_is_refused(world, talk, name):
    """Control characters do not survive logs, paths and databases."""

    async def conversation(client):
        return await client.post(URL.format("p"), json={"row": {"x": 2, "y": 0}, "decision_ids": [name]})

    answer = talk(world, conversation)

    assert (answer.status_code, answer.json()["error"]["where"]) == (400, "decision_ids")


def test_a_misspelled_word_of_the_request_is_named(world, talk):
    """What the request itself may say is known; only rows may hold more than the contract says."""

    async def conversation(client):
        wrong = {"row": {"x": 2, "y": 0, "z": 1}, "explian": True}
        mistyped = {"row": {"x": 2, "y": 0}, "explain": "yes"}
        return [await client.post(URL.format("p"), json=body) for body in (wrong, mistyped)]

    answers = talk(world, conversation)

    errors = [one.json()["error"] for one in answers]
    assert [one.status_code for one in answers] == [400, 400]
    assert "`explian`" in errors[0]["message"]
    assert "$.explain" in errors[1]["message"]
    assert [one["hint"] for one in errors] == ["GET /docs has what the request may hold"] * 2


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_the_calendar_is_the_senders_mistake(world, talk, at):
    """There are such times in other zones only; of a decision as of an outcome."""

    async def conversation(client):
        decided = await client.post(URL.format("p"), json={"row": {"x": 2, "y": 0}, "at": at})
        made = (await client.post(URL.format("p"), json={"row": {"x": 2, "y": 0}})).json()
        outcome = {"decision_id": made["decisions"][0]["id"], "label": "yes", "happened_at": at}
        return decided, await client.post("/v1/products/p/outcomes", json={"outcomes": [outcome]})

    decided, told = talk(world, conversation)

    assert (decided.status_code, decided.json()["error"]["where"]) == (400, "at")
    assert told.status_code == 400


def test_many_requests_at_once_share_model_calls(world, talk, make_served):
    """Requests that arrive together are decided by few model calls, each with its own answer."""
    model = make_served()
    calls: list[int] = []

    def predict(matrix):
        calls.append(len(matrix))
        return model.predict(matrix)

    world.host.swap("p", make_served(predict=predict))

    async def conversation(client):
        posts = [client.post(URL.format("p"), json={"row": {"x": i / 10, "y": 0}}) for i in range(60)]
        return [answer.json()["decisions"][0] for answer in await asyncio.gather(*posts)]

    made = talk(world, conversation)

    assert [one["probabilities"]["yes"] for one in made] == [
        pytest.approx(1 / (1 + math.exp(-i / 10)), abs=1e-6) for i in range(60)
    ]
    assert sum(calls) == 60
    assert len(calls) < 30
    assert len({one["id"] for one in made}) == 60


def test_a_large_request_is_cut_and_put_together(world, talk):
    """1000 rows come back in order, whatever the size of a model call."""

    async def conversation(client):
        rows = [{"x": i / 100, "y": 0} for i in range(1000)]
        return (await client.post(URL.format("n"), json={"rows": rows})).json()["decisions"]

    made = talk(world, conversation)

    assert [one["value"] for one in made] == [pytest.approx(i / 50, abs=1e-5) for i in range(1000)]
    assert len(world.logged()) == 1000


def test_the_log_says_how_long_each_answer_took(world, talk, monkeypatch):
    """From the request's arrival to the hand-over: at least what the model took, at most what the client waited; a slice each."""

    async def conversation(client):
        began = perf_counter()
        answer = await client.post(URL.format("n"), json={"rows": [{"x": 1, "y": 0}] * 200})
        return answer, perf_counter() - began

    lane = world.host.lane("n")
    slow = replace(lane.champion, predict=lambda matrix: (sleep(0.02), lane.champion.predict(matrix))[1])
    monkeypatch.setattr(world.host, "lane", lambda _: replace(lane, champion=slow))
    answer, waited_s = talk(world, conversation)

    assert answer.status_code == 200
    took = [record.latency_ms for record in world.logged()]
    assert len(took) == 200
    assert all(20 <= one <= 1e3 * waited_s for one in took)
    assert sorted(Counter(took).values()) == [72, 128]


def test_one_client_s_bad_row_costs_no_other_client(world, talk, make_served):
    """A row that the features refuse is its own client's 400; requests in the same batch are answered."""
    normal = make_served().encode

    def encode(rows, at):
        if any(row["x"] == 13 for row in rows):
            raise RequestInvalid("no such currency", where="x")
        return normal(rows, at)

    world.host.swap("p", make_served(encode=encode))

    async def conversation(client):
        posts = [client.post(URL.format("p"), json={"row": {"x": x}}) for x in (1, 13, 2, 13, 3)]
        return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert talk(world, conversation) == [200, 400, 200, 400, 200]


def test_a_broken_model_is_answered_by_the_fallback(world, talk, make_served):
    """A client gets a decision marked as fallback, with no cost claimed, and 200."""

    def predict(matrix):
        raise ValueError("a secret of the model")

    world.host.swap("p", make_served(predict=predict))

    async def conversation(client):
        answer = await client.post(URL.format("p"), json={"row": {"x": 1}})
        return answer.status_code, answer.text, answer.json()["decisions"][0]

    status, text, made = talk(world, conversation)

    assert (status, made["action"], made["fallback"], made["expected_cost"]) == (200, "yes", True, None)
    assert "secret" not in text


def test_canary_and_shadow_take_their_shares(world, talk, make_served):
    """A canary answers for its share, the same keys each time; a shadow is logged and never answered."""
    world.host.set_canary("p", make_served(release="r2"), share=0.5)
    world.host.set_shadow("p", make_served(release="r3"), share=1.0)

    async def conversation(client):
        body = {"rows": [{"id": f"card-{i}", "x": 1} for i in range(100)]}
        first = (await client.post(URL.format("p"), json=body)).json()["decisions"]
        second = (await client.post(URL.format("p"), json=body)).json()["decisions"]
        await asyncio.sleep(0.01)
        return (
            [one["arm"] for one in first],
            [one["arm"] for one in second],
            {one["release"] for one in first},
        )

    first, second, releases = talk(world, conversation)

    assert first == second
    assert 20 < first.count("canary") < 80
    assert releases == {"r1", "r2"}
    shadow = world.logged(shadow=True)
    assert len(shadow) == 200
    assert {one.decision.release for one in shadow} == {"r3"}
    assert {one.decision.id for one in shadow} == {one.decision.id for one in world.logged()}


def test_unknown_fields_are_taken_and_counted(world, talk):
    """A field that the contract does not know changes nothing but a counter."""
    app = create_app(world.host)

    async def conversation(client):
        await client.post(URL.format("p"), json={"row": {"x": 1, "huge": 10**30, "nested": {"a": [1]}}})
        return (await client.get("/metrics")).text

    assert 'geartrain_unknown_fields_total{product="p"} 2.0' in talk(app, conversation)
    assert world.logged()[0].sent()["nested"] == '{"a":[1]}'


def test_a_full_server_says_try_again(world, talk):
    """Beyond the most requests in flight the answer is 503 with Retry-After, and soon 200 again."""
    app = create_app(world.host, admission=AdmissionLimits(most_in_flight=5))

    async def conversation(client):
        posts = [client.post(URL.format("p"), json={"row": {"x": 1}}) for _ in range(50)]
        crowd = await asyncio.gather(*posts)
        later = await client.post(URL.format("p"), json={"row": {"x": 1}})
        return crowd, later

    crowd, later = talk(app, conversation)

    shed = [answer for answer in crowd if answer.status_code == 503]
    assert {answer.status_code for answer in crowd} == {200, 503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in shed)
    assert shed[0].json()["error"]["code"] == "serving.overloaded"
    assert later.status_code == 200


@pytest.mark.parametrize("always", [2, 64])
@pytest.mark.parametrize("path", [URL.format("p"), "/v2/models/p/infer"])
def test_a_turn_that_comes_too_late_is_refused_in_a_crowd_only(world, talk, make_served, path, always):
    """Behind a slow batch the promise is over: 503 without a model call where others wait, an answer where none do."""
    calls = []

    def slow(matrix):
        calls.append(len(matrix))
        sleep(0.05)
        return made.predict(matrix)

    made = make_served(release="slow")
    world.host.swap("p", replace(made, predict=slow), promised_s=0.005)
    app = create_app(world.host, admission=AdmissionLimits(always=always))
    rows = [[1.0, 2.0]] * MOST_ROWS_AT_ONCE
    tensor = {"name": "features", "shape": [len(rows), 2], "datatype": "FP32", "data": rows}
    body = {"inputs": [tensor]} if "infer" in path else {"rows": [{"x": x, "y": y} for x, y in rows]}

    async def conversation(client):
        return await asyncio.gather(*(client.post(path, json=body) for _ in range(4)))

    answers = talk(app, conversation)

    # Each fills a batch of its own; the first one's call takes ten promises.
    if always == 64:
        assert [one.status_code for one in answers] == [200] * 4
        assert len(calls) == 4
        return
    late = [one for one in answers if one.status_code == 503]
    assert late
    assert len(calls) == 4 - len(late)
    assert all(one.headers["retry-after"] == "1" for one in late)


def test_a_log_that_cannot_be_written_refuses(tmp_path, make_world, make_served, talk):
    """No decision is answered that could be lost: 503, and ready again says why not."""
    world = make_world(tmp_path / "journal", most_backlog_bytes=-1)
    world.host.swap("p", make_served())

    async def conversation(client):
        return await client.post(URL.format("p"), json={"row": {"x": 1}})

    answer = talk(world, conversation)
    world.host.close()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "disk.full")
    assert answer.headers["retry-after"] == "1"


def test_row_limits_hold(world, talk):
    """More rows than allowed, or more than can be explained, are refused before any work."""
    app = create_app(world.host, rows=RowLimits(most=3, most_explained=1))

    async def conversation(client):
        rows = [{"x": 1}, {"x": 2}]
        few = await client.post(URL.format("p"), json={"rows": rows})
        many = await client.post(URL.format("p"), json={"rows": rows * 2})
        explained = await client.post(URL.format("p"), json={"rows": rows, "explain": True})
        return few.status_code, many.status_code, explained.status_code

    assert talk(app, conversation) == (200, 400, 400)


def test_server_timing_on_request(world, talk):
    """The time of each stage is told where it is asked for, and only there."""

    async def conversation(client):
        plain = await client.post(URL.format("p"), json={"row": {"x": 1}})
        timed = await client.post(URL.format("p") + "?timing=1", json={"row": {"x": 1}})
        return plain.headers, timed.headers

    plain, timed = talk(world, conversation)

    assert "server-timing" not in plain
    names = [entry.split(";dur=")[0] for entry in timed["server-timing"].split(", ")]
    assert names == ["read", "check", "decide", "log", "write"]

"""Outcomes and events: each item reported, repeats harmless, corrections taken."""

from __future__ import annotations

P = "/v1/products/p"


def test_outcomes_are_recorded_repeated_corrected_and_reported(world, talk):
    """One request tells of each outcome what became of it; the recorder sees only what can be taken."""

    async def conversation(client):
        rows = [{"x": 1}, {"x": 2}]
        await client.post(f"{P}/decisions", json={"rows": rows, "decision_ids": ["a", "b"]})
        first = {
            "outcomes": [
                {"decision_id": "a", "label": "yes"},
                {"decision_id": "b", "label": "perhaps"},
                {"decision_id": "c", "label": "no", "happened_at": "2026-01-01T00:00:00Z"},
            ]
        }
        answers = [await client.post(f"{P}/outcomes", json=first) for _ in range(2)]
        correction = {"outcomes": [{"decision_id": "a", "label": "no"}], "by": "dana"}
        answers.append(await client.post(f"{P}/outcomes", json=correction))
        return [[item["status"] for item in answer.json()["outcomes"]] for answer in answers]

    first, again, corrected = talk(world, conversation)

    assert first == ["recorded", "invalid", "unknown decision"]
    assert again == ["duplicate", "invalid", "unknown decision"]
    assert corrected == ["corrected"]
    assert world.outcomes == {"a": "no"}


def test_an_outcome_finds_its_decision_in_the_journal_and_in_the_lake(world, talk):
    """Whether the decision has reached the lake yet makes no difference; another product's does not count."""

    async def conversation(client):
        await client.post(f"{P}/decisions", json={"row": {"x": 1}, "decision_ids": ["a"]})
        outcome = {"outcomes": [{"decision_id": "a", "label": "yes"}]}
        at_once = await client.post(f"{P}/outcomes", json=outcome)
        world.log.flush(timeout_s=5)
        from_lake = await client.post(f"{P}/outcomes", json=outcome)
        other = await client.post(
            "/v1/products/m/outcomes", json={"outcomes": [{"decision_id": "a", "label": "a"}]}
        )
        return at_once.status_code, from_lake.status_code, other.status_code

    assert talk(world, conversation) == (200, 200, 404)


def test_a_regression_s_outcome_is_a_number(world, talk):
    """A number is taken for a product that predicts numbers, a word is not."""

    async def conversation(client):
        await client.post("/v1/products/n/decisions", json={"row": {"x": 1}, "decision_ids": ["a"]})
        url = "/v1/products/n/outcomes"
        good = await client.post(url, json={"outcomes": [{"decision_id": "a", "label": 2.5}]})
        bad = await client.post(url, json={"outcomes": [{"decision_id": "a", "label": "high"}]})
        return good.status_code, bad.status_code

    assert talk(world, conversation) == (200, 400)
    assert world.outcomes == {"a": "2.5"}


def test_events_are_handed_to_the_door(world, talk):
    """Rows of an event source are accepted for ingestion; an unknown source is the client's fault."""

    async def conversation(client):
        good = await client.post(f"{P}/events", json={"source": "events", "rows": [{"a": 1}, {"a": 2}]})
        unknown = await client.post(f"{P}/events", json={"source": "nothing", "rows": [{}]})
        empty = await client.post(f"{P}/events", json={"source": "events", "rows": []})
        return good, unknown, empty

    good, unknown, empty = talk(world, conversation)

    assert (good.status_code, good.json()["accepted"]) == (202, 2)
    assert world.rows == [{"a": 1}, {"a": 2}]
    assert (unknown.status_code, empty.status_code) == (422, 400)


def test_an_idempotency_key_stands_for_one_delivery(world, talk):
    """The same request again is answered again; other rows under its key are refused, and not taken."""

    async def conversation(client):
        said = {"headers": {"idempotency-key": "k1"}}
        body = {"source": "events", "rows": [{"a": 1}]}
        first = await client.post(f"{P}/events", json=body, **said)
        again = await client.post(f"{P}/events", json=body, **said)
        other = await client.post(f"{P}/events", json=body | {"rows": [{"a": 2}]}, **said)
        free = await client.post(
            f"{P}/events", json=body | {"rows": [{"a": 2}]}, headers={"idempotency-key": "k2"}
        )
        endless = await client.post(f"{P}/events", json=body, headers={"idempotency-key": "k" * 300})
        return [one.status_code for one in (first, again, other, free, endless)]

    assert talk(world, conversation) == [202, 202, 409, 202, 400]
    assert {"a": 2} in world.rows


def test_too_many_deliveries_are_sent_away_with_the_time_to_come_again(world, talk):
    """While the door is busy so many wait; the next is told when to come again, and nothing of it is taken."""
    import asyncio
    import threading

    from geartrain.api.events import MOST_WAITING, _gates

    free = threading.Event()
    taken, taking = [], world.host.take_events

    def slow(product, source, rows, now):
        taken.append(rows)
        assert free.wait(20)
        return taking(product, source, rows, now)

    world.host.take_events = slow

    async def conversation(client):
        send = [
            client.post(f"{P}/events", json={"source": "events", "rows": [{"a": n}]})
            for n in range(MOST_WAITING)
        ]
        waiting = [asyncio.ensure_future(one) for one in send]
        while _gates.get(world.host) is None or _gates[world.host].waiting < MOST_WAITING:  # noqa: ASYNC110 - nothing to wait on: the gate belongs to the room under test
            await asyncio.sleep(0.001)
        answer = await client.post(f"{P}/events", json={"source": "events", "rows": [{"late": 1}]})
        free.set()
        return answer, [one.status_code for one in await asyncio.gather(*waiting)]

    answer, others = talk(world, conversation)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert others == [202] * MOST_WAITING


def test_a_key_that_stands_twice_in_a_row_is_refused(world, talk):
    """Nobody knows which of the two values was meant."""

    async def conversation(client):
        content = b'{"source":"events","rows":[{"a":1,"a":2}]}'
        answer = await client.post(
            f"{P}/events", content=content, headers={"content-type": "application/json"}
        )
        return answer.status_code, answer.json()["error"]["found"]

    assert talk(world, conversation) == (400, "a")
    assert world.rows == []

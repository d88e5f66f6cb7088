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

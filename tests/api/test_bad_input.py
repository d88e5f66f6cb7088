"""Bad input: whatever a client gets wrong is its 4xx, never our 5xx, and nothing is decided."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.api.app import create_app
from geartrain.api.bodies import BodyLimits

P = "/v1/products/p"
JSON = {"content-type": "application/json"}
GOOD = b'{"row":{"x":1}}'

BAD_DECISIONS = {
    "empty body": (b"", 400),
    "malformed": (b'{"row":{"x":1}', 400),
    "not utf-8": (b'{"row":{"id":"\xff","x":1}}', 400),
    "NaN": (b'{"row":{"x":NaN}}', 400),
    "Infinity": (b'{"row":{"x":Infinity}}', 400),
    "1e999": (b'{"row":{"x":1e999}}', 400),
    "400 digits": (b'{"row":{"x":' + b"9" * 400 + b"}}", 400),
    "deep nesting": (b'{"row":{"x":' + b'{"a":' * 30_000 + b"1" + b"}" * 30_000 + b"}}", 400),
    "a list": (b"[]", 400),
    "null": (b"null", 400),
    "no rows": (b"{}", 400),
    "zero rows": (b'{"rows":[]}', 400),
    "row and rows": (b'{"row":{"x":1},"rows":[{"x":1}]}', 400),
    "rows of text": (b'{"rows":["x"]}', 400),
    "missing field": (b'{"row":{"y":1}}', 400),
    "text for number": (b'{"row":{"x":"1"}}', 400),
    "boolean for number": (b'{"row":{"x":true}}', 400),
    "object for number": (b'{"row":{"x":{"y":1}}}', 400),
    "out of range": (b'{"row":{"x":101}}', 400),
    "number for text": (b'{"row":{"x":1,"id":7}}', 400),
    "too many keys": (b'{"row":{"x":1},"keys":["a","b"]}', 400),
    "same id twice": (b'{"rows":[{"x":1},{"x":2}],"decision_ids":["a","a"]}', 400),
    "endless id": (b'{"row":{"x":1},"decision_ids":["' + b"a" * 1000 + b'"]}', 400),
    "future": (b'{"row":{"x":1},"at":"2999-01-01T00:00:00Z"}', 400),
    "1001 rows": (json.dumps({"rows": [{"x": 1}] * 1001}).encode(), 400),
    "10 MB": (b'{"row":{"x":1,"pad":"' + b"a" * 10_000_000 + b'"}}', 413),
}


@pytest.mark.parametrize(("body", "status"), BAD_DECISIONS.values(), ids=BAD_DECISIONS.keys())
def test_a_bad_decision_request(world, talk, body, status):
    """Each kind of bad body gets its 4xx with code, message and hint, and the server answers the next."""

    async def conversation(client):
        bad = await client.post(f"{P}/decisions", content=body, headers=JSON)
        good = await client.post(f"{P}/decisions", content=GOOD, headers=JSON)
        return bad, good

    bad, good = talk(world, conversation)

    assert bad.status_code == status
    error = bad.json()["error"]
    assert set(error) == {"code", "message", "where", "found", "hint"}
    assert error["message"]
    assert good.status_code == 200
    assert len(world.logged()) == 1


@pytest.mark.parametrize(
    ("method", "url", "headers", "status", "code"),
    [
        ("POST", "/v1/products/unknown/decisions", JSON, 404, "product.unknown"),
        ("POST", "/v1/products//decisions", JSON, 404, "http.not-found"),
        ("POST", "/nowhere", JSON, 404, "http.not-found"),
        ("GET", f"{P}/decisions", {}, 405, "http.method-not-allowed"),
        ("DELETE", "/v1/products", {}, 405, "http.method-not-allowed"),
        ("POST", f"{P}/decisions", {"content-type": "text/csv"}, 415, "http.unsupported-media-type"),
        ("POST", f"{P}/decisions", JSON | {"content-encoding": "gzip"}, 415, "http.unsupported-media-type"),
        ("POST", f"{P}/decisions", JSON | {"content-length": "many"}, 400, "http.bad-request"),
        ("POST", f"{P}/decisions", JSON | {"content-length": "9" * 30}, 413, "http.too-large"),
        ("POST", f"{P}/outcomes", {"content-type": "text/plain"}, 415, "http.unsupported-media-type"),
        ("GET", "/v1/products/unknown", {}, 404, "product.unknown"),
        ("GET", "/v1/products/unknown/decisions/d1", {}, 404, "product.unknown"),
        ("POST", "/v1/products/unknown/outcomes", JSON, 404, "product.unknown"),
        ("POST", "/v1/products/unknown/events", JSON, 404, "product.unknown"),
    ],
)
def test_a_wrong_address_method_or_type(world, talk, method, url, headers, status, code):
    """Addresses, methods and types that are not ours get the status that HTTP has for them."""

    async def conversation(client):
        return await client.request(method, url, content=GOOD, headers=headers)

    answer = talk(world, conversation)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    if status == 405:
        assert answer.headers["allow"]


BAD_OUTCOMES = {
    "malformed": (b"{", 400),
    "NaN label": (b'{"outcomes":[{"decision_id":"d","label":NaN}]}', 400),
    "no outcomes": (b'{"outcomes":[]}', 400),
    "no label": (b'{"outcomes":[{"decision_id":"d"}]}', 400),
    "unknown class": (b'{"outcomes":[{"decision_id":"d-1","label":"maybe"}]}', 400),
    "list label": (b'{"outcomes":[{"decision_id":"d","label":[1]}]}', 400),
    "in the future": (
        b'{"outcomes":[{"decision_id":"d","label":"yes","happened_at":"2999-01-01T00:00:00Z"}]}', 400,
    ),
    "unknown decision": (b'{"outcomes":[{"decision_id":"d","label":"yes"}]}', 404),
    "10 MB": (b'{"outcomes":[],"by":"' + b"a" * 10_000_000 + b'"}', 413),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BAD_OUTCOMES.values(), ids=BAD_OUTCOMES.keys())
def test_a_bad_outcome_request(world, talk, body, status):
    """Outcomes that cannot be taken get a 4xx and change nothing."""

    async def conversation(client):
        return await client.post(f"{P}/outcomes", content=body, headers=JSON)

    assert talk(world, conversation).status_code == status
    assert world.outcomes == {}


def _tensor(**changes: object) -> dict[str, object]:
    return {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]} | changes


BAD_TENSORS = {
    "wrong width": _tensor(shape=[1, 3], data=[1, 2, 3]),
    "too few values": _tensor(shape=[5, 2]),
    "shape bomb": _tensor(shape=[10**9, 10**9]),
    "negative shape": _tensor(shape=[-1, 2]),
    "no rows": _tensor(shape=[0, 2], data=[]),
    "text in FP32": _tensor(data=["1", "2"]),
    "boolean in FP32": _tensor(data=[True, 2.0]),
    "unknown type": _tensor(datatype="FP128"),
    "too large for FP32": _tensor(data=[1e300, 0]),
    "too large for INT8": _tensor(datatype="INT8", data=[300, 0]),
    "float in INT32": _tensor(datatype="INT32", data=[1.5, 0]),
    "huge integer": _tensor(datatype="FP64", data=[10**400, 0]),
    "texts": _tensor(datatype="BYTES", data=["a", "b"]),
    "ragged": _tensor(data=[[1], 2]),
    "deeper than shape": _tensor(data=[[[[[1, 2], [3, 4]]]]]),
    "no data": _tensor(data=None),
    "unknown column": _tensor(name="zzz", shape=[1], data=[1]),
    "missing required": _tensor(name="y", shape=[1], data=[1]),
    "binary nowhere": _tensor(data=None, parameters={"binary_data_size": 8}),
}


@pytest.mark.parametrize("tensor", BAD_TENSORS.values(), ids=BAD_TENSORS.keys())
def test_a_bad_tensor(world, talk, tensor):
    """A tensor that is not what it says is a 400 with one sentence, as the protocol wants."""

    async def conversation(client):
        return await client.post("/v2/models/p/infer", content=json.dumps({"inputs": [tensor]}), headers=JSON)

    answer = talk(world, conversation)

    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)


def test_bad_binary_bodies(world, talk):
    """Binary data that is short, left over, infinite or wrongly announced is a 400."""
    head = json.dumps({"inputs": [_tensor(data=None, parameters={"binary_data_size": 8})]}).encode()
    bodies = {
        "short": (head + b"1234", len(head)),
        "left over": (head + b"0" * 12, len(head)),
        "infinite": (head + struct.pack("<2f", float("inf"), 0), len(head)),
        "longer than body": (head, len(head) + 1),
    }

    async def conversation(client):
        return {
            name: (
                await client.post(
                    "/v2/models/p/infer",
                    content=body,
                    headers={"inference-header-content-length": str(length)},
                )
            ).status_code
            for name, (body, length) in bodies.items()
        }

    assert set(talk(world, conversation).values()) == {400}


@given(
    route=st.sampled_from(
        ["/v1/products/p/decisions", "/v1/products/p/outcomes", "/v2/models/p/infer", "/v1/products/p/events"]
    ),
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["row", "rows", "x", "inputs", "outcomes", "shape", "data", "name", "source", "at"]
                )
                | st.text(max_size=3),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_document_makes_a_5xx(world, talk, route, document):
    """Whatever JSON arrives at whatever route, the answer is 2xx or 4xx."""

    async def conversation(client):
        return await client.post(route, content=json.dumps(document), headers=JSON)

    assert talk(world, conversation).status_code < 500


def test_a_slow_body_is_ended(world):
    """A body that does not arrive in time is answered with 408 and its connection closed."""
    app = create_app(world.host, bodies=BodyLimits(read_s=0.05))
    sent: list[dict] = []

    async def main():
        async def receive():
            if not sent:
                await asyncio.sleep(0.03)
                return {"type": "http.request", "body": b"{", "more_body": True}
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": f"{P}/decisions", "headers": [], "query_string": b"",
        }  # fmt: skip
        await app(scope, receive, send)

    asyncio.run(main())

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_bug_of_ours_is_a_500_that_tells_nothing(world, talk, make_served):
    """An error that is ours is answered as ours, without its text, and the server goes on."""

    def predict(matrix):
        raise KeyError("somebody's name")

    world.host.swap("p", make_served(predict=predict))

    async def conversation(client):
        bug = await client.post(f"{P}/decisions", content=GOOD, headers=JSON)
        other = await client.post("/v1/products/m/decisions", content=GOOD, headers=JSON)
        return bug, other

    bug, other = talk(world, conversation)

    assert (bug.status_code, other.status_code) == (500, 200)
    assert "somebody" not in bug.text
    assert bug.json()["error"]["code"] == "internal"

"""The control plane: products, health, metrics, documents, traces and logs."""

from __future__ import annotations

import io
import json

import msgspec
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from geartrain.api.app import create_app
from geartrain.api.documents import ErrorReply, InferenceErrorReply
from geartrain.api.logs import json_logger
from geartrain.api.tracing import tracer_from

P = "/v1/products/p"


def test_products_and_their_releases(world, talk, make_served):
    """The list and the product's own page tell which releases answer, on what share, under which clauses."""
    world.host.set_canary("p", make_served(release="r2"), share=0.25)

    async def conversation(client):
        return (await client.get("/v1/products")).json(), (await client.get(P)).json()

    products, product = talk(world, conversation)

    assert [one["product"] for one in products["products"]] == ["m", "n", "p"]
    assert product["arms"] == {
        "champion": {"release": "r1", "task": "binary"},
        "canary": {"release": "r2", "task": "binary"},
    }
    assert product["shares"] == {"canary": 0.25, "shadow": 0.0}
    assert product["clauses"][0]["clause"]["path"] == "success.recall"


def test_readiness_tells_why_not(tmp_path, make_world, make_served, talk):
    """Without a release and while draining the server is alive and not ready; draining it still answers."""
    world = make_world(tmp_path / "journal")

    async def conversation(client):
        empty = await client.get("/health/ready")
        world.host.swap("p", make_served())
        ready = await client.get("/health/ready")
        world.host.drain()
        draining = await client.get("/health/ready")
        decided = await client.post(f"{P}/decisions", json={"row": {"x": 1}})
        v2, live = await client.get("/v2/health/ready"), await client.get("/health/live")
        return empty, ready, draining, decided, v2, live

    empty, ready, draining, decided, v2, live = talk(world, conversation)
    world.host.close()

    assert (empty.status_code, empty.json()["because"]) == (503, ["no release is loaded"])
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "because": []})
    assert (draining.status_code, draining.json()["because"]) == (503, ["the server is draining"])
    assert (decided.status_code, v2.status_code, live.status_code) == (200, 503, 200)


def test_metrics_can_be_parsed_and_count(world, talk):
    """Decisions, refusals, stages and gauges stand in Prometheus' format, with labels of the contract only."""

    async def conversation(client):
        for x in (1, 2, 200):
            await client.post(f"{P}/decisions?timing=1", json={"row": {"x": x}})
        await client.post("/v1/products/somebody-elses-secret/decisions", json={})
        await client.get("/nowhere/with/a/secret")
        return (await client.get("/metrics")).text

    text = talk(world, conversation)

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(one.name, *sorted(one.labels.values())): one.value for one in samples}
    route = "/v1/products/{product}/decisions"
    assert found["geartrain_decisions_total", "champion", "model", "p", "yes"] == 2
    assert found["geartrain_requests_total", route, "200"] == 2
    assert found["geartrain_requests_total", route, "400"] == 1
    assert found["geartrain_requests_refused_total", route, "serving.request-invalid"] == 1
    assert found["geartrain_requests_total", "404", "other"] == 1
    assert found["geartrain_stage_seconds_count", "decide"] == 2
    assert found["geartrain_ready",] == 1
    assert found["geartrain_release_info", "champion", "p", "r1"] == 1
    assert "secret" not in text


def test_the_openapi_document_holds_every_route(world, talk):
    """Hot routes are described too, and every reference leads somewhere."""

    async def conversation(client):
        return (await client.get("/openapi.json")).json(), (await client.get("/docs")).status_code

    document, docs = talk(world, conversation)

    assert docs == 200
    for path in (f"{P.replace('/p', '/{product}', 1)}", "/v2/models/{name}/infer"):
        assert any(known.startswith(path.split("{")[0]) for known in document["paths"])
    assert "post" in document["paths"]["/v1/products/{product}/decisions"]
    assert "requestBody" in document["paths"]["/v1/products/{product}/outcomes"]["post"]
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert references <= set(document["components"]["schemas"])


def test_errors_are_as_the_document_says(world, talk):
    """Each refusal that the document knows has the body that it names, and no route promises what it never answers."""
    kinds = {"ErrorReply": ErrorReply, "InferenceErrorReply": InferenceErrorReply}

    async def conversation(client):
        document = (await client.get("/openapi.json")).json()
        paths = document["paths"]
        asked = {"product": "nobody", "name": "nobody", "version": "1", "decision": "d"}
        answers = []
        for path, operations in paths.items():
            for method, one in operations.items():
                if "404" in one["responses"]:
                    content = {"rows": [{}]} if method == "post" else None
                    answer = await client.request(method, path.format(**asked), json=content)
                    answers.append((path, one["responses"]["404"], answer))
        return document, answers

    document, answers = talk(world, conversation)

    assert len(answers) > 8
    for path, told, answer in answers:
        assert answer.status_code == 404, path
        name = told["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
        msgspec.json.decode(answer.content, type=kinds[name])
    promised = {
        status for one in document["paths"].values() for op in one.values() for status in op["responses"]
    }
    assert "422" not in promised
    assert {"401", "403", "413", "415", "429", "503"} <= promised


def test_traces_join_the_caller_s(world, talk):
    """With a tracer each request is a server span under the caller's W3C context; without an endpoint there is none."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    log = io.StringIO()
    app = create_app(world.host, tracer=provider.get_tracer("t"), logger=json_logger(stream=log))
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    async def conversation(client):
        headers = {"traceparent": f"00-{trace}-{parent}-01"}
        body = {"row": {"x": 1}, "decision_ids": ["d"]}
        await client.post(f"{P}/decisions", json=body, headers=headers)

    talk(app, conversation)

    (span,) = exporter.get_finished_spans()
    assert span.name == "POST /v1/products/{product}/decisions"
    assert f"{span.context.trace_id:032x}" == trace
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == parent
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    line = json.loads(log.getvalue())
    assert (line["trace"], line["decisions"], line["status"]) == (trace, ["d"], 200)
    assert tracer_from({}) is None


def test_logs_are_json_and_quiet_by_default(world, talk, capsys):
    """One JSON line a request where a logger is given, nothing on any stream where none is."""
    log = io.StringIO()

    async def conversation(client):
        await client.post(f"{P}/decisions", json={"row": {"x": "secret"}})

    talk(create_app(world.host, logger=json_logger(stream=log)), conversation)
    talk(world, conversation)

    (line,) = [json.loads(text) for text in log.getvalue().splitlines()]
    assert (line["event"], line["error"], line["status"]) == ("answered", "serving.request-invalid", 400)
    assert "secret" not in log.getvalue()
    assert capsys.readouterr() == ("", "")

"""The Open Inference Protocol v2: metadata, requests and answers for every task."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

P = "/v2/models/p"


def _features(rows: list[list[float]], **more: object) -> dict[str, object]:
    tensor = {"name": "features", "shape": [len(rows), 2], "datatype": "FP32", "data": rows}
    return {"inputs": [tensor], **more}


def test_health_and_metadata(world, talk, make_served):
    """Server, model and version metadata have the protocol's fields; what is not there is a 404."""
    world.host.set_canary("p", make_served(release="r2"), share=0.1)

    async def conversation(client):
        paths = ["", "/health/live", "/health/ready", "/models/p", "/models/p/ready", "/models/n"]
        paths += [
            "/models/p/versions/r2",
            "/models/p/versions/r2/ready",
            "/models/p/versions/r9",
            "/models/q/ready",
        ]
        return {path: await client.get(f"/v2{path}") for path in paths}

    got = talk(world, conversation)

    assert got[""].json() == {"name": "geartrain", "version": "0.1.0", "extensions": ["binary_tensor_data"]}
    assert got["/health/live"].json() == {"live": True}
    assert got["/health/ready"].json() == {"ready": True}
    assert got["/models/p"].json() == {
        "name": "p",
        "versions": ["r1", "r2"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert got["/models/p/ready"].json() == {"name": "p", "ready": True}
    assert got["/models/n"].json()["outputs"] == [{"name": "value", "datatype": "FP64", "shape": [-1]}]
    assert got["/models/p/versions/r2"].status_code == got["/models/p/versions/r2/ready"].status_code == 200
    assert got["/models/p/versions/r9"].status_code == got["/models/q/ready"].status_code == 404
    assert list(got["/models/q/ready"].json()) == ["error"]


@pytest.mark.parametrize(("model", "width"), [("p", 2), ("m", 3)])
def test_classes_are_inferred(world, talk, model, width):
    """Probabilities sum to one, the label is the likeliest class, the id comes back."""

    async def conversation(client):
        body = _features([[4.0, 0.0], [-4.0, 0.0], [0.0, 9.0]], id="q-7")
        return (await client.post(f"/v2/models/{model}/infer", json=body)).json()

    answer = talk(world, conversation)

    assert (answer["model_name"], answer["model_version"], answer["id"]) == (model, "r1", "q-7")
    probabilities, label = answer["outputs"]
    values = np.array(probabilities["data"]).reshape(probabilities["shape"])
    assert probabilities["shape"] == [3, width]
    assert values.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert (label["datatype"], label["shape"]) == ("BYTES", [3])
    assert label["data"] == [["yes", "no", "no"], ["b", "c", "a"]][width - 2]


def test_a_number_is_inferred(world, talk):
    """Regression answers one `value` a row; without an id none comes back."""

    async def conversation(client):
        return (await client.post("/v2/models/n/infer", json=_features([[1, 2], [3, 4]]))).json()

    assert talk(world, conversation) == {
        "model_name": "n",
        "model_version": "r1",
        "outputs": [{"name": "value", "datatype": "FP64", "shape": [2], "data": [4.0, 10.0]}],
    }


@pytest.mark.parametrize(
    "datatype", ["FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT64", "BOOL"]
)
def test_every_numeric_datatype_and_one_input_a_column(world, talk, datatype):
    """The same numbers give the same answer in each datatype, as a table and column by column."""
    one, zero = (True, False) if datatype == "BOOL" else (1, 0)

    async def conversation(client):
        table = {"name": "features", "shape": [2, 2], "datatype": datatype, "data": [one, zero, zero, one]}
        columns = [
            {"name": "y", "shape": [2, 1], "datatype": datatype, "data": [zero, one]},
            {"name": "x", "shape": [2], "datatype": datatype, "data": [one, zero]},
        ]
        first = await client.post("/v2/models/n/infer", json={"inputs": [table]})
        second = await client.post("/v2/models/n/infer", json={"inputs": columns})
        return first.json()["outputs"], second.json()["outputs"]

    first, second = talk(world, conversation)

    assert first == second
    assert first[0]["data"] == [2.0, 1.0]


def test_raw_columns_go_through_the_release_s_features(world, talk):
    """Inputs named like the contract's fields are encoded like a decision's row."""

    async def conversation(client):
        inputs = [
            {"name": "x", "shape": [2], "datatype": "FP64", "data": [1, 2]},
            {"name": "id", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
        ]
        return (await client.post("/v2/models/n/infer", json={"inputs": inputs})).json()

    assert talk(world, conversation)["outputs"][0]["data"] == [2.0, 4.0]


def test_outputs_are_selected(world, talk):
    """Only the outputs that were asked for come back; one that is not there is a 400."""

    async def conversation(client):
        body = _features([[1, 2]], outputs=[{"name": "label"}])
        good = await client.post(f"{P}/versions/r1/infer", json=body)
        bad = await client.post(f"{P}/infer", json=_features([[1, 2]], outputs=[{"name": "logits"}]))
        return good.json(), bad

    good, bad = talk(world, conversation)

    assert [output["name"] for output in good["outputs"]] == ["label"]
    assert bad.status_code == 400
    assert "probabilities, label" in bad.json()["error"]


def test_binary_tensors_in_and_out(world, talk):
    """The binary data extension gives the numbers that JSON gives."""
    matrix = np.array([[1.0, 2.0], [-3.0, 0.5]], dtype="<f4")
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "features",
                    "shape": [2, 2],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": 16},
                }
            ],
            "outputs": [{"name": "label"}, {"name": "probabilities", "parameters": {"binary_data": False}}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()

    async def conversation(client):
        length = {"inference-header-content-length": str(len(head))}
        binary = await client.post(f"{P}/infer", content=head + matrix.tobytes(), headers=length)
        plain = await client.post(f"{P}/infer", json=_features(matrix.tolist()))
        return binary, plain.json()

    binary, plain = talk(world, conversation)

    split = int(binary.headers["inference-header-content-length"])
    answer = json.loads(binary.content[:split])
    label, probabilities = answer["outputs"]
    texts = b"".join(struct.pack("<I", len(name)) + name.encode() for name in plain["outputs"][1]["data"])
    assert binary.content[split:] == texts
    assert label["parameters"] == {"binary_data_size": len(texts)}
    assert probabilities["data"] == plain["outputs"][0]["data"]


def test_a_failing_model_is_the_server_s_503(world, talk, make_served):
    """Inference has no fallback: a model that cannot answer is said so, and may be tried again."""

    def predict(matrix):
        raise ValueError("inner secret")

    world.host.swap("p", make_served(predict=predict))

    async def conversation(client):
        return await client.post(f"{P}/infer", json=_features([[1, 2]]))

    answer = talk(world, conversation)

    assert (answer.status_code, answer.json()) == (503, {"error": "the model could not answer"})

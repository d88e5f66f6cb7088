"""MLServer's own types and codecs, in an environment of their own, read what we answer and write what we read."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

#: Names a Python that has MLServer; without it, the environment that benchmarks/serving/run.py builds is tried.
VARIABLE = "GEARTRAIN_TEST_MLSERVER"
BUILT = Path(tempfile.gettempdir()) / "geartrain-serving" / "envs" / "mlserver" / "bin" / "python"

#: Runs there: URL and gRPC address are its arguments, JSON is what it prints.
CLIENT = """
import json, sys, urllib.error, urllib.request
import numpy as np
from mlserver import types
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, StringCodec

url, grpc_address = sys.argv[1:]
rows = np.array([[1.25, 2.0], [-1.0, 0.5], [3.0, -7.5]], dtype=np.float32)


def ask(path, body=None):
    request = urllib.request.Request(url + path, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def post(request, model="p"):
    return ask(f"/v2/models/{model}/infer", request.model_dump_json(exclude_none=True).encode())


def decoded(response):
    found = {one.name: one for one in response.outputs}
    names = StringCodec.decode_output(found["label"])
    return {"probabilities": NumpyCodec.decode_output(found["probabilities"]).tolist(), "label": names}


told = {}
server = types.MetadataServerResponse.model_validate_json(ask("/v2")[1])
model = types.MetadataModelResponse.model_validate_json(ask("/v2/models/p")[1])
told["server"], told["extensions"] = server.name, server.extensions
told["model"], told["inputs"] = model.name, [[one.name, one.datatype, one.shape] for one in model.inputs]
told["outputs"] = [one.name for one in model.outputs]

table = types.InferenceRequest(id="seven", inputs=[NumpyCodec.encode_input("features", rows)])
status, body = post(table)
response = types.InferenceResponse.model_validate_json(body)
told["table"] = [status, response.id, response.model_name, response.model_version, decoded(response)]

columns = types.InferenceRequest(
    inputs=[
        StringCodec.encode_input("id", ["a", "b", "c"]),
        NumpyCodec.encode_input("x", rows[:, 0]),
        NumpyCodec.encode_input("y", rows[:, 1]),
    ],
    outputs=[types.RequestOutput(name="label"), types.RequestOutput(name="probabilities")],
)
told["columns"] = decoded(types.InferenceResponse.model_validate_json(post(columns)[1]))

status, body = post(types.InferenceRequest(inputs=[NumpyCodec.encode_input("features", rows[:, :1])]))
told["refused"] = [status, types.InferenceErrorResponse.model_validate_json(body).error]
status, body = post(table, model="nobody")
told["unknown"] = [status, types.InferenceErrorResponse.model_validate_json(body).error]

if grpc_address:
    import grpc
    from mlserver.grpc import converters, dataplane_pb2_grpc

    for name, raw in (("typed", False), ("raw", True)):
        message = converters.ModelInferRequestConverter.from_types(
            table, model_name="p", model_version=None, use_raw=raw
        )
        with grpc.insecure_channel(grpc_address) as channel:
            answer = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(message)
        told[name] = decoded(converters.ModelInferResponseConverter.to_types(answer))
print(json.dumps(told))
"""


def _interpreter() -> str:
    python = os.environ.get(VARIABLE) or str(BUILT)
    if not Path(python).exists():
        pytest.skip(f"no Python with MLServer: set {VARIABLE}, or run benchmarks/serving/run.py")
    asked = subprocess.run([python, "-c", "import mlserver"], capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip(f"{python} has no MLServer: {asked.stderr.strip().splitlines()[-1]}")
    return python


def test_mlservers_types_and_codecs_understand_us(run_server):
    """Metadata, answers and errors parse as MLServer's pydantic models; its codecs decode the numbers, also by gRPC."""
    python = _interpreter()
    has_grpc = importlib.util.find_spec("grpc") is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with run_server(0, *([port] if has_grpc else [])) as (_, url):
        address = f"127.0.0.1:{port}" if has_grpc else ""
        done = subprocess.run(
            [python, "-W", "ignore", "-c", CLIENT, url, address],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    status, one, model, version, decoded = told["table"]
    assert (status, one, model, version) == (200, "seven", "p", "r1")
    assert np.allclose(np.sum(decoded["probabilities"], axis=1), 1)
    assert decoded["label"] == [["no", "yes"][place] for place in np.argmax(decoded["probabilities"], axis=1)]
    assert told["columns"] == decoded
    assert (told["server"], told["model"], told["extensions"]) == ("geartrain", "p", ["binary_tensor_data"])
    assert told["inputs"] == [["features", "FP32", [-1, 2]]]
    assert told["outputs"] == ["probabilities", "label"]
    assert told["refused"][0] == 400 and "shape" in told["refused"][1]
    assert told["unknown"][0] == 404 and "model" in told["unknown"][1]
    if has_grpc:
        assert told["typed"] == told["raw"] == decoded

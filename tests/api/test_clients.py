"""Other people's clients of the Open Inference Protocol, and every route of the OpenAPI document."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from geartrain.api.app import create_app


@pytest.fixture
def url(run_server) -> Iterator[str]:
    """A real server in a process of its own."""
    with run_server() as (_, url):
        yield url


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_tritons_client_is_answered(url, binary):
    """Triton's own HTTP client asks for health, metadata and answers, as JSON and as binary tensors."""
    client_of = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    client = client_of.InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("p")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    told = client.get_model_metadata("p")
    assert told["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 2]}]

    rows = np.array([[1.0, 2.0], [-1.0, 0.5]], dtype=np.float32)
    given = client_of.InferInput("features", [2, 2], "FP32")
    given.set_data_from_numpy(rows, binary_data=binary)
    wanted = [client_of.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label")]
    answer = client.infer("p", [given], outputs=wanted, request_id="seven")

    probabilities = answer.as_numpy("probabilities")
    assert probabilities.shape == (2, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    labels = [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("label")]
    assert labels == [["no", "yes"][place] for place in probabilities.argmax(axis=1)]
    assert answer.get_response()["id"] == "seven"
    with pytest.raises(client_of.InferenceServerException, match="model"):
        client.infer("nobody", [given])
    client.close()


def test_no_request_that_the_document_allows_or_forbids_is_our_bug(world):
    """Requests made from the OpenAPI document, right and wrong ones: no route answers one with a 5xx."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(world.host))
    cases = [one.ok() for one in schema.get_all_operations()]
    assert len(cases) > 15
    for operation in cases:
        strategies = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

        @given(case=st.one_of(strategies))
        @settings(
            max_examples=4,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            answer = case.call()
            assert answer.status_code < 500 or answer.status_code == 503, (case.path, answer.text)

        ask()


def test_a_slow_loris_is_turned_away_and_holds_nobody_up(url):
    """A body that never comes costs its own connection only: others are answered meanwhile."""
    import socket

    import httpx

    host, port = url.removeprefix("http://").split(":")
    idle = []
    for _ in range(50):
        one = socket.create_connection((host, int(port)))
        one.sendall(b"POST /v1/products/p/decisions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        idle.append(one)
    took: list[float] = []

    def ask() -> None:
        began = time.monotonic()
        assert httpx.post(f"{url}/v1/products/p/decisions", json={"row": {"x": 1}}).status_code == 200
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for one in idle:
        one.close()
    assert len(took) == 5

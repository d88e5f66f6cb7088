"""The Open Inference Protocol over gRPC, asked by Triton's own client and by its messages."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from geartrain.api.app import create_app
from geartrain.api.bodies import BodyLimits
from geartrain.api.doors import Doors, RateLimits
from geartrain.api.errors import STATUS
from geartrain.domain.accounts import Scope, Token
from geartrain.errors import SettingInvalid
from geartrain.serving.admission import AdmissionLimits

grpc = pytest.importorskip("grpc", reason="grpcio is not installed (the extra `grpc`)")
triton = pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
pb2 = triton.service_pb2
stubs = triton.service_pb2_grpc

from geartrain.api.grpc_messages import METHODS, SERVICE, message_types  # noqa: E402
from geartrain.api.grpc_service import CODES, listen_grpc  # noqa: E402


@contextmanager
def _listening(app):
    """*app* answered over gRPC by a loop in another thread; gives the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(listen_grpc(app, address), loop).result(10)
    try:
        yield address
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(1), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def address(world):
    with _listening(create_app(world.host)) as address:
        yield address


@pytest.fixture
def stub(address):
    with grpc.insecure_channel(address) as channel:
        yield stubs.GRPCInferenceServiceStub(channel)


def _tensor(name="features", *, datatype="FP32", shape=(1, 2), **contents):
    one = pb2.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(one.contents, field).extend(values)
    return one


def _request(*inputs, model="p", **more):
    return pb2.ModelInferRequest(model_name=model, inputs=inputs, **more)


GOOD = _request(_tensor(fp32_contents=[1.0, 2.0]))


def test_every_message_is_the_protocols_own():
    """Names, numbers, types and repetition of every field are those that Triton's client was generated from."""

    def told(descriptor):
        return {
            field.number: (
                field.name,
                field.type,
                field.is_repeated,
                field.message_type.full_name if field.message_type else "",
                field.containing_oneof.name if field.containing_oneof else "",
            )
            for field in descriptor.fields
        }

    for name, ours in message_types().items():
        theirs = pb2.DESCRIPTOR.pool.FindMessageTypeByName(f"inference.{name}")
        assert told(ours.DESCRIPTOR) == told(theirs), name
    assert pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name == SERVICE
    methods = pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for name, (takes, gives) in METHODS.items():
        assert (methods[name].input_type.name, methods[name].output_type.name) == (takes, gives)


def test_tritons_client_is_answered(address):
    """Triton's own gRPC client asks for health, metadata and answers, and is told of an unknown model."""
    client = triton.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("p")
    assert client.is_model_ready("p", "r1")
    assert list(client.get_server_metadata().extensions) == ["binary_tensor_data"]
    told = client.get_model_metadata("p", as_json=True)
    assert told["inputs"] == [{"name": "features", "datatype": "FP32", "shape": ["-1", "2"]}]
    assert told["versions"] == ["r1"]

    rows = np.array([[1.0, 2.0], [-1.0, 0.5]], dtype=np.float32)
    given = triton.InferInput("features", [2, 2], "FP32")
    given.set_data_from_numpy(rows)
    wanted = [triton.InferRequestedOutput(name) for name in ("label", "probabilities")]
    answer = client.infer("p", [given], outputs=wanted, request_id="seven")

    probabilities = answer.as_numpy("probabilities")
    assert probabilities.shape == (2, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert answer.as_numpy("label").tolist() == [
        [b"no", b"yes"][place] for place in probabilities.argmax(axis=1)
    ]
    assert answer.get_response().id == "seven"
    assert answer.get_response().model_version == "r1"
    with pytest.raises(triton.InferenceServerException) as unknown:
        client.is_model_ready("nobody")
    assert unknown.value.status() == "StatusCode.NOT_FOUND"
    client.close()


@pytest.mark.parametrize("model", ["p", "m", "n"])
def test_both_protocols_give_the_same_answer_to_the_bit(world, address, talk, model):
    """What REST answers in JSON, gRPC answers typed and raw, for classes and for numbers."""
    rows = [[1.25, 2.0], [-1.0, 0.5], [3.0, -7.5]]
    flat = [value for row in rows for value in row]
    body = {"inputs": [{"name": "features", "shape": [3, 2], "datatype": "FP32", "data": flat}]}

    async def conversation(client):
        return await client.post(f"/v2/models/{model}/infer", json=body)

    by_rest = {one["name"]: one["data"] for one in talk(world, conversation).json()["outputs"]}
    with grpc.insecure_channel(address) as channel:
        ask = stubs.GRPCInferenceServiceStub(channel).ModelInfer
        typed = ask(_request(_tensor(shape=(3, 2), fp32_contents=flat), model=model))
        raw_bytes = np.array(rows, dtype="<f4").tobytes()
        raw = ask(_request(_tensor(shape=(3, 2)), model=model, raw_input_contents=[raw_bytes]))

    assert not typed.raw_output_contents
    assert [one.name for one in typed.outputs] == [one.name for one in raw.outputs] == list(by_rest)
    for place, one in enumerate(typed.outputs):
        if one.datatype == "BYTES":
            assert [value.decode() for value in one.contents.bytes_contents] == by_rest[one.name]
            assert _texts(raw.raw_output_contents[place]) == by_rest[one.name]
        else:
            assert list(one.contents.fp64_contents) == by_rest[one.name]
            assert np.frombuffer(raw.raw_output_contents[place], "<f8").tolist() == by_rest[one.name]


def _texts(content):
    found = []
    while content:
        (length,) = struct.unpack_from("<I", content)
        found.append(content[4 : 4 + length].decode())
        content = content[4 + length :]
    return found


#: One value in the typed contents of each datatype that has some.
TYPED = {
    "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
    "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BOOL": "bool_contents",
}  # fmt: skip


@pytest.mark.parametrize(("datatype", "field"), TYPED.items())
def test_columns_come_in_every_datatype(stub, datatype, field):
    """One input for each column of the model, in any of the protocol's types, is the same row."""
    answer = stub.ModelInfer(
        _request(
            _tensor("x", datatype=datatype, shape=(1,), **{field: [1]}),
            _tensor("y", datatype="FP32", shape=(1,), fp32_contents=[1.0]),
        )
    )
    same = stub.ModelInfer(_request(_tensor(fp32_contents=[1.0, 1.0])))

    assert answer.outputs == same.outputs


def test_raw_columns_of_text_go_through_the_features(stub):
    """A contract's text field travels as BYTES beside the numbers, typed and raw."""
    answer = stub.ModelInfer(
        _request(
            _tensor("id", datatype="BYTES", shape=(1,), bytes_contents=["käse".encode()]),
            _tensor("x", datatype="FP64", shape=(1,), fp64_contents=[1.0]),
        )
    )
    raw = stub.ModelInfer(
        _request(
            _tensor("id", datatype="BYTES", shape=(1,)),
            _tensor("x", datatype="FP64", shape=(1,)),
            raw_input_contents=[b"\x05\x00\x00\x00" + "käse".encode(), struct.pack("<d", 1.0)],
        )
    )

    assert answer.outputs[0].contents.fp64_contents
    assert np.frombuffer(raw.raw_output_contents[0]).tolist() == list(
        answer.outputs[0].contents.fp64_contents
    )


def _raw(*contents, inputs=None):
    return _request(*(inputs or [_tensor()]), raw_input_contents=contents)


BAD = {
    "no inputs": (_request(), "INVALID_ARGUMENT"),
    "no values": (_request(_tensor()), "INVALID_ARGUMENT"),
    "too few values": (_request(_tensor(fp32_contents=[1.0])), "INVALID_ARGUMENT"),
    "values of another type": (_request(_tensor(fp64_contents=[1.0, 2.0])), "INVALID_ARGUMENT"),
    "unknown datatype": (_request(_tensor(datatype="BF16", fp32_contents=[1, 2])), "INVALID_ARGUMENT"),
    "half floats typed": (_request(_tensor(datatype="FP16", fp32_contents=[1, 2])), "INVALID_ARGUMENT"),
    "negative shape": (_request(_tensor(shape=(-1, 2), fp32_contents=[1, 2])), "INVALID_ARGUMENT"),
    "endless shape": (_request(_tensor(shape=(2**62, 2**62), fp32_contents=[1, 2])), "INVALID_ARGUMENT"),
    "nine dimensions": (_request(_tensor(shape=(1,) * 9, fp32_contents=[1])), "INVALID_ARGUMENT"),
    "wrong width": (_request(_tensor(shape=(1, 3), fp32_contents=[1, 2, 3])), "INVALID_ARGUMENT"),
    "no rows": (_request(_tensor(shape=(0, 2))), "INVALID_ARGUMENT"),
    "1001 rows": (_request(_tensor(shape=(1001, 2), fp32_contents=[1.0] * 2002)), "INVALID_ARGUMENT"),
    "infinite": (_request(_tensor(fp32_contents=[1.0, float("inf")])), "INVALID_ARGUMENT"),
    "too large for 32 bits": (
        _request(_tensor(datatype="FP64", fp64_contents=[1.0, 1e300])), "INVALID_ARGUMENT",
    ),
    "beyond 8 bits": (
        _request(_tensor("x", datatype="INT8", shape=(1,), int_contents=[300])), "INVALID_ARGUMENT",
    ),
    "twice the same": (
        _request(_tensor(fp32_contents=[1, 2]), _tensor(fp32_contents=[1, 2])), "INVALID_ARGUMENT",
    ),
    "unknown column": (_request(_tensor("z", shape=(1,), fp32_contents=[1])), "INVALID_ARGUMENT"),
    "no text": (
        _request(_tensor("id", datatype="BYTES", shape=(1,), bytes_contents=[b"\xff"])), "INVALID_ARGUMENT",
    ),
    "unknown output": (
        _request(
            _tensor(fp32_contents=[1, 2]),
            outputs=[pb2.ModelInferRequest.InferRequestedOutputTensor(name="nothing")],
        ),
        "INVALID_ARGUMENT",
    ),
    "raw too short": (_raw(b"1234567"), "INVALID_ARGUMENT"),
    "raw for nobody": (_raw(b"12345678", b""), "INVALID_ARGUMENT"),
    "raw and typed": (
        _raw(b"12345678", inputs=[_tensor(fp32_contents=[1, 2])]), "INVALID_ARGUMENT",
    ),
    "unknown model": (_request(_tensor(fp32_contents=[1, 2]), model="nobody"), "NOT_FOUND"),
    "unknown version": (
        _request(_tensor(fp32_contents=[1, 2]), model_version="r9"), "NOT_FOUND",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "code"), BAD.values(), ids=BAD.keys())
def test_what_a_client_gets_wrong_is_its_own_status(stub, request_, code):
    """Each kind of bad request gets the status that gRPC has for it and a sentence; the next is answered."""
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(request_)

    assert refused.value.code().name == code
    assert refused.value.details()
    assert stub.ModelInfer(GOOD).outputs


def test_a_missing_number_is_a_missing_value(stub):
    """NaN stands for a value that is missing, as null does in JSON."""
    answer = stub.ModelInfer(_request(_tensor(fp32_contents=[1.0, float("nan")])))

    assert answer.outputs[0].name == "probabilities"


def test_bytes_that_are_no_message_are_refused(address):
    """Garbage on the wire is the client's fault, and so is a message beyond the limit."""
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as garbage:
            ask(b"\xff\xff\xff\xff")
        with pytest.raises(grpc.RpcError) as large:
            ask(bytes(5 * 2**20))
        with pytest.raises(grpc.RpcError) as unknown:
            channel.unary_unary(f"/{SERVICE}/RepositoryIndex")(b"")
        assert ask(GOOD.SerializeToString())

    assert garbage.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_tokens_open_what_they_open_by_rest(world):
    """Health is free; inference and metadata need their scope; too often is RESOURCE_EXHAUSTED."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def token(secret, scope):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        return digest, Token(digest=digest, person="ana", name=secret, scopes=(scope,), issued_at=now)

    held = dict([token("decide", Scope.DECIDE), token("read", Scope.READ)])
    rate = RateLimits(per_s=0.001, burst=2)
    doors = Doors(lambda digest, _now: held.get(digest), now=lambda: now, rate=rate)
    with (
        _listening(create_app(world.host, doors=doors)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        stub = stubs.GRPCInferenceServiceStub(channel)

        def code(method, request, secret=None):
            metadata = (("authorization", f"Bearer {secret}"),) if secret else ()
            try:
                getattr(stub, method)(request, metadata=metadata)
            except grpc.RpcError as refused:
                return refused.code().name, dict(refused.trailing_metadata())
            return "OK", {}

        named = pb2.ModelMetadataRequest(name="p")
        assert code("ServerLive", pb2.ServerLiveRequest())[0] == "OK"
        assert code("ServerReady", pb2.ServerReadyRequest())[0] == "OK"
        assert code("ModelInfer", GOOD)[0] == "UNAUTHENTICATED"
        assert code("ModelInfer", GOOD, "guessed")[0] == "UNAUTHENTICATED"
        assert code("ModelInfer", GOOD, "read")[0] == "PERMISSION_DENIED"
        assert code("ModelMetadata", named, "decide")[0] == "PERMISSION_DENIED"
        assert code("ModelMetadata", named, "read")[0] == "OK"
        assert [code("ModelInfer", GOOD, "decide")[0] for _ in range(2)] == ["OK", "OK"]
        often, trailing = code("ModelInfer", GOOD, "decide")
    assert often == "RESOURCE_EXHAUSTED"
    assert int(trailing["retry-after"]) > 0


def test_a_busy_server_says_when_to_come_back(world):
    """A request that would break the promise is UNAVAILABLE at once, with the seconds to wait."""
    app = create_app(world.host, admission=AdmissionLimits(most_in_flight=0))
    with (
        _listening(app) as address,
        grpc.insecure_channel(address) as channel,
        pytest.raises(grpc.RpcError) as busy,
    ):
        stubs.GRPCInferenceServiceStub(channel).ModelInfer(GOOD)

    assert busy.value.code() is grpc.StatusCode.UNAVAILABLE
    assert int(dict(busy.value.trailing_metadata())["retry-after"]) >= 1


def test_a_draining_server_is_not_ready_and_still_answers(world, stub):
    """Load balancers are told to go elsewhere; whoever asks all the same is answered."""
    world.host.drain()

    assert not stub.ServerReady(pb2.ServerReadyRequest()).ready
    assert stub.ServerLive(pb2.ServerLiveRequest()).live
    assert stub.ModelInfer(GOOD).outputs


def test_what_fails_inside_tells_nothing(world, stub, make_served, monkeypatch):
    """A model that fails is UNAVAILABLE, a bug of ours INTERNAL; their words stay in the log."""

    def broken(*_):
        raise ZeroDivisionError("row 7 of somebody else")

    world.host.swap("p", make_served(predict=broken))
    monkeypatch.setattr(world.host, "not_ready_because", broken)
    with pytest.raises(grpc.RpcError) as failing:
        stub.ModelInfer(GOOD)
    with pytest.raises(grpc.RpcError) as bug:
        stub.ServerReady(pb2.ServerReadyRequest())

    assert failing.value.code() is grpc.StatusCode.UNAVAILABLE
    assert bug.value.code() is grpc.StatusCode.INTERNAL
    assert not [one for one in (failing, bug) if "somebody" in one.value.details()]


def test_calls_are_counted_by_method_and_status(world):
    """Prometheus sees what was asked over gRPC beside what was asked by HTTP; limits are the app's."""
    app = create_app(world.host, bodies=BodyLimits(inference=2**20))
    with _listening(app) as address, grpc.insecure_channel(address) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(GOOD)
        stub.ModelInfer(GOOD)
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(_request())

    text = app.metrics.render(world.host, in_flight=0).decode()
    route = f'route="/{SERVICE}/ModelInfer"'
    assert f'geartrain_requests_total{{{route},status="OK"}} 2.0' in text
    assert f'geartrain_requests_total{{{route},status="INVALID_ARGUMENT"}} 1.0' in text
    assert f'{{code="serving.request-invalid",{route}}} 1.0' in text
    assert app.in_flight == 0


def test_every_status_of_rest_has_one_of_grpc():
    """No error of the family that REST answers with a status of the client's is INTERNAL over gRPC."""
    assert set(STATUS.values()) <= CODES.keys()
    assert {getattr(grpc.StatusCode, name).name for name in CODES.values()} == set(CODES.values())


def test_without_the_extra_the_setting_says_what_to_install(world, monkeypatch):
    """A server that is asked for gRPC and has none does not start half."""
    monkeypatch.setitem(sys.modules, "grpc", None)

    with pytest.raises(SettingInvalid) as told:
        asyncio.run(listen_grpc(create_app(world.host), "127.0.0.1:1"))

    assert "geartrain[grpc]" in told.value.hint


def test_http_goes_on_beside_grpc(run_server):
    """One process answers both on its two ports, says so when they are open, and ends in peace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with run_server(0, port) as (process, url), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        by_grpc = stubs.GRPCInferenceServiceStub(channel).ModelInfer(GOOD)
        answer = httpx.post(f"{url}/v1/products/p/decisions", json={"row": {"x": 1}})
        process.terminate()
        told, _ = process.communicate(timeout=30)

    assert by_grpc.outputs
    assert answer.status_code == 200
    assert (process.returncode, told) == (0, "left in peace\n")

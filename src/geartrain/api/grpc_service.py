"""The Open Inference Protocol over gRPC: the same models, batches, tokens and counts as over REST.

The service runs on the application's own event loop and hands its rows to the same
batcher, so requests of both protocols share model calls. gRPC is an extra.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol

from geartrain.api.app import Application
from geartrain.api.calls import Call
from geartrain.api.control import EXTENSIONS, VERSION
from geartrain.api.errors import OUR_BUG_SENTENCE, Refusal, inference_sentence, status_of
from geartrain.api.grpc_messages import METHODS, SERVICE, message_types
from geartrain.api.grpc_tensors import infer_response, read_request
from geartrain.api.inference import metadata, served_version
from geartrain.api.tracing import request_span, trace_id_of
from geartrain.domain.accounts import Scope
from geartrain.errors import GeartrainError, RequestInvalid, SettingInvalid

#: The gRPC status for each HTTP status that REST answers with; any other is a bug of ours.
CODES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
#: What a message holds beside its tensors: names, shapes, the framing of fields.
_FRAMING_BYTES: Final = 64 * 1024
_MOST_AT_ONCE: Final = 8192

#: The scope that each method needs; None where anybody may ask.
_SCOPES: Final = {
    "ServerLive": None,
    "ServerReady": None,
    "ModelInfer": Scope.DECIDE,
    "ModelReady": Scope.READ,
    "ModelMetadata": Scope.READ,
    "ServerMetadata": Scope.READ,
}


class GrpcAsked:
    """The metadata of a call, as doors and traces read a request's headers."""

    __slots__ = ("_values", "method")

    def __init__(self, metadata: Any) -> None:
        self.method = "POST"
        self._values = {key: value for key, value in metadata or () if isinstance(value, str)}

    def header(self, name: str) -> str | None:
        """The value of a metadata entry, by its lower-case name."""
        return self._values.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """A call that is not answered: the status, the sentence, and when to try again."""

    code: str
    sentence: str
    retry_s: str = ""


class InferenceService:
    """The six methods of the service, each from the bytes of a message to those of its answer."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._types = message_types()
        self._methods: dict[str, Callable[[Any, Call], Awaitable[Any]]] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }

    async def answer(self, method: str, content: bytes, asked: GrpcAsked) -> bytes | _Refused:
        """One call, counted, traced and logged as a request by REST is."""
        app = self._app
        told = app.logger.is_enabled_for(20)
        call = Call(f"/{SERVICE}/{method}", "", is_timed=app.tracer is not None or told, is_told=told)
        app.in_flight += 1
        status = "CANCELLED"
        try:
            with request_span(app.tracer, call.route, asked) as span:
                answered = await self._answered(method, content, asked, call)
                status = answered.code if isinstance(answered, _Refused) else "OK"
                if span is not None:
                    span.set_attribute("rpc.grpc.status", status)
                    call.note(trace=trace_id_of(span))
            return answered
        finally:
            app.in_flight -= 1
            seconds = perf_counter() - call.started
            app.metrics.requests.labels(call.route, status).inc()
            app.metrics.duration.labels(call.route).observe(seconds)
            for stage, took in call.stages():
                app.metrics.stages.labels(stage).observe(took)
            if told:
                ms = round(seconds * 1e3, 3)
                app.logger.info("answered", route=call.route, status=status, ms=ms, **call.facts)

    async def _answered(self, method: str, content: bytes, asked: GrpcAsked, call: Call) -> bytes | _Refused:
        try:
            scope = _SCOPES[method]
            if self._app.doors is not None and scope is not None:
                await self._app.doors.admit(asked, scope)
            takes, gives = METHODS[method]
            message = self._read(takes, content)
            call.mark("read")
            made = await self._methods[method](message, call)
            response = made if method == "ModelInfer" else self._types[gives](**made)
            encoded: bytes = response.SerializeToString()
            call.mark("write")
        except (GeartrainError, Refusal) as error:
            return self._refused(error, call)
        except Exception:
            # The outermost shell: a bug of ours costs one answer, never the connection.
            self._app.logger.exception("our bug", route=call.route)
            return _Refused(code="INTERNAL", sentence=OUR_BUG_SENTENCE)
        else:
            return encoded

    def _refused(self, error: GeartrainError | Refusal, call: Call) -> _Refused:
        app = self._app
        app.metrics.refused.labels(call.route, error.code).inc()
        call.note(error=error.code)
        status = error.status if isinstance(error, Refusal) else status_of(error)
        if isinstance(error, GeartrainError) and status >= 500:
            app.logger.warning("refused", route=call.route, reason=str(error))
        headers = dict(error.headers) if isinstance(error, Refusal) else {}
        retry = headers.get(b"retry-after", b"1" if status == 503 else b"").decode()
        return _Refused(code=CODES.get(status, "INTERNAL"), sentence=inference_sentence(error), retry_s=retry)

    def _read(self, name: str, content: bytes) -> Any:
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]

        try:
            return self._types[name].FromString(content)
        except DecodeError:
            raise RequestInvalid("the message cannot be read", where=name) from None

    async def _server_live(self, _message: Any, _call: Call) -> dict[str, Any]:
        return {"live": True}

    async def _server_ready(self, _message: Any, _call: Call) -> dict[str, Any]:
        return {"ready": not self._app.host.not_ready_because()}

    async def _model_ready(self, message: Any, _call: Call) -> dict[str, Any]:
        served_version(self._app.host, message.name, message.version or None)
        return {"ready": True}

    async def _server_metadata(self, _message: Any, _call: Call) -> dict[str, Any]:
        return {"name": "geartrain", "version": VERSION, "extensions": EXTENSIONS}

    async def _model_metadata(self, message: Any, _call: Call) -> dict[str, Any]:
        return metadata(self._app.host, message.name, message.version or None)

    async def _model_infer(self, message: Any, call: Call) -> Any:
        call.subject, call.version = message.model_name, message.model_version or None
        served, request, tensors = await self._app.inference.infer(call, lambda: read_request(message))
        raw = bool(message.raw_input_contents)
        return infer_response(call.subject, served.release, request, tensors, raw=raw)


async def listen_grpc(
    app: Application, address: str, *, certificate: Path | None = None, key: Path | None = None
) -> GrpcServer:
    """A gRPC server that answers at *address* from now on, on the loop that runs.

    With *certificate* and *key* (PEM) it speaks TLS.

    Raises:
        SettingInvalid: gRPC is not installed, or the address cannot be listened on.
    """
    try:
        import grpc  # type: ignore[import-untyped, unused-ignore]
        from grpc import aio
    except ImportError as missing:
        raise SettingInvalid(
            "gRPC is not installed", found=str(missing), hint="pip install 'geartrain[grpc]'"
        ) from None
    server: GrpcServer = aio.server(
        options=(
            # Several workers share the port; the kernel spreads connections over them.
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", app.bodies.inference + _FRAMING_BYTES),
        ),
        maximum_concurrent_rpcs=_MOST_AT_ONCE,
    )
    service = InferenceService(app)
    handlers = {name: grpc.unary_unary_rpc_method_handler(_handler(service, name)) for name in METHODS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    try:
        if certificate is not None and key is not None:
            server.add_secure_port(address, _credentials(certificate, key))
        else:
            server.add_insecure_port(address)
    except (OSError, RuntimeError) as problem:
        raise SettingInvalid(
            "this address cannot be listened on for gRPC", where=address, found=str(problem)
        ) from problem
    await server.start()
    return server


def _credentials(certificate: Path, key: Path) -> object:
    import grpc

    return grpc.ssl_server_credentials(((key.read_bytes(), certificate.read_bytes()),))


class GrpcServer(Protocol):
    """What is needed of `grpc.aio.Server`."""

    def add_generic_rpc_handlers(self, handlers: Sequence[Any], /) -> None:
        """Answer what they handle."""

    def add_insecure_port(self, address: str, /) -> int:
        """Listen without TLS."""

    def add_secure_port(self, address: str, credentials: Any, /) -> int:
        """Listen with TLS."""

    async def start(self) -> None:
        """Take connections."""

    async def stop(self, grace: float | None, /) -> None:
        """Take no call any more and give those under way *grace* seconds."""


def _handler(service: InferenceService, method: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
    from grpc import StatusCode

    async def handle(content: bytes, context: Any) -> bytes:
        asked = GrpcAsked(context.invocation_metadata())
        answered = await service.answer(method, content, asked)
        if not isinstance(answered, _Refused):
            return answered
        trailing = (("retry-after", answered.retry_s),) if answered.retry_s else ()
        await context.abort(StatusCode[answered.code], answered.sentence, trailing)
        return b""  # never reached: abort() raises what ends the call

    return handle

"""`POST /v2/models/{name}[/versions/{v}]/infer`: the Open Inference Protocol for machines.

A model is a product; its versions are the releases in its lane. The answer is the
model's, without the decision: nothing is logged and nobody is asked to abstain.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final

import msgspec
import numpy as np

from geartrain.api.bodies import Asked, BodyLimits, require_json, require_plain
from geartrain.api.calls import Call
from geartrain.api.decisions import MOST_ROWS_AT_ONCE, RowLimits, admit
from geartrain.api.errors import Refusal, Reply
from geartrain.api.plain_answers import LABEL, PROBABILITIES, VALUE, plain_answers
from geartrain.api.tensors import (
    InferReply,
    InferRequest,
    PlainRequest,
    Tensor,
    TensorOutput,
    datatype_of,
    packed,
    read_tensors,
)
from geartrain.api.waiting import Waiting, still_in_time
from geartrain.domain.columns import packed_numbers
from geartrain.domain.prediction import Floats
from geartrain.errors import GeartrainError, ModelUnknown, NotReady, ProductUnknown, RequestInvalid
from geartrain.serving.admission import Admission
from geartrain.serving.batching import MicroBatcher
from geartrain.serving.deciding import model_failures
from geartrain.serving.host import ServingHost
from geartrain.serving.lanes import Lane, checks_of
from geartrain.serving.requests import decode_body, refuse
from geartrain.serving.runtime import Matrix, Served

JSON_LENGTH = "inference-header-content-length"
FEATURES = "features"

_DECODER = msgspec.json.Decoder(InferRequest)
_PLAIN = msgspec.json.Decoder(PlainRequest)
_ENCODER = msgspec.json.Encoder()
_NO_WISHES = InferRequest(inputs=[])
#: Up to so many rows the numbers of all requests of a batch are turned into one table together.
_FEW_ROWS: Final = 8


#: A query's answers: the values row by row in one list, and the place of each row's largest.
Answers = tuple[list[float], Sequence[int]]


class _Query(Waiting):
    """Rows on their way through the batcher: a flat list of numbers, or a checked matrix."""

    __slots__ = ("request", "rows", "served", "values")

    #: Made when the query is handed over.
    future: asyncio.Future[Answers]

    def __init__(
        self, served: Served, request: InferRequest, values: list[float] | Matrix, rows: int
    ) -> None:
        self.served = served
        self.request = request
        self.values = values
        self.rows = rows
        self.until_s = math.inf

    def parts(self, most: int) -> Sequence[_Query]:
        """The query cut into some of at most *most* rows."""
        step = len(self.served.columns) if isinstance(self.values, list) else 1
        return [
            _Query(
                self.served,
                self.request,
                self.values[start * step : (start + most) * step],
                min(most, self.rows - start),
            )
            for start in range(0, self.rows, most)
        ]


def lane_of(host: ServingHost, model: str) -> Lane:
    """The releases of a model.

    Raises:
        ModelUnknown: It is not served here.
    """
    try:
        return host.lane(model)
    except ProductUnknown:
        raise ModelUnknown("no model of that name is served here") from None


def served_version(host: ServingHost, model: str, version: str | None) -> Served:
    """The release that answers for a model, the champion where no version is named.

    Raises:
        ModelUnknown: No such model, or no such version of it.
    """
    return _version(lane_of(host, model), version)


def _version(lane: Lane, version: str | None) -> Served:
    if version is None:
        return lane.champion
    for _, served in lane.served:
        if served.release == version:
            return served
    raise ModelUnknown("no such version of the model is served here")


def metadata(host: ServingHost, model: str, version: str | None) -> dict[str, object]:
    """What the protocol tells about a model.

    Raises:
        ModelUnknown: No such model, or no such version of it.
    """
    served = served_version(host, model, version)
    answers = (
        [
            {"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(served.outputs)]},
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
        ]
        if served.task.has_classes
        else [{"name": VALUE, "datatype": "FP64", "shape": [-1]}]
    )
    return {
        "name": model,
        "versions": [one.release for _, one in lane_of(host, model).served],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": FEATURES, "datatype": "FP32", "shape": [-1, len(served.columns)]}],
        "outputs": answers,
    }


class InferenceRoute:
    """Answers inference requests from a host, for one event loop."""

    def __init__(
        self, host: ServingHost, admission: Admission, *, bodies: BodyLimits, rows: RowLimits
    ) -> None:
        self._host = host
        self._admission = admission
        self._bodies = bodies
        self._rows = rows
        self._batcher: MicroBatcher[_Query] | None = None

    async def __call__(self, call: Call, asked: Asked) -> Reply:
        """Answer one request.

        Raises:
            GeartrainError: Nothing was inferred.
            Refusal: The same, where HTTP has the reason.
        """
        lane = lane_of(self._host, call.subject)
        served = _version(lane, call.version)
        split = _split_at(asked)
        body = await asked.body(most=self._bodies.inference, within_s=self._bodies.read_s)
        call.mark("read")
        admit(self._admission, lane.promised_s)
        try:
            query = self._plain(served, body) if split is None else None
            if query is None:
                query = self._any(served, body, split)
            query.until_s = self._admission.last_turn_s(call.started, promised_s=lane.promised_s)
            call.mark("check")
            # What nearly every query is takes no coroutine of its own.
            answers = await (
                self._submitted(query) if query.rows <= MOST_ROWS_AT_ONCE else self._inferred(query)
            )
            call.mark("infer")
        finally:
            self._admission.leave(perf_counter())
        reply = _reply(call.subject, served, query.request, answers)
        call.mark("write")
        return reply

    async def infer(
        self, call: Call, read: Callable[[], tuple[InferRequest, memoryview]]
    ) -> tuple[Served, InferRequest, dict[str, Tensor]]:
        """Answer a request that came by another protocol than HTTP: the release that did, and its outputs.

        *read* gives the request once it is admitted.

        Raises:
            GeartrainError: Nothing was inferred.
            Refusal: The server is busy.
        """
        lane = lane_of(self._host, call.subject)
        served = _version(lane, call.version)
        admit(self._admission, lane.promised_s)
        try:
            request, binary = read()
            matrix = self._matrix(served, read_tensors(request, binary))
            call.mark("check")
            query = _Query(served, request, matrix, len(matrix))
            query.until_s = self._admission.last_turn_s(call.started, promised_s=lane.promised_s)
            answers = await self._inferred(query)
            call.mark("infer")
        finally:
            self._admission.leave(perf_counter())
        return served, request, _wanted(served, request, *answers)

    async def _inferred(self, query: _Query) -> Answers:
        """What the model says about a query, cut into parts that others may get between."""
        parts = query.parts(MOST_ROWS_AT_ONCE)
        # What has begun is finished, however many rows there are.
        parts[0].until_s = query.until_s
        return _joined(await asyncio.gather(*map(self._submitted, parts)))

    def _submitted(self, query: _Query) -> asyncio.Future[Answers]:
        """What the model will say about a query of at most `MOST_ROWS_AT_ONCE` rows."""
        loop = asyncio.get_running_loop()
        if self._batcher is None:
            self._batcher = MicroBatcher(
                run=self._run,
                schedule=loop.call_soon,
                weigh=lambda query: query.rows,
                most=MOST_ROWS_AT_ONCE,
            )
        query.future = loop.create_future()
        self._batcher.submit(query)
        return query.future

    def _run(self, queries: Sequence[_Query]) -> None:
        """One model call for each release among *queries*; every query gets an answer, if only that it came too late."""
        queries = still_in_time(self._admission, queries)
        try:
            for group in _by_release(queries):
                _run_group(group)
        finally:
            for query in queries:
                query.fail(RuntimeError("the batch was not inferred"))

    def _plain(self, served: Served, body: bytes) -> _Query | None:
        """The query of a request that is as most are, or None where it is not."""
        try:
            request = _PLAIN.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        (one,) = request.inputs
        rows, width = one.shape
        fits = (
            one.name == FEATURES
            and width == len(served.columns)
            and 0 < rows <= self._rows.most
            and len(one.data) == rows * width
            and FEATURES not in served.columns
        )
        if not fits:
            return None
        # Many numbers are turned while they are still in the processor's cache; few wait for company.
        values = one.data if rows <= _FEW_ROWS else _narrow(one.data).reshape(rows, width)
        return _Query(served, _request_of(request), values, rows)

    def _any(self, served: Served, body: bytes, split: int | None) -> _Query:
        """The query of any request of the protocol.

        Raises:
            RequestInvalid: It is none, or not for this model.
        """
        length = len(body) if split is None else split
        if length > len(body):
            raise RequestInvalid("the JSON part is longer than the body", where=JSON_LENGTH)
        request = decode_body(body[:length], _DECODER)
        matrix = self._matrix(served, read_tensors(request, memoryview(body)[length:]))
        return _Query(served, request, matrix, len(matrix))

    def _matrix(self, served: Served, tensors: dict[str, Tensor]) -> Matrix:
        """One `features` tensor of shape (n, d), or one input for each column."""
        if set(tensors) == {FEATURES} and FEATURES not in served.columns:
            tensor = tensors[FEATURES]
            if tensor.ndim != 2 or tensor.shape[1] != len(served.columns) or tensor.dtype == object:
                raise RequestInvalid(
                    "the features are not a table of numbers with the model's columns",
                    where=FEATURES,
                    found=f"shape {list(tensor.shape)}",
                    hint=f"right is: shape [-1, {len(served.columns)}]",
                )
            return self._bounded(_float32(tensor))
        columns = {name: _column(name, tensor) for name, tensor in tensors.items()}
        if not columns or len({len(values) for values in columns.values()}) > 1:
            raise RequestInvalid("the inputs are no columns of one length", where="inputs")
        numeric = all(values.dtype != object for values in columns.values())
        if numeric and set(columns) == set(served.columns):
            return self._bounded(_float32(np.column_stack([columns[name] for name in served.columns])))
        return self._encoded(served, columns)

    def _encoded(self, served: Served, columns: dict[str, Tensor]) -> Matrix:
        """Raw columns through the release's own features."""
        checks = checks_of(served)
        unknown = columns.keys() - checks.known - set(served.columns)
        if unknown:
            raise RequestInvalid(
                f"{len(unknown)} of the inputs are not known to the model",
                where="inputs",
                hint=f"send one tensor `{FEATURES}`, or one input for each column of the model",
            )
        names = tuple(columns)
        rows: list[dict[str, Any]] = [
            {name: _plain(value) for name, value in zip(names, values, strict=True)}
            for values in zip(*(columns[name].tolist() for name in names), strict=True)
        ]
        if not 0 < len(rows) <= self._rows.most:
            raise RequestInvalid(f"a request holds 1 to {self._rows.most} rows", where="inputs")
        violations = checks.violations(rows)
        if violations:
            raise refuse(violations)
        return served.encode(rows, self._host.now())

    def _bounded(self, matrix: Matrix) -> Matrix:
        if not 0 < len(matrix) <= self._rows.most:
            raise RequestInvalid(f"a request holds 1 to {self._rows.most} rows", where="inputs")
        return matrix


def _by_release(queries: Sequence[_Query]) -> Sequence[Sequence[_Query]]:
    if len({id(query.served) for query in queries}) == 1:
        return (queries,)
    groups: dict[int, list[_Query]] = {}
    for query in queries:
        groups.setdefault(id(query.served), []).append(query)
    return tuple(groups.values())


def _run_group(group: Sequence[_Query]) -> None:
    served = group[0].served
    try:
        matrix = _table(group, len(served.columns))
        answers: Floats = served.predict(matrix).values
    except model_failures() as failure:
        if len(group) == 1:
            told = isinstance(failure, GeartrainError)
            group[0].fail(failure if told else NotReady("the model could not answer"))
            return
        for query in group:
            _run_group([query])
        return
    width = answers.shape[1]
    values = answers.ravel().tolist()
    best = answers.argmax(axis=1).tolist() if served.has_classes else ()
    start = 0
    for query in group:
        end = start + query.rows
        if not query.future.done():
            query.future.set_result((values[start * width : end * width], best[start:end]))
        start = end


def _table(group: Sequence[_Query], width: int) -> Matrix:
    """The rows of all queries as the model takes them.

    Raises:
        RequestInvalid: A number is too large for the model's 32 bits.
    """
    flat: list[float] = []
    if all(type(query.values) is list for query in group):
        for query in group:
            flat += query.values
        return _narrow(flat).reshape(-1, width)
    tables = [
        _table([query], width) if type(query.values) is list else np.asarray(query.values) for query in group
    ]
    return tables[0] if len(tables) == 1 else np.concatenate(tables)


def _narrow(values: list[float]) -> Matrix:
    """Numbers in the model's 32 bits, in one row.

    Raises:
        RequestInvalid: One is too large for them.
    """
    narrow = packed_numbers(values, "f")
    if not np.isfinite(narrow).all():
        raise _too_large()
    return narrow


def _split_at(asked: Asked) -> int | None:
    """Where the JSON part ends and binary data begins; None where there is none."""
    stated = asked.header(JSON_LENGTH)
    if stated is None:
        require_json(asked)
        return None
    require_plain(asked)
    if not (stated.isascii() and stated.isdigit()) or len(stated) > 12:
        raise Refusal(400, "http.bad-request", "inference-header-content-length is not a number")
    return int(stated)


def _column(name: str, tensor: Tensor) -> Tensor:
    if tensor.ndim == 1 or (tensor.ndim == 2 and tensor.shape[1] == 1):
        return tensor.reshape(-1)
    raise RequestInvalid("an input for one column has the shape [n] or [n, 1]", where=name)


def _float32(tensor: Tensor) -> Matrix:
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(tensor, dtype=np.float32)
    if np.isinf(matrix).any():
        raise _too_large()
    return matrix


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


def _reply(model: str, served: Served, request: InferRequest, answers: Answers) -> Reply:
    values, best = answers
    if not request.outputs and not request.parameters:
        return Reply(status=200, body=plain_answers(model, served).write(values, best, name=request.id))
    tensors = _wanted(served, request, values, best)
    asked = {one.name: one.parameters for one in request.outputs}
    all_binary = request.parameters.get("binary_data_output") is True
    outputs: list[TensorOutput] = []
    blobs: list[bytes] = []
    for name, tensor in tensors.items():
        binary = asked.get(name, {}).get("binary_data", all_binary) is True
        blob = packed(tensor) if binary else b""
        outputs.append(
            TensorOutput(
                name=name,
                datatype=datatype_of(tensor),
                shape=list(tensor.shape),
                parameters={"binary_data_size": len(blob)} if binary else None,
                data=None if binary else tensor.ravel().tolist(),
            )
        )
        blobs.append(blob)
    head = _ENCODER.encode(
        InferReply(model_name=model, model_version=served.release, outputs=outputs, id=request.id)
    )
    if not any(blobs):
        return Reply(status=200, body=head)
    length = str(len(head)).encode()
    return Reply(
        status=200,
        body=head + b"".join(blobs),
        headers=((JSON_LENGTH.encode(), length),),
        content_type=b"application/octet-stream",
    )


def _wanted(
    served: Served, request: InferRequest, flat: list[float], best: Sequence[int]
) -> dict[str, Tensor]:
    """The outputs that the client wants, all of them where it names none.

    Raises:
        RequestInvalid: There is no output of that name.
    """
    values = np.array(flat, dtype=np.float64).reshape(-1, len(served.outputs))
    offered: dict[str, Tensor]
    if served.task.has_classes:
        names = np.array(served.outputs, dtype=object)
        offered = {PROBABILITIES: values, LABEL: names[list(best)]}
    else:
        offered = {VALUE: values[:, 0]}
    if any(one.name not in offered for one in request.outputs):
        raise RequestInvalid(
            "the model has no output of that name", where="outputs", hint=f"it has: {', '.join(offered)}"
        )
    return {one.name: offered[one.name] for one in request.outputs} or offered


def _joined(answers: Sequence[Answers]) -> Answers:
    values = [value for part, _ in answers for value in part]
    return values, [place for _, part in answers for place in part]


def _request_of(plain: PlainRequest) -> InferRequest:
    return _NO_WISHES if plain.id is None else InferRequest(inputs=[], id=plain.id)


def _too_large() -> RequestInvalid:
    return RequestInvalid("a value is too large for the model's 32 bits", where="inputs")

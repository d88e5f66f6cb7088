"""Tensors of the Open Inference Protocol v2: JSON and the binary data extension."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from geartrain.errors import RequestInvalid

Tensor = NDArray[Any]

#: The protocol's datatypes and their little-endian NumPy types; BYTES stands apart.
DATATYPES: Final[Mapping[str, str]] = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
MOST_ELEMENTS: Final = 10_000_000
_LENGTH: Final = struct.Struct("<I")


class TensorInput(msgspec.Struct, frozen=True, kw_only=True):
    """One input tensor; its data stands in `data`, or after the JSON in binary form."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None


class OutputRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One output that the client wants."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An inference request."""

    inputs: list[TensorInput]
    outputs: list[OutputRequest] = []
    id: str | None = None
    parameters: dict[str, Any] = {}


class PlainInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input as most clients send it: a flat list of numbers for a table."""

    name: str
    shape: tuple[int, int]
    datatype: Literal["FP32", "FP64"]
    data: list[float]


class PlainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request with one plain input and no wishes; it is read several times faster than the others."""

    inputs: tuple[PlainInput]
    id: str | None = None


class TensorOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output tensor."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class InferReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An inference answer; `id` is the request's."""

    model_name: str
    model_version: str
    outputs: list[TensorOutput]
    id: str | None = None


def read_tensors(request: InferRequest, binary: memoryview) -> dict[str, Tensor]:
    """The input tensors by name; *binary* is what follows the JSON part.

    Raises:
        RequestInvalid: A tensor is not what its shape and datatype say.
    """
    tensors: dict[str, Tensor] = {}
    for place, one in enumerate(request.inputs):
        where = f"inputs[{place}]"
        if one.name in tensors:
            raise RequestInvalid("two inputs have the same name", where=where)
        count = _count(one, where)
        size = one.parameters.get("binary_data_size")
        if size is None:
            tensors[one.name] = _from_json(one, count, where).reshape(one.shape)
            continue
        if one.data is not None or not isinstance(size, int) or not 0 <= size <= len(binary):
            raise RequestInvalid("the tensor's binary data is not where binary_data_size says", where=where)
        tensors[one.name] = _from_binary(one.datatype, binary[:size], count, where).reshape(one.shape)
        binary = binary[size:]
    if len(binary):
        raise RequestInvalid("binary data is left over after the last input", found=f"{len(binary)} bytes")
    return tensors


def _count(one: TensorInput, where: str) -> int:
    if one.datatype != "BYTES" and one.datatype not in DATATYPES:
        known = ", ".join((*DATATYPES, "BYTES"))
        raise RequestInvalid("the datatype is not known", where=f"{where}.datatype", hint=f"known: {known}")
    if len(one.shape) > 8 or any(not 0 <= extent <= MOST_ELEMENTS for extent in one.shape):
        raise RequestInvalid("the shape is not one of a tensor that is taken", where=f"{where}.shape")
    count = math.prod(one.shape)
    if count > MOST_ELEMENTS:
        raise RequestInvalid("the tensor is too large", where=f"{where}.shape")
    return count


def _from_json(one: TensorInput, count: int, where: str) -> Tensor:
    if not isinstance(one.data, list):
        raise RequestInvalid("an input without binary data has its values in `data`", where=f"{where}.data")
    values = _flat(one.data, count, where)
    if len(values) != count:
        raise RequestInvalid(
            f"the shape needs {count} values", where=f"{where}.data", found=f"{len(values)} values"
        )
    if one.datatype == "BYTES":
        _require(values, (str,), where)
        return np.array(values, dtype=object)
    kind = np.dtype(DATATYPES[one.datatype])
    if kind.kind == "f":
        _require(values, (int, float, type(None)), where)
        values = [math.nan if value is None else value for value in values]
    else:
        _require(values, (bool, int) if kind.kind == "b" else (int,), where)
    try:
        with np.errstate(over="ignore"):
            tensor = np.array(values, dtype=kind)
    except OverflowError:
        raise _out_of_range(one.datatype, where) from None
    if kind.kind == "f" and np.isinf(tensor).any():
        raise _out_of_range(one.datatype, where)
    return tensor


def _flat(data: list[Any], count: int, where: str) -> list[Any]:
    """Nested or flat data as one list; stops as soon as there is too much of it."""
    flat: list[Any] = data
    while any(type(item) is list for item in flat):
        if not all(type(item) is list for item in flat) or len(flat) > max(count, 1):
            raise RequestInvalid("the nested data does not have the tensor's shape", where=f"{where}.data")
        flat = [value for item in flat for value in item]
    return flat


def _require(values: Sequence[Any], kinds: tuple[type, ...], where: str) -> None:
    found = {type(value) for value in values} - set(kinds)
    if found:
        raise RequestInvalid("a value does not fit the tensor's datatype", where=f"{where}.data")


def _out_of_range(datatype: str, where: str) -> RequestInvalid:
    return RequestInvalid(f"a value does not fit into {datatype}", where=f"{where}.data")


def _from_binary(datatype: str, content: memoryview, count: int, where: str) -> Tensor:
    if datatype == "BYTES":
        return _texts(content, count, where)
    kind = np.dtype(DATATYPES[datatype])
    if len(content) != count * kind.itemsize:
        raise RequestInvalid(
            f"the shape needs {count * kind.itemsize} bytes", where=where, found=f"{len(content)} bytes"
        )
    tensor: Tensor = np.frombuffer(content, dtype=kind)
    if kind.kind == "f" and np.isinf(tensor).any():
        raise _out_of_range(datatype, where)
    return tensor


def _texts(content: memoryview, count: int, where: str) -> Tensor:
    texts: list[str] = []
    place = 0
    while place + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, place)
        place += _LENGTH.size + length
        if place > len(content):
            break
        try:
            texts.append(str(content[place - length : place], "utf-8"))
        except UnicodeDecodeError:
            raise RequestInvalid("a text is not UTF-8", where=where) from None
    if place != len(content) or len(texts) != count:
        raise RequestInvalid(f"the binary data does not hold {count} texts", where=where)
    return np.array(texts, dtype=object)


def datatype_of(tensor: Tensor) -> str:
    """The protocol's name of a NumPy type."""
    if tensor.dtype == object:
        return "BYTES"
    return next(name for name, kind in DATATYPES.items() if np.dtype(kind) == tensor.dtype)


def packed(tensor: Tensor) -> bytes:
    """A tensor in the binary extension's form."""
    if tensor.dtype != object:
        return np.ascontiguousarray(tensor).tobytes()
    texts = [str(text).encode() for text in tensor.ravel()]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)

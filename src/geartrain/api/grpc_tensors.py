"""Tensors of the Open Inference Protocol over gRPC, to and from what the REST route reads and gives.

A message becomes an `InferRequest` and the bytes behind it, so that one reader checks
shapes, types and sizes for both protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from geartrain.api.grpc_messages import message_types
from geartrain.api.tensors import InferRequest, OutputRequest, Tensor, TensorInput, datatype_of, packed
from geartrain.errors import RequestInvalid

#: Where the typed contents of each datatype stand; 16-bit floats travel raw only.
CONTENTS: Final[Mapping[str, str]] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def read_request(message: Any) -> tuple[InferRequest, memoryview]:
    """A `ModelInferRequest` as the request of REST, with the binary data that follows it.

    Raises:
        RequestInvalid: Contents are missing, doubled, or no text where text is due.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise RequestInvalid(
            "there must be one raw content for each input",
            where="raw_input_contents",
            found=f"{len(raw)} for {len(message.inputs)} inputs",
        )
    inputs: list[TensorInput] = []
    for place, one in enumerate(message.inputs):
        where = f"inputs[{place}].contents"
        if raw and one.contents.ListFields():
            raise RequestInvalid("an input has its values twice, typed and raw", where=where)
        inputs.append(
            TensorInput(
                name=one.name,
                shape=list(one.shape),
                datatype=one.datatype,
                parameters={"binary_data_size": len(raw[place])} if raw else {},
                data=None if raw else _typed(one, where),
            )
        )
    outputs = [OutputRequest(name=one.name) for one in message.outputs]
    request = InferRequest(inputs=inputs, outputs=outputs, id=message.id)
    return request, memoryview(raw[0] if len(raw) == 1 else b"".join(raw))


def _typed(one: Any, where: str) -> list[Any]:
    field = CONTENTS.get(one.datatype)
    if field is None:
        return []  # an unknown datatype, or values that are missing: the reader has the words
    others = [name.name for name, _ in one.contents.ListFields() if name.name != field]
    if others:
        raise RequestInvalid(
            f"values of {one.datatype} stand in `{field}`", where=where, found=f"`{others[0]}`"
        )
    values = getattr(one.contents, field)
    if one.datatype != "BYTES":
        return list(values)
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise RequestInvalid("a text is not UTF-8", where=where) from None


def infer_response(
    model: str, release: str, request: InferRequest, tensors: Mapping[str, Tensor], *, raw: bool
) -> Any:
    """The answer as a `ModelInferResponse`; *raw* as the request's values came."""
    message = message_types()["ModelInferResponse"](
        model_name=model, model_version=release, id=request.id or ""
    )
    for name, tensor in tensors.items():
        datatype = datatype_of(tensor)
        one = message.outputs.add(name=name, datatype=datatype, shape=tensor.shape)
        if raw:
            message.raw_output_contents.append(packed(tensor))
            continue
        values = tensor.ravel().tolist()
        getattr(one.contents, CONTENTS[datatype]).extend(
            [value.encode() for value in values] if datatype == "BYTES" else values
        )
    return message

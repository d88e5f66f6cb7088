"""The messages of the Open Inference Protocol over gRPC, made when they are first needed.

The wire format is names and numbers of fields, and they stand here once, in the words of
a .proto file (the protocol's `open_inference_grpc.proto`, package `inference`). There is
no generated code to keep in step with the protobuf that is installed, and the messages
live in a pool of their own, so that a client in the same process may bring others of the
same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped, unused-ignore]
        DescriptorProto,
        FieldDescriptorProto,
    )

PACKAGE: Final = "inference"
SERVICE: Final = f"{PACKAGE}.GRPCInferenceService"

#: Each message by its name, `Outer.Inner` inside another one, with its fields.
_MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("bool live = 1",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("bool ready = 1",),
    "ModelReadyRequest": ("string name = 1", "string version = 2"),
    "ModelReadyResponse": ("bool ready = 1",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("string name = 1", "string version = 2", "repeated string extensions = 3"),
    "ModelMetadataRequest": ("string name = 1", "string version = 2"),
    "ModelMetadataResponse.TensorMetadata": (
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
    ),
    "ModelMetadataResponse": (
        "string name = 1",
        "repeated string versions = 2",
        "string platform = 3",
        "repeated ModelMetadataResponse.TensorMetadata inputs = 4",
        "repeated ModelMetadataResponse.TensorMetadata outputs = 5",
    ),
    "InferParameter": (
        "oneof parameter_choice bool bool_param = 1",
        "oneof parameter_choice int64 int64_param = 2",
        "oneof parameter_choice string string_param = 3",
        "oneof parameter_choice double double_param = 4",
        "oneof parameter_choice uint64 uint64_param = 5",
    ),
    "InferTensorContents": (
        "repeated bool bool_contents = 1",
        "repeated int32 int_contents = 2",
        "repeated int64 int64_contents = 3",
        "repeated uint32 uint_contents = 4",
        "repeated uint64 uint64_contents = 5",
        "repeated float fp32_contents = 6",
        "repeated double fp64_contents = 7",
        "repeated bytes bytes_contents = 8",
    ),
    "ModelInferRequest.InferInputTensor": (
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
        "map InferParameter parameters = 4",
        "InferTensorContents contents = 5",
    ),
    "ModelInferRequest.InferRequestedOutputTensor": (
        "string name = 1",
        "map InferParameter parameters = 2",
    ),
    "ModelInferRequest": (
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        "map InferParameter parameters = 4",
        "repeated ModelInferRequest.InferInputTensor inputs = 5",
        "repeated ModelInferRequest.InferRequestedOutputTensor outputs = 6",
        "repeated bytes raw_input_contents = 7",
    ),
    "ModelInferResponse.InferOutputTensor": (
        "string name = 1",
        "string datatype = 2",
        "repeated int64 shape = 3",
        "map InferParameter parameters = 4",
        "InferTensorContents contents = 5",
    ),
    "ModelInferResponse": (
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        "map InferParameter parameters = 4",
        "repeated ModelInferResponse.InferOutputTensor outputs = 5",
        "repeated bytes raw_output_contents = 6",
    ),
}

#: Each method of the service, with the message that it takes and the one that it gives.
METHODS: Final[Mapping[str, tuple[str, str]]] = {
    name: (f"{name}Request", f"{name}Response")
    for name in ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
}


@cache
def message_types() -> Mapping[str, type[Any]]:
    """The class of each message by its name."""
    from google.protobuf import (  # type: ignore[import-untyped, unused-ignore]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    file = descriptor_pb2.FileDescriptorProto(
        name="open_inference_grpc.proto", package=PACKAGE, syntax="proto3"
    )
    # An outer message is there before its inner ones are added to it.
    made: dict[str, DescriptorProto] = {}
    for name in sorted(_MESSAGES, key=lambda name: name.count(".")):
        outer, _, inner = name.rpartition(".")
        one = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=name)
        made[name] = one
        for words in _MESSAGES[name]:
            _add_field(one, name, words.split())
    for name, (takes, gives) in METHODS.items():
        service = file.service[0] if file.service else file.service.add(name=SERVICE.split(".")[1])
        service.method.add(name=name, input_type=f".{PACKAGE}.{takes}", output_type=f".{PACKAGE}.{gives}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: DescriptorProto, owner: str, words: list[str]) -> None:
    """One field in words: `[repeated | map | oneof NAME] TYPE NAME = NUMBER`."""
    *before, kind, name, _, number = words
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if before and before[0] != "oneof" else field.LABEL_OPTIONAL
    match before:
        case ["map"]:
            _map_entry(message, owner, field, kind)
            return
        case ["oneof", choice]:
            if not message.oneof_decl:
                message.oneof_decl.add(name=choice)
            field.oneof_index = 0
    _type_of(field, kind)


def _map_entry(message: DescriptorProto, owner: str, field: FieldDescriptorProto, kind: str) -> None:
    """A map is a repeated entry of key and value, as the wire format has it."""
    entry = message.nested_type.add(name=f"{field.name.title()}Entry")
    entry.options.map_entry = True
    for number, (name, of) in enumerate((("key", "string"), ("value", kind)), start=1):
        one = entry.field.add(name=name, number=number)
        one.label = one.LABEL_OPTIONAL
        _type_of(one, of)
    field.type = field.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{owner}.{entry.name}"


def _type_of(field: FieldDescriptorProto, kind: str) -> None:
    if kind in _MESSAGES:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")

"""What a model file may not do: refer to other files.

ONNX lets a weight say "my bytes lie in that file". Whoever loads such a model reads a path that
the model chose, and a checksum over the model says nothing about what lies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: The key of the entry that names the other file; every such weight spells it out.
_KEY = b"location"


def outside_data(content: bytes) -> str | None:
    """The place outside that a model names for one of its weights; None where it stands alone.

    Raises:
        ValueError: The bytes are no ONNX model.
    """
    if _KEY not in content:
        # Text lies in one piece in the file, so this is proof, and saves reading it twice.
        return None
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import TensorProto, load_model_from_string

    try:
        model = load_model_from_string(content)
    except DecodeError as error:
        raise ValueError(f"not a readable ONNX model: {error}") from error
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            places = [entry.value for entry in tensor.external_data if entry.key == _KEY.decode()]
            return places[0] if places else "an unnamed place"
    return None


def _tensors(model: Any) -> Iterator[Any]:
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _of_graph(graph)

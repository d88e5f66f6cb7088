"""Number formats: the same graph with smaller numbers, by ONNX Runtime's own tools.

Only multiplications of weights have a smaller form; a graph of trees has none. What comes out
is another model: it must be judged again, for it may lose without a word, and timed again,
for on a machine without instructions for it eight bits are slower than thirty-two.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from geartrain.errors import ModelNotExportable
from geartrain.stats.onnx_model import INPUT, OnnxModel
from geartrain.stats.tree_model import Matrix

#: The operators whose weights a smaller format shrinks.
WEIGHED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
#: Rows that the ranges of the activations are read from; one batch of them at a time.
CALIBRATION_ROWS = 512
BATCH = 64


class Format(StrEnum):
    """How the numbers of a graph are held."""

    FLOAT32 = "fp32"
    FLOAT16 = "fp16"
    INT8_DYNAMIC = "int8-dynamic"
    INT8_STATIC = "int8-static"


def has_weights(content: bytes) -> bool:
    """Whether a smaller format would shrink anything of the graph."""
    from onnx import load_model_from_string

    return any(node.op_type in WEIGHED for node in load_model_from_string(content).graph.node)


def reformatted(content: bytes, form: Format, matrix: Matrix) -> bytes:
    """The graph *content* in *form*; *matrix* holds rows that taught it, float32 (n, d).

    Static eight bits read the ranges of the activations from evenly spaced rows of
    *matrix*; the other formats do not look at rows. Input and output stay float32, and
    classes, columns and task stay in the metadata.

    Raises:
        ModelNotExportable: The graph has no such form that the runtime accepts.
    """
    if form is Format.FLOAT32:
        return content
    try:
        with TemporaryDirectory() as folder, _quiet():
            made = _FORMS[form](content, matrix, Path(folder))
        OnnxModel(made).run(np.ascontiguousarray(matrix[:1], dtype=np.float32))
    except Exception as error:  # the tools raise whatever their inner passes raise
        raise ModelNotExportable(
            f"the graph has no form in {form}",
            found=(str(error).strip() or type(error).__name__).splitlines()[0],
            hint="keep single precision; the other variants are judged all the same",
        ) from error
    return made


def _half(content: bytes, _: Matrix, __: Path) -> bytes:
    from onnx import load_model_from_string
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return _written(convert_float_to_float16(load_model_from_string(content), keep_io_types=True), content)


def _dynamic(content: bytes, _: Matrix, folder: Path) -> bytes:
    from onnx import load_model_from_string
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Convolutions by integers need unsigned weights here; matrices are quicker with signed ones.
    graph = load_model_from_string(content)
    convolves = any(node.op_type == "Conv" for node in graph.graph.node)
    kind = QuantType.QUInt8 if convolves else QuantType.QInt8
    quantize_dynamic(
        _prepared(content, folder), folder / "small.onnx", weight_type=kind, per_channel=not convolves
    )
    return _read(folder / "small.onnx", content)


def _static(content: bytes, matrix: Matrix, folder: Path) -> bytes:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    places = np.unique(np.linspace(0, len(matrix) - 1, CALIBRATION_ROWS).astype(np.int64))
    rows = np.ascontiguousarray(matrix[places], dtype=np.float32)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Matrix] = iter(np.array_split(rows, max(1, len(rows) // BATCH)))

        def get_next(self) -> dict[str, Matrix] | None:
            batch = next(self._left, None)
            return None if batch is None else {INPUT: batch}

    quantize_static(
        _prepared(content, folder),
        folder / "small.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=sorted(WEIGHED),
        # Its adjustment of weight scales to biases fails where there is a scale for each channel.
        extra_options={"QDQDisableWeightAdjustForInt32Bias": True},
    )
    return _read(folder / "small.onnx", content)


_FORMS = {Format.FLOAT16: _half, Format.INT8_DYNAMIC: _dynamic, Format.INT8_STATIC: _static}


def _prepared(content: bytes, folder: Path) -> Path:
    """The graph with its shapes written out and its constants folded, as the quantizer wants it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, ready = folder / "plain.onnx", folder / "ready.onnx"
    plain.write_bytes(content)
    try:
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
    except Exception:  # noqa: BLE001  a help, not a need: the quantizer takes the graph as it is too
        return plain
    return ready


def _read(path: Path, original: bytes) -> bytes:
    from onnx import load_model

    return _written(load_model(path), original)


def _written(model: Any, original: bytes) -> bytes:
    """The bytes of *model*, with the original's own metadata and nobody else's."""
    from onnx import load_model_from_string

    del model.metadata_props[:]
    model.metadata_props.extend(load_model_from_string(original).metadata_props)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """The tools advise on the root logger; what they advise is done or measured here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

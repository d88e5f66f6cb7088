"""An exported model behind ONNX Runtime: bytes in, predictions out, one thread, quiet.

Compression measures through it and serving answers through it, so what was measured is
what is served.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Predictions
from geartrain.domain.task import Task
from geartrain.stats.onnx_safety import outside_data
from geartrain.stats.tree_model import Matrix

INPUT = "features"
PROBABILITIES = "probabilities"
VALUE = "value"


class OnnxModel:
    """A session over one model; safe to share between threads.

    Attributes:
        task: What kind of answer, from the model's own metadata.
        classes: The classes in the order of the answer's columns; empty for regression.
        columns: The names of the input's columns.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        """Load *content*.

        Raises:
            ValueError: The bytes are not a model that this product exported, or refer to
                data outside of them.
        """
        place = outside_data(content)
        if place is not None:
            raise ValueError(f"the ONNX model refers to data outside of it, in {place!r}: it is not opened")
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as refusals

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                content, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except (
            refusals.Fail,
            refusals.InvalidArgument,
            refusals.InvalidGraph,
            refusals.InvalidProtobuf,
            refusals.NotImplemented,
            refusals.RuntimeException,
        ) as error:
            raise ValueError(f"not a readable ONNX model: {error}") from error
        described = self._session.get_modelmeta().custom_metadata_map
        missing = {"task", "classes", "columns"} - described.keys()
        if missing:
            raise ValueError(f"the ONNX model lacks the metadata {sorted(missing)}")
        self.task = Task(described["task"])
        self.classes: tuple[str, ...] = tuple(json.loads(described["classes"]))
        self.columns: tuple[str, ...] = tuple(json.loads(described["columns"]))
        self._outputs = [PROBABILITIES if self.task.has_classes else VALUE]

    def run(self, matrix: Matrix) -> NDArray[np.float32]:
        """The raw answer, float32 of shape (n, classes) or (n, 1)."""
        answer: NDArray[np.float32] = self._session.run(self._outputs, {INPUT: matrix})[0]
        return answer

    def predict(self, matrix: Matrix) -> Predictions:
        """Answer for each row of *matrix*, float32 of shape (n, d)."""
        values = self.run(np.ascontiguousarray(matrix, dtype=np.float32)).astype(np.float64)
        return Predictions(task=self.task, classes=self.classes, values=values)

"""BentoML with one call of ONNX Runtime; served by `bentoml serve`."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Onnx:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODELS"] + "/model.onnx", options)

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[list[float]]:
        table = np.array(rows, dtype=np.float32)
        return self.session.run(["probabilities"], {"features": table})[0].tolist()

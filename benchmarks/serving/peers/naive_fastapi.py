"""The FastAPI service that most people write, with ONNX Runtime already in it."""

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", options)
app = FastAPI()


class Rows(BaseModel):
    rows: list[list[float]]


@app.post("/predict")
def predict(asked: Rows) -> dict[str, list[list[float]]]:
    table = np.array(asked.rows, dtype=np.float32)
    return {"probabilities": session.run(["probabilities"], {"features": table})[0].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)

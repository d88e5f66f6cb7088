"""MLflow's scoring server, one worker, the ONNX flavour: `python mlflow_serve.py MODELS PORT`."""

import os
import sys
import tempfile
from pathlib import Path

import mlflow.onnx
import onnx

if __name__ == "__main__":
    models, port = sys.argv[1:]
    folder = Path(tempfile.mkdtemp()) / "model"
    options = {"intra_op_num_threads": 1}
    mlflow.onnx.save_model(onnx.load(f"{models}/model.onnx"), str(folder), onnx_session_options=options)
    os.environ["__pyfunc_model_path__"] = str(folder)  # noqa: SIM112 - MLflow's own name for it
    app = "mlflow.pyfunc.scoring_server.app:app"
    os.execv(  # the process that is measured is the server itself
        sys.executable,
        [sys.executable, "-m", "uvicorn", app, "--port", port, "--no-access-log", "--log-level", "error"],
    )

"""MLServer with a runtime of one call of ONNX Runtime, in its own process (its worker pool is slower)."""

import asyncio
import sys

import onnxruntime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceResponse

MODELS = sys.argv[1] if len(sys.argv) > 1 else ""


class Onnx(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri + "/model.onnx", options)
        return True

    async def predict(self, payload):
        table = NumpyCodec.decode_input(payload.inputs[0]).astype("float32")
        answer = self.session.run(["probabilities"], {"features": table})[0]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", answer)]
        )


async def main() -> None:
    port = int(sys.argv[2])
    settings = Settings(
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        parallel_workers=0,
        debug=False,
        use_structured_logging=False,
    )
    model = ModelSettings(name="p", implementation=Onnx, parameters=ModelParameters(uri=MODELS))
    await MLServer(settings).start([model])


if __name__ == "__main__":
    import logging

    logging.disable(logging.INFO)
    asyncio.run(main())

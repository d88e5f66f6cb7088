"""A PyTorch net as an ONNX graph from raw rows to probabilities or a value."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from typing import Any

from geartrain.errors import ModelNotExportable
from geartrain.stats.fitted import Fitted
from geartrain.stats.onnx_model import INPUT, PROBABILITIES, VALUE

#: The lowest that PyTorch's exporter writes without converting back.
OPSET = 18
IR_VERSION = 10


def is_network(estimator: Any) -> bool:
    """Whether *estimator* holds a PyTorch net as `module_`: this product's `Network`, or skorch's."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(getattr(estimator, "module_", None), torch.nn.Module)


def converted_net(fitted: Fitted, width: int) -> Any:
    """The net alone, as `torch.onnx.export` sees it; one file, and nothing of this machine in it.

    A net that is not this product's own gives scores; they become probabilities here, as
    skorch does it when it is asked.

    Raises:
        ModelNotExportable: PyTorch cannot follow the net.
    """
    import torch

    answer = PROBABILITIES if fitted.task.has_classes else VALUE
    module = _answering(fitted)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (torch.zeros(2, width),),
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[answer],
                dynamic_shapes=({0: torch.export.Dim("rows")},),
            )
    except Exception as error:  # the exporter wraps whatever the net's own code raises
        raise ModelNotExportable(
            "PyTorch cannot write this net as a graph",
            where=fitted.algorithm,
            found=(str(error).strip() or type(error).__name__).splitlines()[0],
            hint="the net must not decide by its data in Python (torch.cond does), and must take any number of rows",
        ) from error
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        # The exporter writes where in the source each step came from: paths of this machine.
        del node.metadata_props[:]
        node.doc_string = ""
    return model


def _answering(fitted: Fitted) -> Any:
    """The net with its answer as the contract wants it: probabilities in rows that sum to one."""
    import torch

    module = fitted.estimator.module_.eval()
    if not fitted.task.has_classes or _speaks_probabilities(fitted.estimator):
        return module

    class Answering(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, features: Any) -> Any:
            return torch.softmax(self.inner(features), dim=-1)

    return Answering().eval()


def _speaks_probabilities(estimator: Any) -> bool:
    """Whether the module gives probabilities itself; skorch applies softmax only where its loss is cross-entropy."""
    import torch

    loss = getattr(estimator, "criterion_", None)
    return not isinstance(loss, torch.nn.CrossEntropyLoss)


@contextlib.contextmanager
def _quiet() -> Any:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

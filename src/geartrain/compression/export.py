"""The whole model as one ONNX graph: imputer, scaler, estimator, calibrator. No pickle.

Input `features`, float32 of shape (n, d); output `probabilities`, float32 of shape
(n, classes), or `value`, (n, 1). The same model gives the same bytes.
"""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np

from geartrain.compression.graph import calibrator_nodes, reachable, renamed
from geartrain.compression.neural_export import converted_net, is_network
from geartrain.compression.tree_graph import lone_score
from geartrain.domain.task import Task
from geartrain.errors import ModelNotExportable
from geartrain.stats.fitted import Fitted, is_lightgbm
from geartrain.stats.onnx_model import INPUT, PROBABILITIES, VALUE

#: Old enough for every runtime in use, new enough for every operator needed.
OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 8


def to_onnx(fitted: Fitted, columns: tuple[str, ...]) -> bytes:
    """Export *fitted*, whose matrix has *columns* in that order.

    The graph decides as the estimator does for every float32 row: tree thresholds are
    rounded down to single precision, which changes no comparison of float32 values, and
    missing values take LightGBM's own way. Classes, columns and task are in the metadata.

    Raises:
        ModelNotExportable: A step of the estimator has no ONNX form.
    """
    from onnx import TensorProto, helper

    net = is_network(fitted.estimator)
    core = converted_net(fitted, len(columns)) if net else _converted(fitted, len(columns))
    opsets = {one.domain: one.version for one in core.opset_import} if net else OPSETS
    has_classes = fitted.task.has_classes
    answer = core.graph.output[1 if has_classes and not net else 0].name
    final = PROBABILITIES if has_classes else VALUE
    nodes, constants = lone_score(list(core.graph.node), list(core.graph.initializer))
    answer = renamed(nodes, answer, "core_answer")
    if has_classes:
        more, numbers, answer = calibrator_nodes(fitted.calibrator, answer)
        nodes += more
        constants += numbers
        nodes.append(helper.make_node("Identity", [answer], [final], name="geartrain_answer"))
    else:
        constants.append(helper.make_tensor("geartrain_column", TensorProto.INT64, [2], [-1, 1]))
        nodes.append(
            helper.make_node("Reshape", [answer, "geartrain_column"], [final], name="geartrain_answer")
        )
    nodes, constants = reachable(nodes, constants, final)
    width = max(len(fitted.classes), 1)
    graph = helper.make_graph(
        nodes,
        "geartrain",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, len(columns)])],
        [helper.make_tensor_value_info(final, TensorProto.FLOAT, [None, width])],
        initializer=constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
        ir_version=IR_VERSION,
        producer_name="geartrain",
    )
    described = {"classes": list(fitted.classes), "columns": list(columns), "task": str(fitted.task)}
    for name, value in sorted(described.items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        model.metadata_props.add(key=name, value=text)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _converted(fitted: Fitted, width: int) -> Any:
    """The estimator alone, as skl2onnx and onnxmltools see it."""
    if fitted.task in (Task.RANKING, Task.DETECTION):
        raise ModelNotExportable(f"no export is known for a {fitted.task} model", found=fitted.algorithm)
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    estimator = (
        _exact_in_single_precision(fitted.estimator) if is_lightgbm(fitted.estimator) else fitted.estimator
    )
    _know_lightgbm(estimator)
    try:
        return convert_sklearn(
            estimator,
            name="geartrain",
            initial_types=[(INPUT, FloatTensorType([None, width]))],
            options={"zipmap": False} if fitted.task.has_classes else None,
            target_opset=OPSETS,
        )
    except (
        MissingConverter,
        MissingShapeCalculator,
        AttributeError,
        NameError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelNotExportable(
            "a step of the estimator has no ONNX form",
            where=fitted.algorithm,
            found=f"{type(fitted.estimator).__qualname__}: {str(error).strip().splitlines()[0]}",
            hint="use estimators that skl2onnx converts (linear models, trees, forests, boosting, MLPs,"
            " imputers, scalers), or LightGBM",
        ) from error


def _know_lightgbm(estimator: Any) -> None:
    """Teach skl2onnx LightGBM's converters, where there is a LightGBM model to convert."""
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    if not any(is_lightgbm(step) for step in steps):
        return
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    update_registered_converter(
        LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        convert_lightgbm,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    update_registered_converter(
        LGBMRegressor,
        "LightGbmLGBMRegressor",
        calculate_linear_regressor_output_shapes,
        convert_lightgbm,
        options={"split": None},
    )


def _exact_in_single_precision(estimator: Any) -> Any:
    """A copy of a LightGBM *estimator* whose thresholds are float32, rounded down.

    For a float32 value x and any t, x <= t exactly when x <= the largest float32 not
    above t. Rounding to the nearest, as converters do, could lift a threshold onto the
    next value and send rows that lie on it the other way.
    """
    from lightgbm import Booster

    lines = []
    for line in estimator.booster_.model_to_string(num_iteration=-1).split("\n"):
        if line.startswith("threshold="):
            found = line.removeprefix("threshold=").split()
            lines.append("threshold=" + " ".join(repr(_rounded_down(float(one))) for one in found))
        elif not line.startswith("tree_sizes="):
            # The sizes count characters of the text that was just changed; they are optional.
            lines.append(line)
    exact = copy.copy(estimator)
    exact._Booster = Booster(model_str="\n".join(lines))  # noqa: SLF001  (LightGBM has no public way to set it)
    return exact


def _rounded_down(value: float) -> float:
    """The largest float32 that is not above *value*.

    >>> _rounded_down(0.1) <= 0.1 < _rounded_down(0.1) + 1e-8
    True
    """
    nearest = np.float32(value)
    if math.isinf(nearest) and not math.isinf(value):
        return float(np.finfo(np.float32).max if value > 0 else -np.inf)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(-np.inf)))

"""Pieces of an ONNX graph: a calibrator's arithmetic, and the nodes that an answer needs."""

from __future__ import annotations

from typing import Any, assert_never

import numpy as np

from geartrain.stats.calibrators import CLIP, Calibrator, Isotonic, Sigmoid


def calibrator_nodes(calibrator: Calibrator | None, source: str) -> tuple[list[Any], list[Any], str]:
    """The nodes and constants that calibrate the output *source*, and the name of theirs."""
    match calibrator:
        case None:
            return [], [], source
        case Sigmoid():
            return _sigmoid(calibrator, source)
        case Isotonic():
            return _isotonic(calibrator, source)
    assert_never(calibrator)


def reachable(nodes: list[Any], constants: list[Any], answer: str) -> tuple[list[Any], list[Any]]:
    """Only what *answer* is computed from, in the order of computing."""
    wanted, kept = {answer}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1], [constant for constant in constants if constant.name in wanted]


def renamed(nodes: list[Any], old: str, new: str) -> str:
    """Call the value *old* *new* in every node, so that its name is free for the final answer."""
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
    return new


def _sigmoid(calibrator: Sigmoid, source: str) -> tuple[list[Any], list[Any], str]:
    from onnx import helper

    numbers = [
        _constant("sigmoid_least", np.float32(CLIP)),
        _constant("sigmoid_most", np.float32(1.0)),
        _constant("sigmoid_slope", np.float32(calibrator.slope)),
        _constant("sigmoid_offsets", np.asarray([calibrator.offsets], dtype=np.float32)),
    ]
    nodes = [
        helper.make_node("Clip", [source, "sigmoid_least", "sigmoid_most"], ["sigmoid_clipped"]),
        helper.make_node("Log", ["sigmoid_clipped"], ["sigmoid_logs"]),
        helper.make_node("Mul", ["sigmoid_logs", "sigmoid_slope"], ["sigmoid_scaled"]),
        helper.make_node("Add", ["sigmoid_scaled", "sigmoid_offsets"], ["sigmoid_logits"]),
        helper.make_node("Softmax", ["sigmoid_logits"], ["sigmoid_answer"], axis=1),
    ]
    return nodes, numbers, "sigmoid_answer"


def _isotonic(calibrator: Isotonic, source: str) -> tuple[list[Any], list[Any], str]:
    """Each class's broken line as y_0 + sum over pieces of slope * (p clamped to the piece - its start)."""
    from onnx import helper

    nodes, numbers, lines = [], [], []
    for k, knots in enumerate(calibrator.knots):
        name = f"isotonic_{k}"
        # A line of one knot is flat: one piece of slope 0.
        points = np.asarray(knots if len(knots) > 1 else (*knots, (knots[0][0] + 1.0, knots[0][1])))
        starts, ends = points[:-1, 0].astype(np.float32), points[1:, 0].astype(np.float32)
        slopes = (np.diff(points[:, 1]) / (ends.astype(np.float64) - starts)).astype(np.float32)
        numbers += [
            _constant(f"{name}_class", np.asarray([k], dtype=np.int64)),
            _constant(f"{name}_starts", starts[None, :]),
            _constant(f"{name}_ends", ends[None, :]),
            _constant(f"{name}_slopes", slopes[:, None]),
            _constant(f"{name}_base", np.float32(points[0, 1])),
        ]
        nodes += [
            helper.make_node("Gather", [source, f"{name}_class"], [f"{name}_p"], axis=1),
            helper.make_node("Min", [f"{name}_p", f"{name}_ends"], [f"{name}_below"]),
            helper.make_node("Max", [f"{name}_below", f"{name}_starts"], [f"{name}_inside"]),
            helper.make_node("Sub", [f"{name}_inside", f"{name}_starts"], [f"{name}_run"]),
            helper.make_node("MatMul", [f"{name}_run", f"{name}_slopes"], [f"{name}_rise"]),
            helper.make_node("Add", [f"{name}_rise", f"{name}_base"], [f"{name}_line"]),
        ]
        lines.append(f"{name}_line")
    numbers.append(_constant("isotonic_axis", np.asarray([1], dtype=np.int64)))
    nodes += [
        helper.make_node("Concat", lines, ["isotonic_lines"], axis=1),
        helper.make_node("ReduceSum", ["isotonic_lines", "isotonic_axis"], ["isotonic_total"], keepdims=1),
        helper.make_node("Div", ["isotonic_lines", "isotonic_total"], ["isotonic_answer"]),
    ]
    return nodes, numbers, "isotonic_answer"


def _constant(name: str, value: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(value), name)

"""Boosted trees in the form that ONNX Runtime walks fastest; the answers stay the same.

The runtime has three ways through an ensemble. Where there is one score it takes many rows
through one tree after another, which stays in the processor's cache; where there are several
it takes each row through all trees. And it asks at every branch whether the value is missing,
if any branch knows where missing values go. Converters write a binary booster as a classifier
of two classes, and every default direction as a direction for missing values.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_CLASSIFIER: Final = "TreeEnsembleClassifier"
_DOMAIN: Final = "ai.onnx.ml"
_TRACKS: Final = "nodes_missing_value_tracks_true"


def lone_score(nodes: list[Any], constants: list[Any]) -> tuple[list[Any], list[Any]]:
    """The graph with a binary booster as one score and its softmax against 0, where there is one.

    Softmax keeps the precision of small probabilities on both sides, which `1 - p` would not.
    Where LightGBM saw no missing value in training it reads one as 0: then the rows are
    read so once, and no branch has to ask.
    """
    made: list[Any] = []
    for place, node in enumerate(nodes):
        given = _attributes(node) if node.op_type == _CLASSIFIER else {}
        if not _is_binary_booster(given):
            made.append(node)
            continue
        more, numbers = _one_score(node, given, f"boosted_{place}")
        made += more
        constants = [*constants, *numbers]
    return made, constants


def _is_binary_booster(given: dict[str, Any]) -> bool:
    """Whether this is what a classifier is *given* that converters make of a booster with two classes and log-odds."""
    labels = given.get("classlabels_int64s") or given.get("classlabels_strings") or ()
    return len(labels) == 2 and given.get("post_transform") == b"LOGISTIC" and set(given["class_ids"]) == {0}


def _one_score(node: Any, given: dict[str, Any], name: str) -> tuple[list[Any], list[Any]]:
    from onnx import helper, numpy_helper

    trees = {key: value for key, value in given.items() if key.startswith("nodes_")}
    nodes, numbers, source = [], [], node.input[0]
    if any(trees.get(_TRACKS, ())) and _missing_is_zero(trees):
        trees[_TRACKS] = [0] * len(trees[_TRACKS])
        numbers.append(numpy_helper.from_array(np.float32(0), f"{name}_zero"))
        nodes += [
            helper.make_node("IsNaN", [source], [f"{name}_missing"]),
            helper.make_node("Where", [f"{name}_missing", f"{name}_zero", source], [f"{name}_rows"]),
        ]
        source = f"{name}_rows"
    score = helper.make_node(
        "TreeEnsembleRegressor",
        [source],
        [f"{name}_score"],
        domain=_DOMAIN,
        n_targets=1,
        target_ids=given["class_ids"],
        target_nodeids=given["class_nodeids"],
        target_treeids=given["class_treeids"],
        target_weights=given["class_weights"],
        **({"base_values": given["base_values"]} if given.get("base_values") else {}),
        **trees,
    )
    numbers.append(numpy_helper.from_array(np.array([[0, 1]], dtype=np.float32), f"{name}_sides"))
    answer = node.output[1]
    nodes += [
        score,
        helper.make_node("Mul", [f"{name}_score", f"{name}_sides"], [f"{name}_log_odds"]),
        helper.make_node("Softmax", [f"{name}_log_odds"], [answer], axis=1),
    ]
    return nodes, numbers


def _missing_is_zero(trees: dict[str, Any]) -> bool:
    """Whether a missing value goes wherever 0 would go, at every branch."""
    branches = [
        (track, value)
        for track, value, mode in zip(
            trees[_TRACKS], trees["nodes_values"], trees["nodes_modes"], strict=True
        )
        if mode != b"LEAF"
    ]
    known = set(trees["nodes_modes"]) <= {b"LEAF", b"BRANCH_LEQ"}
    return known and all(bool(track) == (value >= 0) for track, value in branches)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}

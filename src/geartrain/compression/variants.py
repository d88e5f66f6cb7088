"""Smaller variants of a model: fewer trees, and fewer, smaller trees that learn faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from geartrain.compression.export import to_onnx
from geartrain.domain.clause import Parameter
from geartrain.domain.prediction import Predictions
from geartrain.stats.fitted import Fitted, is_lightgbm
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import Matrix

#: Fits the model again with some parameters changed: the caller binds rows, folds and seed.
Refit = Callable[[Mapping[str, Parameter]], Fitted]

REFERENCE = "reference"
#: Trees kept, leaves kept, and how much faster each tree then learns. Speed is a lever of
#: its own: fast small models overfit rare classes, slow ones underfit, so both are tried.
SHRINKS = (
    (0.5, 1.0, 1.0),
    (0.25, 1.0, 1.0),
    (0.25, 0.5, 2.0),
    (0.1, 0.5, 4.0),
)
FEWEST_LEAVES, FEWEST_TREES, FASTEST = 3, 5, 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """One form of the model, exported and asked.

    Attributes:
        name: `reference`, `truncated-40` or `trees-40-leaves-8`.
        fitted: The model in memory.
        onnx: What would be served.
        answers: What the exported form says about the rows of `select`.
    """

    name: str
    fitted: Fitted
    onnx: bytes
    answers: Predictions


def variants(
    fitted: Fitted, columns: tuple[str, ...], matrix: Matrix, *, refit: Refit | None = None
) -> tuple[Variant, ...]:
    """The reference first, then every smaller variant that *refit* can make of it.

    Only LightGBM has smaller variants here. A boosted model with fewer rounds is the
    truncated one, tree for tree, and gets a calibrator of its own on the way.

    Raises:
        ModelNotExportable: The model has no ONNX form.
    """
    found = [_variant(REFERENCE, fitted, columns, matrix)]
    if refit is None or not is_lightgbm(fitted.estimator):
        return tuple(found)
    for name, changes in smaller(fitted):
        again = refit(changes)
        # A team's own function may build what it likes; a change that it ignored is no variant.
        if all(dict(again.params).get(key) == value for key, value in changes.items()):
            found.append(_variant(name, again, columns, matrix))
    return tuple(found)


def smaller(fitted: Fitted) -> tuple[tuple[str, dict[str, Parameter]], ...]:
    """The name and the changed parameters of each variant worth fitting; empty where there is nothing to change."""
    params = dict(fitted.params)
    trees, leaves, rate = (params.get(name) for name in ("n_estimators", "num_leaves", "learning_rate"))
    if not (isinstance(trees, int) and isinstance(leaves, int) and isinstance(rate, int | float)):
        return ()
    found: dict[str, dict[str, Parameter]] = {}
    for kept_trees, kept_leaves, faster in SHRINKS:
        fewer = max(FEWEST_TREES, round(trees * kept_trees))
        flatter = max(FEWEST_LEAVES, round(leaves * kept_leaves))
        if fewer >= trees:
            continue
        changes: dict[str, Parameter] = {"n_estimators": fewer}
        name = f"truncated-{fewer}"
        if faster > 1.0:
            # Never slower than the reference, whatever the cap.
            quicker = max(rate, min(FASTEST, round(rate * faster, 6)))
            changes |= {"num_leaves": flatter, "learning_rate": quicker}
            name = f"trees-{fewer}-leaves-{flatter}"
        found.setdefault(name, changes)
    return tuple(found.items())


def _variant(name: str, fitted: Fitted, columns: tuple[str, ...], matrix: Matrix) -> Variant:
    content = to_onnx(fitted, columns)
    return Variant(name=name, fitted=fitted, onnx=content, answers=OnnxModel(content).predict(matrix))

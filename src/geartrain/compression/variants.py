"""Smaller variants of a model: other shapes of it, students, pruned nets, other number formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from geartrain.compression.export import to_onnx
from geartrain.compression.neural_export import is_network
from geartrain.compression.quantizing import Format, has_weights, reformatted
from geartrain.compression.searching import FASTEST, FEWEST_LEAVES, FEWEST_TREES, shape_of
from geartrain.domain.clause import Parameter
from geartrain.domain.prediction import Predictions
from geartrain.errors import ModelNotExportable
from geartrain.stats.fitted import Fitted, is_lightgbm
from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.tree_model import Matrix

#: Fits the model again with some parameters changed: the caller binds rows, folds and seed.
Refit = Callable[[Mapping[str, Parameter]], Fitted]
#: A name, and what is changed against the reference's settings.
Change = tuple[str, dict[str, Parameter]]

REFERENCE = "reference"
#: Trees kept, leaves kept, and how much faster each tree then learns: what is tried without
#: a search. Speed is a lever of its own: fast small models overfit rare classes, slow ones
#: underfit, so both are tried.
SHRINKS = (
    (0.5, 1.0, 1.0),
    (0.25, 1.0, 1.0),
    (0.25, 0.5, 2.0),
    (0.1, 0.5, 4.0),
)
#: Shares of a net's channels that pruning takes away, and how much narrower a student is.
PRUNES = (0.5,)
NARROWER = (2, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """One form of the model, exported and asked.

    Attributes:
        name: `reference`, `truncated-40`, `distilled-trees-40-leaves-8-rate-0.1`, `reference+fp16`.
        fitted: The model in memory, in full precision.
        onnx: What would be served.
        answers: What the exported form says about the rows of `select`.
        form: How its numbers are held.
    """

    name: str
    fitted: Fitted
    onnx: bytes
    answers: Predictions
    form: Format = Format.FLOAT32


def variants(
    fitted: Fitted,
    columns: tuple[str, ...],
    matrix: Matrix,
    *,
    refit: Refit | None = None,
    changes: Sequence[Change] | None = None,
    taught: Matrix | None = None,
) -> tuple[Variant, ...]:
    """The reference first, then every smaller variant that *refit* can make of it.

    *changes* names the shapes to make; without it `smaller` does. A boosted model with
    fewer rounds is the truncated one, tree for tree, and gets a calibrator of its own on
    the way. With *taught*, rows that taught the model, graphs that hold weights are also
    made in smaller number formats; a format that a graph cannot have is left out.

    Raises:
        ModelNotExportable: The model has no ONNX form.
    """
    found = [_variant(REFERENCE, fitted, columns, matrix)]
    if refit is not None:
        for name, changed in smaller(fitted) if changes is None else changes:
            again = refit(changed)
            # A team's own function may build what it likes; a change that it ignored is no variant.
            if all(dict(again.params).get(key) == value for key, value in changed.items()):
                found.append(_variant(name, again, columns, matrix))
    if taught is not None and has_weights(found[0].onnx):
        found += [made for one in tuple(found) for made in _formats(one, taught, matrix)]
    return tuple(found)


def smaller(fitted: Fitted) -> tuple[Change, ...]:
    """The name and the changed parameters of each variant worth fitting; empty where there is nothing to change."""
    if is_network(fitted.estimator):
        return _smaller_nets(dict(fitted.params))
    if not is_lightgbm(fitted.estimator):
        return ()
    whole = shape_of(dict(fitted.params))
    if whole is None:
        return ()
    found: dict[str, dict[str, Parameter]] = {}
    for kept_trees, kept_leaves, faster in SHRINKS:
        fewer = max(FEWEST_TREES, round(whole.trees * kept_trees))
        flatter = max(FEWEST_LEAVES, round(whole.leaves * kept_leaves))
        if fewer >= whole.trees:
            continue
        changes: dict[str, Parameter] = {"n_estimators": fewer}
        name = f"truncated-{fewer}"
        if faster > 1.0:
            # Never slower than the reference, whatever the cap.
            quicker = max(whole.rate, min(FASTEST, round(whole.rate * faster, 6)))
            changes |= {"num_leaves": flatter, "learning_rate": quicker}
            name = f"trees-{fewer}-leaves-{flatter}"
        found.setdefault(name, changes)
    return tuple(found.items())


def _smaller_nets(params: Mapping[str, Parameter]) -> tuple[Change, ...]:
    """Students of half and a quarter of the units, and the net without half of its units."""
    hidden = params.get("hidden")
    if not isinstance(hidden, int) or params.get("build") is not None:
        return ()
    students: list[Change] = [
        (f"distilled-hidden-{hidden // narrower}", {"distilled": True, "hidden": hidden // narrower})
        for narrower in NARROWER
        if hidden // narrower >= 2
    ]
    pruned: list[Change] = [(f"pruned-{share:.0%}", {"pruned": share}) for share in PRUNES]
    return (*students, *pruned)


def _formats(one: Variant, taught: Matrix, matrix: Matrix) -> list[Variant]:
    """Every format of the reference; of a smaller net the one that is smallest."""
    every = (Format.FLOAT16, Format.INT8_DYNAMIC, Format.INT8_STATIC)
    made = []
    for form in every if one.name == REFERENCE else (Format.INT8_STATIC,):
        try:
            content = reformatted(one.onnx, form, taught)
        except ModelNotExportable:
            continue
        answers = OnnxModel(content).predict(matrix)
        made.append(replace(one, name=f"{one.name}+{form}", onnx=content, answers=answers, form=form))
    return made


def _variant(name: str, fitted: Fitted, columns: tuple[str, ...], matrix: Matrix) -> Variant:
    content = to_onnx(fitted, columns)
    return Variant(name=name, fitted=fitted, onnx=content, answers=OnnxModel(content).predict(matrix))

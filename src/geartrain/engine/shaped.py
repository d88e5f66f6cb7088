"""A model made smaller by more than its parameters: taught by the reference, or pruned.

The settings of such a model carry a word that no algorithm knows, `distilled` or `pruned`;
here the word is acted on. So whoever fits the run's model again, from its recorded
settings, gets the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from geartrain.compression.distilling import lesson_of
from geartrain.compression.pruning import narrowed
from geartrain.domain.clause import Parameter
from geartrain.domain.rule import DecisionRule
from geartrain.stats.fitted import Fitted
from geartrain.stats.tree_model import Matrix
from geartrain.training.examples import Examples, Folds
from geartrain.training.fitting import fit
from geartrain.training.neural import Network
from geartrain.training.recipe import Calibration, Recipe, Weighting

#: True where the reference taught it; the settings beside it are the student's.
DISTILLED = "distilled"
#: The share of a net's channels that left it.
PRUNED = "pruned"
#: How many of the epochs of training a pruned net is taught on.
TAUGHT_ON = 0.5


def shaped_fit(
    recipe: Recipe,
    settings: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    reference: Mapping[str, Parameter],
    seed: int,
    folds: Folds = (),
    monotone: tuple[int, ...] = (),
    unlabelled: Matrix | None = None,
) -> Fitted:
    """Fit *recipe* with *settings*, distilled or pruned where they say so.

    *reference* are the settings of the model that teaches a student or is pruned.
    *unlabelled* rows, float32 of shape (m, d), teach a student beside the labelled ones.
    """
    distilled, pruned = settings.get(DISTILLED), settings.get(PRUNED)
    own = {name: value for name, value in settings.items() if name not in {DISTILLED, PRUNED}}
    if not distilled and not pruned:
        return fit(recipe, own, examples, rule, seed=seed, folds=folds, monotone=monotone)
    teacher = fit(recipe, reference, examples, rule, seed=seed, folds=folds, monotone=monotone)
    if distilled:
        made = _student(
            recipe, own, teacher, examples, rule, unlabelled=unlabelled, seed=seed, monotone=monotone
        )
    else:
        assert isinstance(pruned, float)
        made = _pruned(teacher, pruned, examples)
    extra = {name: value for name, value in settings.items() if name in {DISTILLED, PRUNED}}
    return replace(
        made,
        settings=tuple(sorted(dict(settings).items())),
        params=tuple(sorted({**dict(made.params), **extra}.items())),
    )


def _student(
    recipe: Recipe,
    settings: Mapping[str, Parameter],
    teacher: Fitted,
    examples: Examples,
    rule: DecisionRule,
    *,
    unlabelled: Matrix | None,
    seed: int,
    monotone: tuple[int, ...],
) -> Fitted:
    matrix, weight = examples.matrix, examples.weight
    if unlabelled is not None and len(unlabelled):
        matrix = np.concatenate([matrix, unlabelled])
        weight = None if weight is None else np.concatenate([weight, np.ones(len(unlabelled))])
    lesson = lesson_of(matrix, teacher.predict(matrix), weight=weight)
    taught = Examples(matrix=lesson.matrix, truth=lesson.truth, columns={}, weight=lesson.weight)
    # The teacher's probabilities are calibrated already, and weighed by costs where the recipe says so.
    plain = replace(recipe, calibrate=Calibration.NONE, weights=Weighting.EVEN)
    return fit(plain, settings, taught, rule, seed=seed, monotone=monotone)


def _pruned(teacher: Fitted, share: float, examples: Examples) -> Fitted:
    network = teacher.estimator
    assert isinstance(network, Network)
    epochs = max(1, round(network.epochs * TAUGHT_ON))
    small = network.taught_on(
        narrowed(network.inner_, share),
        examples.matrix,
        examples.truth,
        epochs=epochs,
        weight=examples.weight,
    )
    return replace(teacher, estimator=small)

"""Mitigations: what training may do, where the contract allows it, to keep a fairness clause.

Reweighing changes how much rows count, constraints change what is learned, group thresholds
change the decision. Each costs something, and what it costs is measured by whoever tries it.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from geartrain.domain.clause import Clause, Comparison, Parameter
from geartrain.domain.expression import Values, parse
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import TrainingImpossible
from geartrain.stats.calibrators import fit_sigmoid
from geartrain.stats.deciding import cost_tensor, group_labels
from geartrain.stats.fitted import Fitted, raw_values
from geartrain.training.algorithms import estimator_of, resolved
from geartrain.training.examples import Examples, Folds
from geartrain.training.fitting import fit
from geartrain.training.folds import inner_folds
from geartrain.training.recipe import Recipe

#: Rounds of the game between learner and constraint; fairlearn's own default is 50.
ROUNDS = 25
#: Groups with fewer rows than this, where the clause does not say, are left as they are.
SMALLEST_GROUP = 30


class Mitigation(StrEnum):
    """What may be tried, in the order in which it is tried: the least intrusive first."""

    REWEIGHING = "reweighing"
    CONSTRAINTS = "constraints"
    THRESHOLDS = "thresholds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Untried:
    """Why a mitigation could not be tried, as the end of the sentence "not tried, ..."."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mitigated:
    """A model, and the rule to decide with it."""

    fitted: Fitted
    rule: DecisionRule


def allowed(clause: Clause) -> tuple[Mitigation, ...]:
    """What the contract allows for this clause, in the order of trying."""
    named = clause.parameter("mitigations")
    said = set(named) if isinstance(named, tuple) else set()
    return tuple(one for one in Mitigation if one.value in said)


def groups_of(clause: Clause, examples: Examples) -> Values:
    """Each row's group by the clause, None where it is missing or smaller than may be judged."""
    labels = group_labels(expressions_of(clause), examples.columns, len(examples))
    least = clause.parameter("smallest_group")
    smallest = int(least) if isinstance(least, int | float) else SMALLEST_GROUP
    known = [one for one in labels.tolist() if one is not None]
    names, counts = np.unique(np.array(known, dtype=object).astype(str), return_counts=True)
    small = set(names[counts < smallest].tolist())
    kept: Values = np.array([None if one in small else one for one in labels.tolist()], dtype=object)
    return kept


def reweighing(truth: Floats | Values, labels: Values) -> Floats:
    """W = P(group) P(class) / P(group, class) for each row, shapes (n,), mean 1; 1 for a row of no group.

    Under these weights group and class are independent, so a learner finds no reason to
    use the one for the other. Source: Kamiran and Calders (2012), "Data preprocessing
    techniques for classification without discrimination", section 4.2.

    >>> reweighing(np.array([1, 1, 1, 0]), np.array(["a", "a", "b", "b"], dtype=object)).round(3).tolist()
    [0.75, 0.75, 1.5, 0.5]
    """
    weights = np.ones(len(truth))
    known = np.array([one is not None for one in labels.tolist()], dtype=bool)
    total = int(known.sum())
    for group in sorted(set(labels[known].tolist())):
        inside = known & (labels == group)
        for one in np.unique(np.asarray(truth)[inside]):
            cell = inside & (truth == one)
            expected = inside.sum() * (known & (truth == one)).sum() / total
            weights[cell] = expected / cell.sum()
    return weights


def mitigated_fit(
    kind: Mitigation,
    clause: Clause,
    recipe: Recipe,
    params: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    seed: int,
    folds: Folds = (),
    monotone: tuple[int, ...] = (),
) -> Mitigated | Untried:
    """The recipe's model taught under a mitigation; the mitigation is among its resolved parameters.

    Reweighing teaches with `reweighing`'s weights; the calibrator sees the rows as they are, so
    probabilities stay honest. Constraints are described at `_constrained`. Thresholds change no
    model (`group_thresholds`).

    Raises:
        TrainingImpossible: The rows cannot train this model.
    """
    if kind is Mitigation.THRESHOLDS:
        return Untried(reason="thresholds change the decision and not the model")
    if not rule.task.has_classes:
        return Untried(reason=f"a {rule.task} product has no classes to balance")
    labels = groups_of(clause, examples)
    if len({one for one in labels.tolist() if one is not None}) < 2:
        return Untried(reason="fewer than two groups are large enough to learn from")
    if kind is Mitigation.CONSTRAINTS:
        made = _constrained(
            clause, recipe, params, examples, rule, labels, seed=seed, folds=folds, monotone=monotone
        )
    else:
        weight = reweighing(examples.truth, labels)
        if examples.weight is not None:
            weight = weight * examples.weight
        taught = replace(examples, weight=weight)
        fitted = fit(recipe, params, taught, rule, seed=seed, folds=folds, monotone=monotone)
        made = Mitigated(fitted=fitted, rule=rule)
    if isinstance(made, Untried):
        return made
    told: tuple[tuple[str, Parameter], ...] = (("mitigation", kind.value), ("mitigation.of", clause.path))
    return replace(made, fitted=replace(made.fitted, params=tuple(sorted((*made.fitted.params, *told)))))


def _constrained(
    clause: Clause,
    recipe: Recipe,
    params: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    labels: Values,
    *,
    seed: int,
    folds: Folds,
    monotone: tuple[int, ...],
) -> Mitigated | Untried:
    """The cheapest member of fairlearn's exponentiated gradient that keeps the clause's gap.

    The reduction (Agarwal et al. 2018, "A reductions approach to fair classification") answers with a
    lottery over models: the same person may be refused today and accepted tomorrow. No lottery is
    served here. Of its members the one is taken whose decisions, about rows that none of them was
    taught, cost least within the tolerance; or have the smallest gap where none is within. It is
    calibrated on those same rows, and the rule gets the class weight that puts its decision where
    the member's own is, at one half. The promise of the paper is thereby lost, so the result is
    measured like any other candidate. The group is not read when it decides.
    """
    if importlib.util.find_spec("fairlearn") is None:
        return Untried(reason="fairlearn is not installed; pip install 'geartrain[fairness]'")
    if rule.task is not Task.BINARY or len(rule.classes) != 2:
        return Untried(reason="constraints are for two classes")
    if any(parse(entry.cost).columns for entry in rule.costs.entries) or parse(rule.costs.otherwise).columns:
        return Untried(
            reason="the reduction needs one cost for each kind of error, and here they differ by row"
        )
    if clause.comparison is not Comparison.AT_MOST:
        return Untried(reason="the reduction bounds a difference, and the clause promises a ratio")
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns={}, rows=1)[0]
    over, under = float(tensor[1, 0] - tensor[0, 0]), float(tensor[0, 1] - tensor[1, 1])
    if over <= 0 or under <= 0:
        return Untried(reason="one action is always the cheaper one, so nothing is learned")
    from fairlearn import reductions

    kinds = {
        "demographic_parity": reductions.DemographicParity,
        "equal_opportunity": reductions.TruePositiveRateParity,
        "equalised_odds": reductions.EqualizedOdds,
    }
    if clause.metric not in kinds:
        return Untried(
            reason=f"no constraint is known for `{clause.metric}`; there is for " + ", ".join(kinds)
        )
    teach, judge = (folds or inner_folds(examples.truth))[-1]
    # A row of no group cannot be held to a constraint between groups, so it does not teach here.
    teach = teach[[labels[row] is not None for row in teach.tolist()]]
    lesson = examples.take(teach)
    estimator = estimator_of(
        recipe, params, task=rule.task, seed=seed, cells=lesson.matrix.size, monotone=monotone
    )
    steps = getattr(estimator, "steps", None)
    game = reductions.ExponentiatedGradient(
        estimator,
        kinds[clause.metric](difference_bound=clause.bound),
        objective=reductions.ErrorRate(costs={"fp": over, "fn": under}),
        max_iter=ROUNDS,
        sample_weight_name=f"{steps[-1][0]}__sample_weight" if steps else "sample_weight",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            game.fit(lesson.matrix, lesson.truth, sensitive_features=labels[teach].astype(str))
    except (TypeError, ValueError) as error:
        raise TrainingImpossible(
            "these rows cannot be taught under the constraint",
            where=clause.path,
            found=f"{type(error).__name__}: {error}",
            hint="each group needs rows of both classes, and the estimator must take row weights",
        ) from error
    members = [one for one in game.predictors_ if len(getattr(one, "classes_", ())) == 2]
    if not members:
        return Untried(reason="the constraint left no model that tells the classes apart")
    seen = examples.take(judge)
    chosen = min(
        members,
        key=lambda one: _standing(
            raw_values(one, seen.matrix, width=2)[:, 1] >= 0.5, seen, labels[judge], clause, over, under
        ),
    )
    raw = raw_values(chosen, seen.matrix, width=2)
    calibrator = fit_sigmoid(raw, seen.truth.astype(np.int64))
    turned = calibrator.apply(np.array([[0.5, 0.5]]))[0]
    fitted = Fitted(
        task=rule.task,
        classes=rule.classes,
        algorithm=recipe.algorithm,
        settings=tuple(sorted(dict(params).items())),
        params=resolved(chosen, recipe),
        seed=seed,
        code=recipe.code,
        estimator=chosen,
        calibrator=calibrator,
    )
    weight = float(over * turned[0] / (under * turned[1]))
    return Mitigated(fitted=fitted, rule=replace(rule, class_weights=(1.0, weight)))


def _standing(
    acted: Values, seen: Examples, labels: Values, clause: Clause, over: float, under: float
) -> tuple[bool, float]:
    """Within the tolerance first and by cost; outside it by the gap. Lower is better."""
    truth = seen.truth == 1
    cost = float(np.where(truth, ~acted * under, acted * over).mean())
    relevant = {
        "demographic_parity": (np.ones(len(truth), dtype=bool),),
        "equal_opportunity": (truth,),
        "equalised_odds": (truth, ~truth),
    }[clause.metric]
    names = sorted({one for one in labels.tolist() if one is not None})
    widest = 0.0
    for rows in relevant:
        rates = [
            float(acted[rows & (labels == name)].mean()) for name in names if (rows & (labels == name)).any()
        ]
        widest = max(widest, max(rates) - min(rates)) if rates else widest
    outside = widest > clause.bound
    return outside, widest if outside else cost


def expressions_of(clause: Clause) -> tuple[str, ...]:
    """The groups of a fairness clause, one expression or several, as a tuple."""
    named = clause.parameter("groups")
    return tuple(str(one) for one in named) if isinstance(named, tuple) else (str(named),)

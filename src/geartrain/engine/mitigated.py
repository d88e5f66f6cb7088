"""The model and the rule of a run, as its mitigation left them: what is chosen once is what every step uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from geartrain.domain.clause import Parameter
from geartrain.domain.contract import Contract
from geartrain.domain.rule import DecisionRule
from geartrain.engine.shaped import shaped_fit
from geartrain.errors import TrainingImpossible
from geartrain.stats.fitted import Fitted
from geartrain.stats.tree_model import Matrix
from geartrain.training.examples import Examples, Folds
from geartrain.training.mitigating import Mitigation, Untried, mitigated_fit
from geartrain.training.recipe import Recipe


def model_of_run(
    contract: Contract,
    document: Mapping[str, Any],
    recipe: Recipe,
    settings: Mapping[str, Parameter],
    examples: Examples,
    rule: DecisionRule,
    *,
    folds: Folds = (),
    monotone: tuple[int, ...] = (),
    unlabelled: Matrix | None = None,
) -> Fitted:
    """The recipe fitted on *examples*, under the mitigation that the run's *document* names, if any.

    *rule* is the costs' own; the same arguments give the same model. *unlabelled* rows
    teach a student beside the labelled ones, where *settings* are those of a student.

    Raises:
        TrainingImpossible: These rows cannot train it, or no longer allow the mitigation.
    """
    told, seed = document.get("mitigation"), document["seed"]
    if told is None or told["kind"] == Mitigation.THRESHOLDS:
        return shaped_fit(
            recipe,
            settings,
            examples,
            rule,
            reference=document["settings"],
            seed=seed,
            folds=folds,
            monotone=monotone,
            unlabelled=unlabelled,
        )
    clause = contract.clause(told["clause"])
    assert clause is not None
    kind = Mitigation(told["kind"])
    made = mitigated_fit(
        kind, clause, recipe, settings, examples, rule, seed=seed, folds=folds, monotone=monotone
    )
    if isinstance(made, Untried):
        raise TrainingImpossible(
            f"the mitigation `{kind}` that was chosen cannot be done again",
            where=clause.path,
            found=made.reason,
            hint="train again: the choice is then made anew",
        )
    return made.fitted


def constrained(document: Mapping[str, Any]) -> bool:
    """Whether the model is a member of a constrained game, whose own place of decision the rule carries.

    Such a model is not made smaller by fitting it again, nor taught once more on later rows: its place would move.
    """
    told = document.get("mitigation")
    return told is not None and told["kind"] == Mitigation.CONSTRAINTS


def rule_of_run(rule: DecisionRule, document: Mapping[str, Any]) -> DecisionRule:
    """The rule that the run decides with: the costs' own *rule*, with the weights that `select` left standing."""
    return replace(
        rule,
        class_weights=tuple(document["class_weights"]),
        groups=tuple(document.get("groups", ())),
        group_weights=tuple((name, tuple(weights)) for name, weights in document.get("group_weights", ())),
    )

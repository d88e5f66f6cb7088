"""The decision rule: everything that turns a model's answer into an action, frozen in the release."""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.contract import Abstention, Contract, CostTerms
from geartrain.domain.task import Task

#: The single action of a regression product.
PREDICT = "predict"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule:
    """How probabilities become an action: take what costs least in expectation.

    Attributes:
        classes: In the order of the model's columns.
        actions: The action that is right for each class, in the same order.
        class_weights: Multiply the probabilities before deciding (a threshold chosen on
            `select`); empty for the threshold that the costs imply.
    """

    task: Task
    classes: tuple[str, ...]
    actions: tuple[str, ...]
    costs: CostTerms
    abstain: Abstention | None = None
    fallback: str = ""
    class_weights: tuple[float, ...] = ()


def rule_of(contract: Contract, classes: tuple[str, ...]) -> DecisionRule:
    """The rule that *contract* implies for a model that knows *classes*.

    Without a costs section every error costs one; the contract's `silent` list says so.
    """
    terms = contract.decision
    named = dict(zip(terms.classes, terms.actions, strict=False))
    actions = tuple(named.get(name, name) for name in classes) or (PREDICT,)
    return DecisionRule(
        task=terms.task,
        classes=classes,
        actions=actions,
        costs=contract.costs or CostTerms(),
        abstain=terms.abstain,
        fallback=terms.fallback or (actions[0] if terms.task.has_classes else PREDICT),
    )

"""The decision rule: everything that turns a model's answer into an action, frozen in the release."""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.contract import Abstention, Contract, CostTerms
from geartrain.domain.expression import parse
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
        groups: The expressions whose values, joined, name a row's group, where groups have
            thresholds of their own; empty elsewhere. Only a fairness clause that allows the
            mitigation `thresholds` may put them here: such a rule reads the group when it decides.
        group_weights: For each group its own class weights, in place of `class_weights`; a
            row of no group, or of one that is not named here, has the common ones.
    """

    task: Task
    classes: tuple[str, ...]
    actions: tuple[str, ...]
    costs: CostTerms
    abstain: Abstention | None = None
    fallback: str = ""
    class_weights: tuple[float, ...] = ()
    groups: tuple[str, ...] = ()
    group_weights: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that deciding reads, sorted: for costs, for abstaining, for groups."""
        texts = [entry.cost for entry in self.costs.entries] + [self.costs.otherwise, *self.groups]
        if self.abstain is not None:
            texts.append(self.abstain.cost)
        return tuple(sorted({name for text in texts for name in parse(text).columns}))


def may_read_groups(contract: Contract, rule: DecisionRule) -> bool:
    """Whether *contract* lets *rule* decide as it does: by group only where a clause about these groups allows `thresholds`.

    A rule that reads no group is always allowed.
    """
    if not rule.groups:
        return True
    groups = rule.groups if len(rule.groups) > 1 else rule.groups[0]
    for clause in contract.clauses:
        allowed = clause.parameter("mitigations")
        if clause.parameter("groups") == groups and isinstance(allowed, tuple) and "thresholds" in allowed:
            return True
    return False


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

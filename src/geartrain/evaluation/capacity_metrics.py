"""What decisions cost where only so many of them can be acted on in a period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geartrain.domain.columns import texts
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.cost_metrics import mean_cost
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.limits import limit_of
from geartrain.stats.capacity import decide_within
from geartrain.stats.deciding import realised_cost


def cost_within_capacity(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The mean cost of a decision where the k cases of each period are acted on that save most.

    Parameters: `k`, `period` in seconds, `entity` a column; the contract's capacity where they
    are silent, whose action is the one that is limited. The note says how many more the costs'
    own threshold would have acted on, and what that would have cost.
    """
    if not evidence.rule.task.has_classes:
        return Unmeasured(reason=f"a {evidence.rule.task} product has no actions to choose between")
    limit = limit_of(evidence, parameters)
    if isinstance(limit, Unmeasured):
        return limit
    if limit.entity is not None and limit.entity not in evidence.columns:
        return Unmeasured(reason=f"there is no column `{limit.entity}`")
    if not mask.any():
        return Unmeasured(reason="no row is in the slice")
    rule = evidence.rule
    action = evidence.positive
    capacity = evidence.contract.decision.capacity
    if capacity is not None and capacity.action in rule.actions:
        action = rule.actions.index(capacity.action)
    if all(name == rule.actions[action] for name in rule.actions):
        return Unmeasured(reason="there is no other action for the cases that are left alone")
    columns = {name: values[mask] for name, values in evidence.columns.items()}
    decided = decide_within(
        rule,
        replace(evidence.predictions, values=evidence.predictions.values[mask]),
        columns,
        action=action,
        most=limit.most,
        periods=limit.periods[mask],
        entities=None if limit.entity is None else texts(columns[limit.entity]).astype(str),
    )
    costs = np.full(len(evidence), np.nan)
    costs[mask] = realised_cost(rule, decided.actions, evidence.truth[mask], columns)
    seen = mean_cost(evidence, costs, mask)
    if isinstance(seen, Unmeasured):
        return seen
    free = evidence.decided.actions[mask] == action
    within = decided.actions == action
    note = f"{int(within.sum())} rows acted on, {int(free.sum())} by the costs' own threshold"
    if np.isfinite(evidence.costs[mask]).any():
        note += f" at {float(np.nanmean(evidence.costs[mask])):.4g} a row"
    return replace(seen, note=note)

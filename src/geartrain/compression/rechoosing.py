"""A threshold of its own for each variant: another form of the model speaks in another scale."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from geartrain.domain.expression import Columns
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.stats.deciding import decide

#: How far the weight of the second class may be moved, as a factor.
FARTHEST = 64.0
_STEPS = 24


def matched(
    rule: DecisionRule, reference: Predictions, candidate: Predictions, columns: Columns
) -> DecisionRule | None:
    """*rule* with the threshold at which *candidate* acts on as many rows as *reference* does.

    No label is read, so finding it asks nothing of the metered pool; whether it is better
    than the rule's own is a question that the pool answers. None where there are not two
    classes, where groups have thresholds of their own, or where nothing would change.
    """
    if len(rule.classes) != 2 or rule.groups or rule.actions[0] == rule.actions[1]:
        return None
    wanted = _acted(rule, reference, columns)
    own = decide(rule, candidate, columns).actions
    base = rule.class_weights or (1.0, 1.0)
    low, high = -math.log(FARTHEST), math.log(FARTHEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _acted(_weighed(rule, base, middle), candidate, columns) < wanted:
            low = middle
        else:
            high = middle
    found = _weighed(rule, base, high)
    changed = decide(found, candidate, columns).actions != own
    return found if changed.any() else None


def _weighed(rule: DecisionRule, base: tuple[float, ...], log_factor: float) -> DecisionRule:
    # Rounded, so that the weight that stands in the ledger is short and the same everywhere.
    weight = float(f"{base[1] * math.exp(log_factor):.4g}")
    return replace(rule, class_weights=(base[0], weight))


def _acted(rule: DecisionRule, answers: Predictions, columns: Columns) -> int:
    return int(np.count_nonzero(decide(rule, answers, columns).actions == 1))

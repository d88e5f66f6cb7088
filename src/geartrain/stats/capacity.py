"""A decision with a capacity: of each period the cases on which acting saves most, and no more than can be acted on.

A threshold says "act wherever it pays"; a capacity says "act on the k best today". They are two
decisions: the second leaves cases alone that the first would act on, and is worth less per row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.expression import Columns
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.stats.deciding import ABSTAINED, Decided, cost_tensor, decide, weights_of_rows


def decide_within(
    rule: DecisionRule,
    predictions: Predictions,
    columns: Columns,
    *,
    action: int,
    most: int,
    periods: NDArray[Any],
    entities: NDArray[Any] | None = None,
) -> Decided:
    """As `decide`, but *action* is taken for *most* cases of each of *periods* at most; shapes (n,).

    A case is a row, or all rows of one of *entities* in the period. The cases are those on which
    *action* is expected to save most against the cheapest other action, and none on which it
    saves nothing; the rest gets that other action. Who must abstain still abstains, and takes no
    place. Of equals the one that comes first is taken.

    Raises:
        ValueError: There is no other action, or *most* is below 1.
    """
    rows = len(predictions)
    others = [place for place, name in enumerate(rule.actions) if name != rule.actions[action]]
    if not others or most < 1:
        raise ValueError("a capacity needs another action to fall back on, and room for one case")
    free = decide(rule, predictions, columns)
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    said = predictions.values * weights_of_rows(rule, columns, rows)
    said = said / said.sum(axis=1, keepdims=True)
    expected = np.einsum("iay,iy->ia", np.broadcast_to(tensor, (rows, *tensor.shape[1:])), said)
    known = free.actions != ABSTAINED
    aside = np.asarray(others)[np.argmin(np.where(known[:, None], expected[:, others], 0.0), axis=1)]
    instead = expected[np.arange(rows), aside]
    saving = np.where(known, np.maximum(0.0, instead - expected[:, action]), 0.0)
    taken = np.zeros(rows, dtype=bool)
    for period in np.unique(periods):
        inside = np.flatnonzero(periods == period)
        cases = np.arange(len(inside))
        if entities is not None:
            cases = np.unique(entities[inside], return_inverse=True)[1].reshape(-1)
        worth = np.bincount(cases, weights=saving[inside])
        best = np.argsort(-worth, kind="stable")[:most]
        chosen = np.isin(cases, best[worth[best] > 0])
        taken[inside[chosen]] = True
    taken &= known & (saving > 0)
    actions = np.where(known, np.where(taken, action, aside), ABSTAINED)
    priced = np.where(taken, expected[:, action], instead)
    return Decided(
        actions=actions.astype(np.int64), expected_cost=np.where(known, priced, free.expected_cost)
    )

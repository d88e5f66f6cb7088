"""Whether an artifact decides as its reference does: the decision is what must not change."""

from __future__ import annotations

import numpy as np

from geartrain.domain.expression import Columns
from geartrain.domain.model import Parity
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.stats.deciding import decide

#: Two predicted values are one decision where they differ by less than this, relatively:
#: a few units of single precision's last place.
SAME_VALUE = 1e-5


def parity(
    reference: Predictions,
    candidate: Predictions,
    rule: DecisionRule,
    columns: Columns,
    *,
    tolerance: float = SAME_VALUE,
    candidate_rule: DecisionRule | None = None,
) -> Parity:
    """Compare row by row; an abstention agrees with an abstention.

    *candidate_rule* is the candidate's own, where its threshold was chosen again.

    For a regression, values within *tolerance* of each other relative to the larger of
    the reference's value and its spread are one decision.

    Raises:
        ValueError: The two answer different rows or classes.
    """
    if reference.values.shape != candidate.values.shape or reference.classes != candidate.classes:
        raise ValueError(
            f"the reference answers {reference.values.shape} for {reference.classes},"
            f" the candidate {candidate.values.shape} for {candidate.classes}"
        )
    change = np.abs(reference.values - candidate.values)
    if rule.task.has_classes:
        ours = decide(rule, reference, columns).actions
        same = ours == decide(candidate_rule or rule, candidate, columns).actions
    else:
        size = np.maximum(np.abs(reference.values), reference.values.std())
        same = (change <= tolerance * size)[:, 0]
    rows = len(reference)
    return Parity(
        decisions_agree=float(same.mean()) if rows else 1.0,
        largest_change=float(change.max()) if rows else 0.0,
        rows=rows,
    )

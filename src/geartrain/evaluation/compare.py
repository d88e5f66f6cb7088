"""Two models on the same rows: what the change costs, how often they decide alike, and if it is proven harmless."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.evaluation.evidence import Evidence
from geartrain.stats.deciding import cost_tensor
from geartrain.stats.intervals import CONFIDENCE, proportion
from geartrain.stats.noninferiority import Noninferiority, noninferior


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against a reference, decision by decision.

    Attributes:
        candidate_cost: The candidate's mean cost per row.
        reference_cost: The reference's.
        test: The paired difference, its upper bound, and whether it is proven not worse.
        agreement: The share of rows with the same decision (regression: the same value to 6 digits).
        rows: The rows compared, those with a known cost.
    """

    candidate_cost: float
    reference_cost: float
    test: Noninferiority
    agreement: Measurement
    rows: int


def compare(
    candidate: Evidence,
    reference: Evidence,
    *,
    margin: float,
    confidence: float = CONFIDENCE,
    allow_unseen: bool = False,
) -> Comparison:
    """Compare two models' decisions about the same rows; *margin* is in cost per row.

    Equal decisions on every row leave the bootstrap nothing to see. With *allow_unseen* the
    upper bound is then that of a disagreement that never happened, at the dearest price that
    one row can have; without it, the difference is taken for the exact 0 that was seen.

    Raises:
        ValueError: The rows are not the same, or none has a known cost.
    """
    if len(candidate) != len(reference) or not np.array_equal(candidate.truth, reference.truth):
        raise ValueError("only models that were asked about the same rows can be compared")
    known = np.isfinite(candidate.costs) & np.isfinite(reference.costs)
    if not known.any():
        raise ValueError("no row has a known cost")
    groups = reference.groups_in(known)
    test = noninferior(
        candidate.costs[known],
        reference.costs[known],
        margin=margin,
        seed=reference.seed,
        groups=groups,
        confidence=confidence,
        worst=_worst(reference) if allow_unseen else None,
    )
    return Comparison(
        candidate_cost=float(candidate.costs[known].mean()),
        reference_cost=float(reference.costs[known].mean()),
        test=test,
        agreement=proportion(_alike(candidate, reference), groups=reference.groups, confidence=confidence),
        rows=int(known.sum()),
    )


def _alike(candidate: Evidence, reference: Evidence) -> np.ndarray:
    if reference.rule.task.has_classes:
        return np.asarray(candidate.decided.actions == reference.decided.actions)
    values = reference.predictions.values[:, 0]
    return np.isclose(
        candidate.predictions.values[:, 0], values, rtol=1e-6, atol=1e-6 * float(np.ptp(values))
    )


def _worst(reference: Evidence) -> float | None:
    """What one row can cost more at most, or None where nothing bounds it (a predicted value)."""
    rule = reference.rule
    if not rule.task.has_classes:
        return None
    tensor = cost_tensor(
        rule.costs, actions=rule.actions, classes=rule.classes, columns=reference.columns, rows=len(reference)
    )
    return float(np.nanmax(tensor.max(axis=1) - tensor.min(axis=1)))

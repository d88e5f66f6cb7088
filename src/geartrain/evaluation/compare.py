"""Two models on the same rows: what the change costs, how often they decide alike, and if it is proven harmless."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.evaluation.evidence import Evidence
from geartrain.stats.blocks import BY_ROW, ways_to_draw
from geartrain.stats.deciding import cost_tensor
from geartrain.stats.intervals import CONFIDENCE, proportion
from geartrain.stats.noninferiority import Noninferiority, noninferior
from geartrain.stats.pairing import Discordance, discordance
from geartrain.stats.ranking import auc_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against a reference, decision by decision.

    Attributes:
        candidate_cost: The candidate's mean cost per row.
        reference_cost: The reference's.
        test: The paired difference, its upper bound, and whether it is proven not worse.
        agreement: The share of rows with the same decision (regression: the same value to 6 digits).
        rows: The rows compared, those with a known cost.
        drawn: What was resampled as one in `test`: rows, whole entities or whole days; where
            two ways fit the data, the one under which less is proven.
        right: On how many rows only one of the two decides rightly, with the exact test; None
            where nothing is right or wrong (a predicted value) or entities repeat, which the
            exact test would take for independent rows.
        ranking: The candidate's AUC less the reference's, by DeLong; None where there are not two
            classes in the rows, or entities repeat.
    """

    candidate_cost: float
    reference_cost: float
    test: Noninferiority
    agreement: Measurement
    rows: int
    drawn: str = BY_ROW
    right: Discordance | None = None
    ranking: Measurement | None = None


def compare(
    candidate: Evidence,
    reference: Evidence,
    *,
    margin: float,
    confidence: float = CONFIDENCE,
    allow_unseen: bool = False,
) -> Comparison:
    """Compare two models' decisions about the same rows; *margin* is in cost per row.

    The data say how: where entities repeat, whole entities are resampled, where rows have
    times, whole days (see `ways_to_draw`).

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
    times = None if reference.times_us is None else reference.times_us[known]
    tests = [
        (
            noninferior(
                candidate.costs[known],
                reference.costs[known],
                margin=margin,
                seed=reference.seed,
                groups=labels,
                confidence=confidence,
                worst=_worst(reference) if allow_unseen else None,
            ),
            word,
        )
        for word, labels in ways_to_draw(reference.groups_in(known), times)
    ]
    test, drawn = max(tests, key=lambda one: one[0].upper)
    apart = reference.groups is None or len(np.unique(reference.groups)) == len(reference)
    return Comparison(
        candidate_cost=float(candidate.costs[known].mean()),
        reference_cost=float(reference.costs[known].mean()),
        test=test,
        agreement=proportion(_alike(candidate, reference), groups=reference.groups, confidence=confidence),
        rows=int(known.sum()),
        drawn=drawn,
        right=_right(candidate, reference, confidence) if apart else None,
        ranking=_ranking(candidate, reference, confidence) if apart else None,
    )


def _right(candidate: Evidence, reference: Evidence, confidence: float) -> Discordance | None:
    """Which decides rightly how often, over the rows that both decide themselves."""
    if not reference.rule.task.has_classes:
        return None
    names = np.array(reference.rule.actions, dtype=object)
    both = (candidate.decided.actions >= 0) & (reference.decided.actions >= 0)
    if not both.any():
        return None
    due = names[reference.truth[both]]
    ours, theirs = (names[one.decided.actions[both]] == due for one in (candidate, reference))
    return discordance(np.asarray(ours, dtype=bool), np.asarray(theirs, dtype=bool), confidence=confidence)


def _ranking(candidate: Evidence, reference: Evidence, confidence: float) -> Measurement | None:
    if len(reference.rule.classes) != 2:
        return None
    of = reference.positive
    positive = reference.truth == of
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        return None
    return auc_difference(
        candidate.predictions.values[:, of],
        reference.predictions.values[:, of],
        positive,
        confidence=confidence,
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

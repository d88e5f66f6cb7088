"""What the decisions cost, alone and against a baseline, with room for errors not yet seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.baselines import baseline_costs
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.stats.deciding import cost_tensor
from geartrain.stats.intervals import ratio, zero_failures_bound


def expected_cost(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The mean cost of a decision, abstentions with theirs; with `relative_to`, over the baseline's.

    The interval is a (paired, by entity where rows repeat) BCa bootstrap. The bootstrap
    cannot draw an error that never happened in these rows, so the high end also allows
    for the dearest one of each class at its zero-failures bound, joined as independent
    parts: high = v + sqrt((high - v)^2 + sum_y extra_y^2) (Zou and Donner 2008).
    """
    named = parameters.get("relative_to")
    reference: Floats | None = None
    if named is not None:
        costs = baseline_costs(evidence, str(named))
        if isinstance(costs, Unmeasured):
            return costs
        reference = costs
    known = mask & np.isfinite(evidence.costs)
    if reference is not None:
        known &= np.isfinite(reference)
    if not mask.any():
        return Unmeasured(reason="no row is in the slice")
    if not known.any():
        return Unmeasured(reason="no row has a known cost")
    scale = 1.0 if reference is None else float(reference[known].mean())
    if scale <= 0.0:
        return Unmeasured(
            reason=f"the baseline `{named}` costs {scale:.4g} a row, of which nothing is a share"
        )
    lost = int(mask.sum() - known.sum())
    note = f"{lost} rows without a known cost left out" if lost else ""
    seen = ratio(
        evidence.costs[known],
        None if reference is None else reference[known],
        seed=evidence.seed,
        groups=evidence.groups_in(known),
        confidence=evidence.confidence,
        note=note,
    )
    return _with_unseen(evidence, known, seen, scale)


def cost_per_1000(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The cost of 1000 decisions; against a baseline it is the same fraction as `expected_cost`."""
    seen = expected_cost(evidence, mask, parameters)
    if isinstance(seen, Unmeasured) or parameters.get("relative_to") is not None:
        return seen
    return replace(seen, value=1000 * seen.value, low=1000 * seen.low, high=1000 * seen.high)


def mean_cost(evidence: Evidence, costs: Floats, mask: Mask) -> Measured:
    """The mean of any per-row costs of these rows, such as a baseline's, with its bootstrap."""
    known = mask & np.isfinite(costs)
    if not known.any():
        return Unmeasured(reason="no row has a known cost")
    return ratio(
        costs[known], seed=evidence.seed, groups=evidence.groups_in(known), confidence=evidence.confidence
    )


def _with_unseen(evidence: Evidence, mask: Mask, seen: Measurement, scale: float) -> Measurement:
    extra, kinds = unseen_cost(evidence, mask)
    if not kinds:
        return seen
    high = seen.value + math.hypot(seen.high - seen.value, extra / scale)
    allowed = "the high end allows for " + " and ".join(
        f"`{action}` for `{truth}`" for action, truth in kinds
    )
    note = "; ".join(part for part in (seen.note, allowed + ", not seen in these rows") if part)
    return replace(seen, high=high, method=seen.method + " with zero-failures bound", note=note)


def unseen_cost(evidence: Evidence, mask: Mask) -> tuple[float, tuple[tuple[str, str], ...]]:
    """The most that errors which never happened may add to the mean cost, and which they are.

    For each class y with n_y rows (entities, where rows repeat): share_y times the upper
    bound of a rate with no failure in n_y, times what the dearest unseen wrong action
    costs more than what was done; classes joined by the root of the sum of squares.
    """
    rule = evidence.rule
    if not rule.task.has_classes or not mask.any():
        return 0.0, ()
    rows = int(mask.sum())
    columns = {name: values[mask] for name, values in evidence.columns.items()}
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    tensor = np.broadcast_to(tensor, (rows, *tensor.shape[1:]))
    truth, actions, costs = evidence.truth[mask], evidence.decided.actions[mask], evidence.costs[mask]
    groups = evidence.groups_in(mask)
    total, kinds = 0.0, []
    for y, name in enumerate(rule.classes):
        inside = truth == y
        if not inside.any():
            continue
        done = {rule.actions[a] for a in np.unique(actions[inside]) if a >= 0} | {rule.actions[y]}
        unseen = [a for a, action in enumerate(rule.actions) if action not in done]
        # An action of which no row tells the price could not be priced by a better-informed reader either.
        unseen = [a for a in unseen if np.isfinite(tensor[inside, a, y]).any()]
        over = [float(np.nanmean(tensor[inside, a, y])) - float(costs[inside].mean()) for a in unseen]
        if not over or not max(over) > 0:
            continue
        trials = int(inside.sum()) if groups is None else len(np.unique(groups[inside]))
        bound = zero_failures_bound(trials, confidence=0.5 + evidence.confidence / 2)
        total += (inside.mean() * bound * max(over)) ** 2
        kinds.append((rule.actions[unseen[int(np.argmax(over))]], name))
    return math.sqrt(total), tuple(kinds)

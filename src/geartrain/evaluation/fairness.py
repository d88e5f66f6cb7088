"""Fairness clauses: the largest gap between groups, with an interval, and no verdict on too few.

The team chose the definition and wrote down why; where base rates differ, several of them
cannot hold at once (Kleinberg et al. 2016; Chouldechova 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np

from geartrain.domain.columns import texts
from geartrain.domain.expression import Values, parse
from geartrain.domain.finding import Measurement
from geartrain.evaluation.action_metrics import (
    Counted,
    Parameters,
    chosen,
    named_class,
    precise,
    recalled,
    spared,
)
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.stats.intervals import proportion, ratio, wilson

#: What must be alike between groups: rates, each the hits among some rows.
DEFINITIONS: Mapping[str, tuple[Callable[[Evidence, int], Counted], ...]] = {
    "demographic_parity": (chosen,),
    "equal_opportunity": (recalled,),
    "equalised_odds": (recalled, spared),
    "predictive_parity": (precise,),
}
COST_PARITY = "cost_parity"
SMALLEST_GROUP = 30


def fairness(evidence: Evidence, definition: str, mask: Mask, parameters: Parameters) -> Measured:
    """The largest difference between two groups of the quantity that *definition* keeps alike.

    `groups` is a column or an expression; a group with fewer than `smallest_group` rows that
    count (positives, for equal opportunity) is named and not judged. Demographic parity compares
    how often the action is taken, equal opportunity recall, equalised odds recall and false
    alarms, predictive parity precision, cost parity the mean cost of a decision.

    A pair's interval is Newcombe's (1998, method 10; for costs the same square-and-add rule on
    BCa ends), at Bonferroni's level over all pairs; the gap's ends are the largest of the pairs'.
    """
    if definition != COST_PARITY and definition not in DEFINITIONS:
        return Unmeasured(reason=f"there is no definition of fairness `{definition}`")
    if definition != COST_PARITY and not evidence.rule.task.has_classes:
        return Unmeasured(
            reason=f"`{definition}` compares classes, which a {evidence.rule.task} product has not"
        )
    least = parameters.get("smallest_group", SMALLEST_GROUP)
    smallest = int(least) if isinstance(least, int | float) else SMALLEST_GROUP
    labels = _labels(evidence, str(parameters.get("groups")))
    questions = _questions(evidence, definition, mask, parameters)
    if isinstance(questions, Unmeasured):
        return questions
    names = sorted({one for one in labels[mask].tolist() if one is not None})
    small = [
        name
        for name in names
        if any(int((relevant & (labels == name)).sum()) < smallest for relevant, _ in questions)
    ]
    judged = [name for name in names if name not in small]
    if len(judged) < 2:
        of = ", ".join(small) or "none"
        return Unmeasured(reason=f"fewer than two groups have {smallest} rows that count (too small: {of})")
    pairs = math.comb(len(judged), 2) * len(questions)
    level = 1 - (1 - evidence.confidence) / pairs
    gaps = []
    for relevant, hits in questions:
        seen = {
            name: _of_group(
                evidence, relevant & (labels == name), hits, level, costs=definition == COST_PARITY
            )
            for name in judged
        }
        gaps += [(_gap(seen[a], seen[b]), a, b) for a, b in combinations(judged, 2)]
    (widest, a, b) = max(gaps, key=lambda gap: gap[0].value)
    fewest = min(int((relevant & (labels == name)).sum()) for relevant, _ in questions for name in judged)
    note = f"largest between {a} and {b}, {len(judged)} groups"
    if small:
        note += f"; not judged, under {smallest} rows that count: {', '.join(small)}"
    unknown = int(sum(one is None for one in labels[mask]))
    note += f"; {unknown} rows without a group" if unknown else ""
    return Measurement(
        value=widest.value,
        low=max(gap.low for gap, _, _ in gaps),
        high=max(gap.high for gap, _, _ in gaps),
        confidence=evidence.confidence,
        rows=int(mask.sum()),
        relevant=fewest,
        method=widest.method + (", Bonferroni" if pairs > 1 else ""),
        note=note,
    )


def _questions(
    evidence: Evidence, definition: str, mask: Mask, parameters: Parameters
) -> list[Counted] | Unmeasured:
    if definition == COST_PARITY:
        known = mask & np.isfinite(evidence.costs)
        return [(known, known)]
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    classes = range(len(evidence.rule.classes)) if of is None else (of,)
    counted = [rate(evidence, one) for one in classes for rate in DEFINITIONS[definition]]
    return [(mask & relevant, hits) for relevant, hits in counted]


def _labels(evidence: Evidence, groups: str) -> Values:
    column = evidence.columns.get(groups)
    values = parse(groups).evaluate(evidence.columns, rows=len(evidence)) if column is None else column
    return texts(values)


def _of_group(evidence: Evidence, rows: Mask, hits: Mask, level: float, *, costs: bool) -> Measurement:
    entities = evidence.groups_in(rows)
    if costs:
        return ratio(evidence.costs[rows], seed=evidence.seed, groups=entities, confidence=level)
    seen = proportion(hits[rows], groups=entities, confidence=level)
    if entities is not None:
        return seen
    low, high = wilson(int(hits[rows].sum()), int(rows.sum()), confidence=level)
    return Measurement(
        value=seen.value, low=low, high=high, confidence=level, rows=seen.rows, method="Newcombe"
    )


def _gap(one: Measurement, two: Measurement) -> Measurement:
    """The interval of |one - two| by squaring and adding the distances to the ends."""
    difference = one.value - two.value
    low = difference - math.hypot(one.value - one.low, two.high - two.value)
    high = difference + math.hypot(one.high - one.value, two.value - two.low)
    crossing = low <= 0 <= high
    return Measurement(
        value=abs(difference),
        low=0.0 if crossing else min(abs(low), abs(high)),
        high=max(abs(low), abs(high)),
        confidence=one.confidence,
        rows=one.rows + two.rows,
        method=one.method if one.method == "Newcombe" else f"difference of {one.method}",
    )

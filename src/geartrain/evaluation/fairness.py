"""Fairness clauses: the largest gap between groups, with an interval, and no verdict on too few.

The team chose the definition and wrote down why; where base rates differ, several of them
cannot hold at once (`impossibility` says which).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from geartrain.domain.expression import Values
from geartrain.domain.finding import Measurement
from geartrain.evaluation.action_metrics import Counted, Parameters, chosen, named_class, precise, recalled
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.groups import SMALLEST_GROUP, alarmed, cost_of, labels_of, names_of, rate_of
from geartrain.evaluation.score_metrics import confidence_and_truth
from geartrain.stats.bounded import Scale, over_time
from geartrain.stats.bounded_pairs import calibration_over_time
from geartrain.stats.calibration import calibration_error
from geartrain.stats.eprocess import restart_weight
from geartrain.stats.gaps import alike, apart, difference, quotient

#: What must be alike between groups: rates, each the hits among some rows, and its word.
DEFINITIONS: Mapping[str, tuple[tuple[Callable[[Evidence, int], Counted], str], ...]] = {
    "demographic_parity": ((chosen, "the action is taken for"),),
    "equal_opportunity": ((recalled, "recall"),),
    "equalised_odds": ((recalled, "recall"), (alarmed, "false alarms")),
    "predictive_parity": ((precise, "precision"),),
}
COST_PARITY = "cost_parity"
CALIBRATION = "calibration_within_groups"
RATIO = "ratio"

#: So many groups are called by name in a sentence; a column of keys has thousands.
MOST_NAMED = 8

#: A question that must have the same answer in each group: which rows count, the hits among them, its word.
Question = tuple[Mask, Mask, str]


def fairness(
    evidence: Evidence, definition: str, mask: Mask, parameters: Parameters, *, scale: Scale | None = None
) -> Measured:
    """The largest difference between two groups of the quantity that *definition* keeps alike.

    `groups` is a column or an expression, or several that are crossed; a group with fewer than
    `smallest_group` rows that count (positives, for equal opportunity) is named and not judged.
    Demographic parity compares how often the action is taken, equal opportunity recall,
    equalised odds recall and false alarms, predictive parity precision, cost parity the mean
    cost of a decision; calibration within groups looks at each group alone and gives the
    largest calibration error. With `compare: ratio` it is the smallest ratio instead.

    A pair's interval is Newcombe's (1998, method 10; for costs the same square-and-add rule on
    BCa ends, for ratios Donner and Zou's), at Bonferroni's level over all pairs and questions:
    all pairs' intervals hold together. The gap's ends are the largest of the pairs' ends.

    With a *scale* (the range of one row's value) rows stand in the order in which their truth became known and
    the interval holds at all times at once: a confidence sequence a group, whose share of alpha follows from when
    the group first appeared, so that groups may go on appearing.
    """
    if definition not in {COST_PARITY, CALIBRATION} and definition not in DEFINITIONS:
        return Unmeasured(reason=f"there is no definition of fairness `{definition}`")
    if definition != COST_PARITY and not evidence.rule.task.has_classes:
        return Unmeasured(
            reason=f"`{definition}` compares classes, which a {evidence.rule.task} product has not"
        )
    least = parameters.get("smallest_group", SMALLEST_GROUP)
    smallest = int(least) if isinstance(least, int | float) else SMALLEST_GROUP
    labels = labels_of(evidence, parameters.get("groups", ""))
    questions = _questions(evidence, definition, mask, parameters)
    if isinstance(questions, Unmeasured):
        return questions
    names = names_of(labels, mask)
    if not names:
        return Unmeasured(reason=f"every one of {int(mask.sum())} rows is without a group")
    counts = {
        name: min(int((relevant & (labels == name)).sum()) for relevant, _, _ in questions) for name in names
    }
    small = [name for name in names if counts[name] < smallest]
    judged = [name for name in names if counts[name] >= smallest]
    if len(judged) < 2:
        of = _named([f"{name} with {counts[name]}" for name in small]) or "none"
        return Unmeasured(reason=f"fewer than two groups have {smallest} rows that count (too small: {of})")
    level_of = None if scale is None else _levels(evidence, labels, mask, len(questions))
    if definition == CALIBRATION:
        seen = _calibration(evidence, mask, labels, judged, parameters, level_of)
    else:
        rates = _Rates(evidence=evidence, definition=definition, scale=scale, level_of=level_of)
        seen = _compared(rates, questions, labels, judged, as_ratio=parameters.get("compare") == RATIO)
    if isinstance(seen, Unmeasured):
        return seen
    note = seen.note
    if small:
        note += f"; not judged, under {smallest} rows that count: {_named(small)}"
    unknown = int(sum(one is None for one in labels[mask]))
    note += f"; {unknown} rows without a group" if unknown else ""
    return Measurement(
        value=seen.value,
        low=seen.low,
        high=seen.high,
        confidence=evidence.confidence,
        rows=int(mask.sum()),
        relevant=min(counts[name] for name in judged),
        method=seen.method,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rates:
    """How a group's quantity is measured and two groups are held against each other: at one look, or at all times."""

    evidence: Evidence
    definition: str
    scale: Scale | None = None
    level_of: Mapping[str, float] | None = None

    def of(self, name: str, rows: Mask, hits: Mask, level: float) -> Measurement:
        costs = self.definition == COST_PARITY
        if self.scale is None or self.level_of is None:
            return cost_of(self.evidence, rows, level) if costs else rate_of(self.evidence, rows, hits, level)
        values = self.evidence.costs[rows] if costs else hits[rows].astype(np.float64)
        return over_time(values, confidence=self.level_of[name], scale=self.scale)

    def between(self, one: Measurement, two: Measurement, *, as_ratio: bool) -> Measurement | None:
        match self.scale is None, as_ratio:
            case True, True:
                return quotient(one, two)
            case True, False:
                return difference(one, two)
            case False, True:
                return alike(one, two)
            case _:
                return apart(one, two)


def _levels(evidence: Evidence, labels: Values, mask: Mask, questions: int) -> Mapping[str, float]:
    """The confidence of each group's sequence, by the order of first appearance; all of them hold together."""
    named = dict.fromkeys(one for one in labels[mask].tolist() if one is not None)
    alpha = (1 - evidence.confidence) / questions
    return {name: 1 - alpha * restart_weight(place) for place, name in enumerate(named, start=1)}


def _compared(
    rates: _Rates, questions: list[Question], labels: Values, judged: list[str], *, as_ratio: bool
) -> Measured:
    evidence = rates.evidence
    pairs = math.comb(len(judged), 2) * len(questions)
    level = 1 - (1 - evidence.confidence) / pairs
    found: list[tuple[Measurement, str]] = []
    for relevant, hits, word in questions:
        members = {name: relevant & (labels == name) for name in judged}
        seen = {name: rates.of(name, rows, hits, level) for name, rows in members.items()}
        for a, b in combinations(judged, 2):
            between = rates.between(seen[a], seen[b], as_ratio=as_ratio)
            if between is None:
                return Unmeasured(
                    reason=f"{word} of {seen[a].value:.3g} ({a}) and {seen[b].value:.3g} ({b}) have no ratio"
                    " whose interval is known"
                )
            found.append(
                (between, f"between {a} and {b}: {word} {seen[a].value:.3g} and {seen[b].value:.3g}")
            )
    if as_ratio:
        worst, words = min(found, key=lambda one: one[0].value)
        low, high = min(one.low for one, _ in found), min(one.high for one, _ in found)
    else:
        worst, words = max(found, key=lambda one: one[0].value)
        low, high = max(one.low for one, _ in found), max(one.high for one, _ in found)
    return Measurement(
        value=worst.value,
        low=low,
        high=max(high, worst.value),
        confidence=evidence.confidence,
        rows=worst.rows,
        method=worst.method + (", Bonferroni" if pairs > 1 and rates.scale is None else ""),
        note=f"{'smallest ratio' if as_ratio else 'largest'} {words}; {len(judged)} groups",
    )


def _calibration(
    evidence: Evidence,
    mask: Mask,
    labels: Values,
    judged: list[str],
    parameters: Parameters,
    level_of: Mapping[str, float] | None,
) -> Measured:
    """Each group's own calibration error; the largest counts.

    At one look at Bonferroni's level over the groups, at all times at each group's own level.
    """
    level = 1 - (1 - evidence.confidence) / len(judged)
    found = []
    for name in judged:
        rows = mask & (labels == name)
        pair = confidence_and_truth(evidence, rows, parameters)
        if isinstance(pair, Unmeasured):
            return pair
        probability, hit = (np.asarray(one, dtype=np.float64) for one in pair)
        if level_of is not None:
            error = calibration_over_time(probability, hit, confidence=level_of[name])
        else:
            error = calibration_error(
                probability, pair[1], seed=evidence.seed, groups=evidence.groups_in(rows), confidence=level
            )
        found.append((error, name, float(probability.mean()), float(hit.mean())))
    worst, name, said, came = max(found, key=lambda one: one[0].value)
    return Measurement(
        value=worst.value,
        low=max(one.low for one, _, _, _ in found),
        high=max(one.high for one, _, _, _ in found),
        confidence=evidence.confidence,
        rows=worst.rows,
        method=worst.method + (", Bonferroni" if level_of is None else ""),
        note=f"largest in {name}: on average {said:.3g} was said and {came:.3g} came; {len(judged)} groups",
    )


def _questions(
    evidence: Evidence, definition: str, mask: Mask, parameters: Parameters
) -> list[Question] | Unmeasured:
    if definition == COST_PARITY:
        known = mask & np.isfinite(evidence.costs)
        return [(known, known, "mean cost")]
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    if definition == CALIBRATION:
        return [(mask, mask, "calibration error")]
    classes = range(len(evidence.rule.classes)) if of is None else (of,)
    asked = []
    for one in classes:
        for rate, word in DEFINITIONS[definition]:
            relevant, hits = rate(evidence, one)
            asked.append((mask & relevant, hits, word))
    return asked


def _named(words: list[str]) -> str:
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")

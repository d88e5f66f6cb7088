"""Groups: who is in which, each group's rates, and the table of what the model does to each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.expression import Values
from geartrain.domain.finding import Measurement
from geartrain.domain.groups import GroupFigure, GroupRow, GroupTable, WidestGap
from geartrain.evaluation.action_metrics import Counted, chosen, named_class, precise, recalled, spared
from geartrain.evaluation.evidence import Evidence, Mask
from geartrain.stats.deciding import group_labels
from geartrain.stats.gaps import difference, quotient
from geartrain.stats.intervals import proportion, ratio, wilson

SMALLEST_GROUP = 30
EVERYONE = "everyone"


def alarmed(evidence: Evidence, of: int) -> Counted:
    """Rows of other classes, and those for which the class's action was taken all the same."""
    relevant, hits = spared(evidence, of)
    return relevant, ~hits


def _is_so(evidence: Evidence, of: int) -> Counted:
    return evidence.everything, evidence.truth == of


#: The rates of a table: which rows count, and which of those are hits; and why a group may have none.
RATES: Mapping[str, tuple[Callable[[Evidence, int], Counted], str]] = {
    "base_rate": (_is_so, "no row"),
    "selection_rate": (chosen, "no row"),
    "recall": (recalled, "no row of class `{name}`"),
    "false_alarms": (alarmed, "no row of another class than `{name}`"),
    "precision": (precise, "no row for which the action of `{name}` was taken"),
}


def expressions_of(groups: Parameter) -> tuple[str, ...]:
    """The groups of a fairness clause, one expression or several, as a tuple."""
    return tuple(str(one) for one in groups) if isinstance(groups, tuple) else (str(groups),)


def labels_of(evidence: Evidence, groups: Parameter) -> Values:
    """Each row's group as text, None where it is missing; several expressions are crossed."""
    return group_labels(expressions_of(groups), evidence.columns, len(evidence))


def names_of(labels: Values, mask: Mask) -> list[str]:
    """The groups among the rows of *mask*, sorted."""
    return sorted({one for one in labels[mask].tolist() if one is not None})


def rate_of(evidence: Evidence, rows: Mask, hits: Mask, level: float) -> Measurement:
    """The share of *hits* among *rows*, with Wilson's interval, or the exact one where entities repeat."""
    entities = evidence.groups_in(rows)
    seen = proportion(hits[rows], groups=entities, confidence=level)
    if entities is not None:
        return seen
    low, high = wilson(int(hits[rows].sum()), int(rows.sum()), confidence=level)
    return Measurement(
        value=seen.value, low=low, high=high, confidence=level, rows=seen.rows, method="Newcombe"
    )


def cost_of(evidence: Evidence, rows: Mask, level: float) -> Measurement:
    """The mean cost of a decision about *rows*, whose costs are known."""
    return ratio(evidence.costs[rows], seed=evidence.seed, groups=evidence.groups_in(rows), confidence=level)


def group_table(
    evidence: Evidence,
    groups: Sequence[str],
    *,
    smallest_group: int = SMALLEST_GROUP,
    mask: Mask | None = None,
) -> GroupTable:
    """Every quantity of every group with its interval, and the widest gap of each between judged groups.

    A group is judged where it has *smallest_group* rows and, with classes, as many positives. The
    intervals of one quantity hold together for all groups (Bonferroni).

    Raises:
        ExpressionInvalid: A group reads a column that is not among the evidence.
    """
    mask = evidence.everything if mask is None else mask
    labels = labels_of(evidence, tuple(groups))
    names = names_of(labels, mask)
    of = named_class(evidence, {}) if evidence.rule.task.has_classes else None
    of = of if isinstance(of, int) else None
    level = 1 - (1 - evidence.confidence) / max(1, len(names))
    members = {name: mask & (labels == name) for name in names}
    rows = tuple(_row(evidence, name, inside, of, level, smallest_group) for name, inside in members.items())
    return GroupTable(
        groups=tuple(groups),
        everyone=_row(evidence, EVERYONE, mask, of, evidence.confidence, smallest_group),
        rows=rows,
        widest=_widest(evidence, members, [row.group for row in rows if row.judged], of),
        smallest_group=smallest_group,
        confidence=evidence.confidence,
        unknown=int(sum(one is None for one in labels[mask])),
    )


def _row(
    evidence: Evidence, name: str, inside: Mask, of: int | None, level: float, smallest: int
) -> GroupRow:
    count = int(inside.sum())
    positives = None if of is None else int((evidence.truth[inside] == of).sum())
    return GroupRow(
        group=name,
        rows=count,
        positives=positives,
        judged=min(count, count if positives is None else positives) >= smallest,
        figures=_figures(evidence, inside, of, level),
    )


def _figures(evidence: Evidence, inside: Mask, of: int | None, level: float) -> tuple[GroupFigure, ...]:
    figures = []
    if of is not None:
        for quantity, (counted, missing) in RATES.items():
            relevant, hits = counted(evidence, of)
            rows = inside & relevant
            if rows.any():
                seen = rate_of(evidence, rows, hits, level)
                figures.append(GroupFigure(quantity=quantity, measurement=seen))
            else:
                reason = missing.format(name=evidence.rule.classes[of]) + " in the group"
                figures.append(GroupFigure(quantity=quantity, reason=reason))
        figures.append(_calibration(evidence, inside, of, level))
    known = inside & np.isfinite(evidence.costs)
    if known.any():
        figures.append(GroupFigure(quantity="cost", measurement=cost_of(evidence, known, level)))
    else:
        figures.append(GroupFigure(quantity="cost", reason="no row of the group has a known cost"))
    return tuple(figures)


def _calibration(evidence: Evidence, inside: Mask, of: int, level: float) -> GroupFigure:
    """The share that came, less the mean probability; the exact interval of what came, shifted."""
    if not inside.any():
        return GroupFigure(quantity="calibration", reason="no row in the group")
    said = float(evidence.predictions.values[inside, of].mean())
    came = proportion(evidence.truth[inside] == of, groups=evidence.groups_in(inside), confidence=level)
    shifted = Measurement(
        value=came.value - said,
        low=came.low - said,
        high=came.high - said,
        confidence=level,
        rows=came.rows,
        method=f"{came.method}, shifted",
    )
    return GroupFigure(quantity="calibration", measurement=shifted)


def _widest(
    evidence: Evidence, members: Mapping[str, Mask], judged: list[str], of: int | None
) -> tuple[WidestGap, ...]:
    """Of each quantity the pair that is furthest apart; a group in which it has no value is in no pair."""
    pairs = len(judged) * (len(judged) - 1) // 2
    if pairs == 0:
        return ()
    level = 1 - (1 - evidence.confidence) / pairs
    seen = {name: _figures(evidence, members[name], of, level) for name in judged}
    found = []
    for place, quantity in enumerate(figure.quantity for figure in seen[judged[0]]):
        values = {
            name: figure.measurement
            for name in judged
            if (figure := seen[name][place]).measurement is not None
        }
        gaps = [(difference(values[a], values[b]), a, b) for a, b in combinations(values, 2)]
        if not gaps:
            continue
        gap, a, b = max(gaps, key=lambda one: one[0].value)
        high, low = (a, b) if values[a].value >= values[b].value else (b, a)
        found.append(
            WidestGap(
                quantity=quantity,
                one=high,
                two=low,
                gap=gap,
                ratio=None if quantity == "calibration" else quotient(values[a], values[b]),
            )
        )
    return tuple(found)

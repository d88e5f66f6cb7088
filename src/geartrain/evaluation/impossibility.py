"""Definitions of fairness that exclude each other at the base rates seen.

Three identities tie a group's rates to its base rate p (how often it is really so), with T recall,
F false alarms, v precision and s how often the action is taken:

    s = p T + (1 - p) F          F = p / (1 - p) * (1 - v) / v * T          v = p T / s

(Chouldechova 2017, "Fair prediction with disparate impact", section 2.1). Where base rates differ,
keeping two of the quantities alike forces a third apart, whatever the model. Kleinberg,
Mullainathan and Raghavan (2016, "Inherent trade-offs in the fair determination of risk scores")
prove the same for the scores themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.finding import Measurement
from geartrain.domain.groups import GroupRow, GroupTable, Impossibility
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.groups import SMALLEST_GROUP, expressions_of, group_table
from geartrain.stats.gaps import difference

#: Which definitions exclude each other wherever base rates differ and the model is of use but not perfect.
EXCLUSIVE = (
    frozenset({"demographic_parity", "equalised_odds"}),
    frozenset({"predictive_parity", "equalised_odds"}),
    frozenset({"calibration_within_groups", "equalised_odds"}),
    frozenset({"demographic_parity", "equal_opportunity", "predictive_parity"}),
)


def false_alarms_forced(*, base_rate: float, recall: float, precision: float) -> float:
    """F = p / (1 - p) * (1 - v) / v * T: the false alarms that base rate, recall and precision leave no choice of.

    >>> round(false_alarms_forced(base_rate=0.5, recall=0.6, precision=0.6), 3)
    0.4
    """
    return base_rate / (1 - base_rate) * (1 - precision) / precision * recall


def tables_of(evidence: Evidence, clauses: Iterable[Clause]) -> tuple[GroupTable, ...]:
    """One table for each grouping that a fairness clause names, over the clause's slice.

    A grouping that cannot be read has no table; its clause's finding says why.
    """
    tables = {}
    for clause in clauses:
        key = (expressions_of(clause.parameter("groups")), clause.where)
        if clause.section != "fairness" or key in tables:
            continue
        least = clause.parameter("smallest_group")
        smallest = int(least) if isinstance(least, int | float) else SMALLEST_GROUP
        try:
            tables[key] = group_table(
                evidence, key[0], smallest_group=smallest, mask=evidence.slice(clause.where)
            )
        except ExpressionInvalid:
            continue
    return tuple(tables.values())


def impossibilities(clauses: Iterable[Clause], tables: Iterable[GroupTable]) -> tuple[Impossibility, ...]:
    """Every pair (or three) of fairness clauses about the same groups that cannot hold together.

    Only where the rows prove that base rates differ between two judged groups; tolerances are
    taken at their word, and what is said about "this model" uses its own recall and precision.
    """
    promised = [clause for clause in clauses if clause.section == "fairness"]
    found = []
    for table in tables:
        about = [one for one in promised if expressions_of(one.parameter("groups")) == table.groups]
        named = {one.metric: one for one in about}
        apart = _furthest_apart(table)
        if apart is None:
            continue
        taken: set[str] = set()
        for together in EXCLUSIVE:
            if together <= named.keys() and not together <= taken:
                found.append(_said(tuple(named[one] for one in sorted(together)), table, *apart))
                taken |= together
    return tuple(found)


def _furthest_apart(table: GroupTable) -> tuple[GroupRow, GroupRow, Measurement] | None:
    """The two judged groups with the largest proven difference of base rates, and that difference."""
    rows = [row for row in table.rows if row.judged]
    pairs = []
    for one, two in combinations(rows, 2):
        a, b = one.value("base_rate"), two.value("base_rate")
        if a is not None and b is not None:
            pairs.append((one, two, difference(a, b)))
    proven = [pair for pair in pairs if pair[2].low > 0]
    return max(proven, key=lambda pair: pair[2].value, default=None)


def _said(
    clauses: tuple[Clause, ...], table: GroupTable, one: GroupRow, two: GroupRow, apart: Measurement
) -> Impossibility:
    definitions = {clause.metric for clause in clauses}
    a, b = one.value("base_rate"), two.value("base_rate")
    assert a is not None and b is not None
    rates = f"it is really so for {a.value:.3g} of {one.group} and {b.value:.3g} of {two.group}"
    names = " and ".join(f"`{clause.path}`" for clause in clauses)
    tolerance = {clause.metric: _tolerance(clause) for clause in clauses}
    recall, precision = table.everyone.value("recall"), table.everyone.value("precision")
    false_alarms = table.everyone.value("false_alarms")
    excluded, why = False, ""
    if definitions == {"demographic_parity", "equalised_odds"}:
        most = (tolerance["demographic_parity"] + tolerance["equalised_odds"]) / apart.low
        why = (
            "with recall and false alarms alike, the action is taken more often where it is more often right"
            f"; both hold only for a model whose recall exceeds its false alarms by at most {min(1.0, most):.2g}"
        )
        if recall is not None and false_alarms is not None:
            skill = recall.value - false_alarms.value
            excluded = skill > most
            why += f" (this one's by {skill:.2g})"
    elif definitions == {"predictive_parity", "equalised_odds"}:
        why = "with precision and recall alike, false alarms differ"
        if recall is not None and precision is not None and 0 < precision.value < 1:
            forced = [
                min(
                    1.0,
                    false_alarms_forced(base_rate=p.value, recall=recall.value, precision=precision.value),
                )
                for p in (a, b)
            ]
            why = (
                f"at this model's recall of {recall.value:.2g} and precision of {precision.value:.2g} for both,"
                f" false alarms would have to be {forced[0]:.2g} among {one.group} and {forced[1]:.2g} among {two.group}"
            )
            excluded = _alarms_apart(a.value, b.value, recall.value, precision.value, tolerance)
        why += " (Chouldechova 2017)"
    elif "calibration_within_groups" in definitions:
        why = (
            "scores that mean the same in both groups are on average higher for the group where it is more often so,"
            " among those for whom it is so and among the others, unless the model is never wrong"
            " (Kleinberg et al. 2016)"
        )
    else:
        why = "taken as often and with the same recall, the action is right less often where it is less often so"
        taken = table.everyone.value("selection_rate")
        if recall is not None and taken is not None and taken.value > 0:
            forced = [min(1.0, p.value * recall.value / taken.value) for p in (a, b)]
            slack = sum(tolerance.values())
            excluded = abs(forced[0] - forced[1]) > slack
            why += f": at this model's rates for {forced[0]:.2g} of {one.group} and {forced[1]:.2g} of {two.group}"
    verdict = "cannot hold together" if excluded else "pull against each other"
    return Impossibility(
        clauses=tuple(clause.path for clause in clauses),
        one=one.group,
        two=two.group,
        excluded=excluded,
        sentence=f"{names} {verdict}: {rates}; {why}",
    )


def _tolerance(clause: Clause) -> float:
    """The largest gap that the clause allows; a ratio of at least r allows a gap of at most 1 - r."""
    return clause.bound if clause.comparison is Comparison.AT_MOST else 1 - clause.bound


def _alarms_apart(a: float, b: float, recall: float, precision: float, tolerance: dict[str, float]) -> bool:
    """Whether no rates of group b within the tolerances of group a's bring their false alarms together."""
    odds, same = tolerance["equalised_odds"], tolerance["predictive_parity"]

    def forced(base_rate: float, recall: float, precision: float) -> float:
        kept = min(1.0, max(1e-9, precision))
        return false_alarms_forced(base_rate=base_rate, recall=min(1.0, max(0.0, recall)), precision=kept)

    for here, there in ((a, b), (b, a)):
        mine = min(1.0, forced(here, recall, precision))
        least = forced(there, recall - odds, precision + same)
        most = min(1.0, forced(there, recall + odds, precision - same))
        if least - odds > mine or most + odds < mine:
            return True
    return False

"""How many rows each proof takes, whatever model comes: what cannot be proven is said before any work."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import Contract
from geartrain.domain.expression import parse
from geartrain.domain.finding import MOST_ROWS, Measurement
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.baselines import ALWAYS, action_index
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.fairness import DEFINITIONS, RATIO
from geartrain.evaluation.groups import labels_of, names_of
from geartrain.evaluation.prospect import Facts, Margin, Prospect, Verdict, figure
from geartrain.stats.deciding import cost_tensor
from geartrain.stats.intervals import CONFIDENCE, normal_quantile, zero_failures_bound
from geartrain.stats.multiplicity import alpha_spent
from geartrain.stats.needed import relevant_for_proportion
from geartrain.stats.noninferiority import rows_for_noninferiority

#: Sealed rows are told at the confidence that the first look at them leaves, so they are planned at it.
FIRST_LOOK = 1.0 - alpha_spent(1.0 - CONFIDENCE, 1)
#: The best value that each share can have: what a model without one error would show.
SHARES = {
    "recall": 1.0, "specificity": 1.0, "precision": 1.0, "f1": 1.0, "accuracy": 1.0,
    "abstention_rate": 0.0, "coverage": 1.0,
}  # fmt: skip
COSTS = ("expected_cost", "cost_per_1000")
POWER = 0.8


def too_few(contract: Contract, clause: Clause, facts: Facts, quick: Evidence | None) -> Prospect | None:
    """Why the sealed rows cannot prove *clause* even for a model without one error; None where they can."""
    if clause.section == "success" and clause.metric in SHARES:
        return _for_a_share(contract, clause, facts)
    if clause.section == "success" and clause.metric in COSTS:
        return _for_a_cost(contract, clause, facts)
    if clause.section == "fairness":
        return _for_two_groups(clause, facts) or _for_a_gap(clause, facts, quick)
    return None


def rows_to_settle(
    contract: Contract, clause: Clause, seen: Measurement, facts: Facts
) -> tuple[int | None, int | None, str]:
    """(relevant rows, labelled rows in all, what the relevant ones are called) that prove it if the value stays.

    None where the value is on the wrong side of the bound, or no number would do.
    """
    keeps = (
        seen.value >= clause.bound if clause.comparison is Comparison.AT_LEAST else seen.value <= clause.bound
    )
    if not keeps or seen.low == seen.high or seen.rows == 0:
        return None, None, ""
    have = seen.relevant if seen.relevant is not None else seen.rows
    distance = abs(seen.value - clause.bound)
    half = seen.value - seen.low if clause.comparison is Comparison.AT_LEAST else seen.high - seen.value
    if seen.method == "Clopper-Pearson":
        needed = relevant_for_proportion(seen.value, clause.bound, confidence=FIRST_LOOK)
    elif distance <= 0 or half / distance > math.sqrt(MOST_ROWS / max(have, 1)):
        needed = None
    else:
        needed = max(1, math.ceil(have * (half / distance) ** 2))
    if needed is None or have == 0:
        return None, None, ""
    name = relevant_rows(contract, clause, facts)[0] if seen.relevant is not None else ""
    return needed, rows_for(needed, have / seen.rows, facts), name


def rows_for(relevant: int, share: float, facts: Facts) -> int | None:
    """All labelled rows of which *share* are relevant and `proving_share` sealed, for so many relevant sealed ones."""
    if share <= 0 or facts.proving_share <= 0:
        return None
    rows = math.ceil(relevant / (share * facts.proving_share))
    return None if rows > MOST_ROWS else rows


def relevant_rows(contract: Contract, clause: Clause, facts: Facts) -> tuple[str, float]:
    """What the relevant rows are called, and at most which share of all rows they are."""
    counts = dict(facts.class_counts)
    total = max(1, sum(counts.values()))
    named = clause.parameter("class") or contract.decision.positive
    if clause.metric in {"recall", "specificity"} and counts:
        if named is None:
            # A macro mean is no surer than its rarest class.
            name, fewest = min(counts.items(), key=lambda one: one[1])
            return f"`{name}`", fewest / total
        share = counts.get(str(named), 0) / total
        return (f"`{named}`", share) if clause.metric == "recall" else (f"non-`{named}`", 1 - share)
    return "decided" if clause.metric not in {"abstention_rate", "coverage"} else "labelled", 1.0


def _for_a_share(contract: Contract, clause: Clause, facts: Facts) -> Prospect | None:
    best = SHARES[clause.metric]
    if (clause.comparison is Comparison.AT_LEAST) != (best == 1.0):
        return None
    of, share = relevant_rows(contract, clause, facts)
    have = int(facts.proving_rows * share)
    bound = clause.bound / (2 - clause.bound) if clause.metric == "f1" else clause.bound
    needed = relevant_for_proportion(best, bound, confidence=FIRST_LOOK)
    if needed is None and bound == best:
        return Prospect(
            clause=clause.path,
            verdict=Verdict.CANNOT,
            reason=f"no number of rows proves a {clause.metric} of exactly {clause.bound:g}",
            relevant=have,
        )
    if needed is None or have >= needed:
        return None
    rows = rows_for(needed, share, facts)
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"even without one error, {needed:,} {of} rows are needed to prove"
            f" {clause.metric} {clause.comparison.replace('_', ' ')} {clause.bound:g}; the sealed pool will hold"
            f" {'at most ' if clause.where else 'about '}{have:,}"
            + (f" (about {rows:,} labelled rows in all would do)" if rows else "")
        ),
        relevant=have,
        relevant_needed=needed,
        of=of,
        rows_needed=rows,
    )


def _for_a_cost(contract: Contract, clause: Clause, facts: Facts) -> Prospect | None:
    """Without one error, what errors that were not seen may still cost has to fit below the bound."""
    if clause.comparison is not Comparison.AT_MOST or clause.where or not facts.class_counts:
        return None
    rule = rule_of(contract, tuple(name for name, _ in facts.class_counts))
    target = clause.bound / (1000 if clause.metric == "cost_per_1000" and clause.relative_to is None else 1)
    if clause.relative_to is not None:
        reference = trivial_cost(rule, facts, clause.relative_to)
        if reference is None:
            return None
        target = clause.bound * reference.value
    possible = _unseen_cost(rule, facts)
    if possible is None or possible <= target or target <= 0:
        return None
    # The allowance shrinks like 1 / rows.
    rows = math.ceil(facts.rows * possible / target)
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"even without one error, {facts.proving_rows:,} rows leave room for errors not yet seen that cost"
            f" {figure(possible)} a row, promised at most {figure(target)}; about {rows:,} labelled rows in all would do"
        ),
        rows_needed=None if rows > MOST_ROWS else rows,
    )


def trivial_cost(rule: DecisionRule, facts: Facts, name: str) -> Measurement | None:
    """What the policy *name* costs per row, None where it is none that needs no model."""
    known = dict(facts.trivial_costs)
    if name in known:
        return known[name]
    index = action_index(rule, name.removeprefix(ALWAYS)) if name.startswith(ALWAYS) else None
    return None if index is None or index < 0 else known.get(ALWAYS + rule.actions[index])


def _unseen_cost(rule: DecisionRule, facts: Facts) -> float | None:
    """As `cost_metrics.unseen_cost` would allow for a model without one error; None where costs read columns."""
    texts_ = [entry.cost for entry in rule.costs.entries] + [rule.costs.otherwise]
    if any(parse(text).columns for text in texts_):
        return None
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns={}, rows=1)[0]
    total = max(1, sum(count for _, count in facts.class_counts))
    squares = 0.0
    for y, (_, count) in enumerate(facts.class_counts):
        worst = max(0.0, float((tensor[:, y] - tensor[y, y]).max()))
        bound = zero_failures_bound(int(count * facts.proving_share), confidence=0.5 + FIRST_LOOK / 2)
        squares += (count / total * bound * worst) ** 2
    return math.sqrt(squares)


def _for_two_groups(clause: Clause, facts: Facts) -> Prospect | None:
    smallest = clause.parameter("smallest_group")
    if not isinstance(smallest, int | float) or facts.proving_rows >= 2 * smallest:
        return None
    rows = rows_for(2 * int(smallest), 1.0, facts)
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"two groups of {int(smallest)} rows are the least that is judged;"
            f" the sealed pool will hold {facts.proving_rows:,} rows"
            + (f" (at least {rows:,} labelled rows in all would do)" if rows else "")
        ),
        relevant=facts.proving_rows,
        relevant_needed=2 * int(smallest),
        rows_needed=rows,
    )


def _for_a_gap(clause: Clause, facts: Facts, quick: Evidence | None) -> Prospect | None:
    """Two groups that are treated exactly alike still show a gap by chance; it has to fit below the bound.

    With a rate p in both, the interval of the difference reaches z sqrt(p (1 - p) (1/n1 + 1/n2)),
    z at Bonferroni's level over the pairs; groups grow with the rows.
    """
    questions = DEFINITIONS.get(clause.metric)
    if quick is None or questions is None or clause.comparison is not Comparison.AT_MOST or clause.bound <= 0:
        return None
    if clause.parameter("compare") == RATIO:
        return None
    if len(quick.rule.classes) > 2 and quick.contract.decision.positive is None:
        return None
    try:
        labels = labels_of(quick, clause.parameter("groups", ""))
        inside = quick.slice(clause.where)
    except ExpressionInvalid:
        # The clause's own finding says so.
        return None
    grown = facts.proving_rows / max(1, len(quick))
    smallest = clause.parameter("smallest_group")
    least = float(smallest) if isinstance(smallest, int | float) else 0.0
    widest, between = 0.0, ""
    for question, _ in questions:
        counted, hits = question(quick, quick.positive)
        relevant = inside & counted
        names = names_of(labels, relevant)
        sizes = {name: grown * int((relevant & (labels == name)).sum()) for name in names}
        judged = [name for name in names if sizes[name] >= max(least, 1.0)]
        pairs = math.comb(len(judged), 2) * len(questions)
        if not pairs:
            continue
        rate = float(np.clip(hits[relevant].mean(), 0.0, 1.0))
        z = normal_quantile(1 - (1 - FIRST_LOOK) / pairs / 2)
        for a, b in combinations(judged, 2):
            width = z * math.sqrt(rate * (1 - rate) * (1 / sizes[a] + 1 / sizes[b]))
            if width > widest:
                widest, between = (
                    width,
                    f"`{a}` ({sizes[a]:,.0f} rows that count) and `{b}` ({sizes[b]:,.0f})",
                )
    if widest <= clause.bound:
        return None
    rows = math.ceil(facts.rows * (widest / clause.bound) ** 2)
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"even if {between} are treated alike, the sealed rows cannot exclude a gap of {figure(widest)},"
            f" promised at most {figure(clause.bound)}; about {rows:,} labelled rows in all would do"
        ),
        rows_needed=None if rows > MOST_ROWS else rows,
    )


def margin_prospect(margin: Margin, facts: Facts) -> Prospect:
    """Whether the rows will be enough to prove that a smaller or newer model costs no more than its margin.

    n = ((z_a + z_b) deviation / margin)^2 at 95 % one-sided and a power of 80 %, if the two are
    equally good. Where no decision differed, the zero-failures bound: ln(.05) / ln(1 - margin / worst).
    """
    name = f"{margin.name}: at most {margin.allowed:.0%} dearer"
    allowed = margin.allowed * abs(margin.cost)
    if margin.deviation > 0 and allowed > 0:
        needed = rows_for_noninferiority(deviation=margin.deviation, margin=allowed, power=POWER)
    elif margin.worst is not None and 0 < allowed < margin.worst:
        needed = math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - allowed / margin.worst))
    else:
        needed = None
    if needed is None:
        why = "no number of rows that anyone could collect proves it"
        if allowed <= 0:
            why = "the quick model's decisions cost nothing, and a share of nothing is nothing"
        return Prospect(clause=name, verdict=Verdict.UNKNOWN, reason=why)
    told = f"about {needed:,} rows prove it for a model that is as good"
    if margin.rows is None:
        days = "" if not margin.rows_per_day else f", {needed / margin.rows_per_day:,.0f} days of them"
        return Prospect(
            clause=name,
            verdict=Verdict.UNKNOWN,
            reason=f"{told}{days}; they have to come as {margin.whose}",
            relevant_needed=needed,
        )
    enough = margin.rows >= needed
    share = margin.rows / facts.rows if facts.rows else 0.0
    return Prospect(
        clause=name,
        verdict=Verdict.CAN if enough else Verdict.CANNOT,
        reason=f"{told}; {margin.whose} are about {margin.rows:,}",
        relevant=margin.rows,
        relevant_needed=needed,
        rows_needed=math.ceil(needed / share) if share and needed / share < MOST_ROWS else None,
    )

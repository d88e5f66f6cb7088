"""What a contract says twice, differently: promises that cannot both hold, roles that nobody can fill.

Each section may be right by itself and the whole impossible. That is cheapest to find
out before anything is trained, so `parse` asks here and so does feasibility.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise

from geartrain.contract.metrics import METRICS
from geartrain.contract.units import duration_in_words, number
from geartrain.domain.clause import Clause, Comparison, Mark
from geartrain.domain.contract import Contract, CostTerms, DecisionTerms
from geartrain.domain.expression import parse as parse_expression
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.errors import Problem

_OPPOSITES = (("rises_with", "falls_with"), ("rises_with", "invariant_to"), ("falls_with", "invariant_to"))


def contradictions(contract: Contract) -> tuple[Problem, ...]:
    """Everything in *contract* that cannot hold together, each at the place of its second half."""
    return (
        *_bounds(contract),
        *_directions(contract),
        *_latencies(contract),
        *_plausibility(contract),
        *_costs(contract),
        *_signatures(contract),
        *_rollout(contract),
        *_retraining(contract),
    )


def _problem(contract: Contract, path: str, message: str, *, found: str = "", expected: str = "") -> Problem:
    mark = _mark(contract, path)
    return Problem(
        path=path, line=mark.line, column=mark.column, message=message, found=found, expected=expected
    )


def _mark(contract: Contract, path: str) -> Mark:
    """The place of the clause or term at *path*, or of the first one below it."""
    if (clause := contract.clause(path)) is not None and clause.mark is not None:
        return clause.mark
    marks = [
        term.mark
        for term in contract.terms
        if term.mark is not None and (term.path == path or term.path.startswith(f"{path}."))
    ]
    return min(marks, key=lambda mark: (mark.line, mark.column), default=Mark(line=1, column=1))


def _same_question(clause: Clause) -> tuple[object, ...]:
    return clause.metric, clause.relative_to, clause.where, clause.parameters


def _bounds(contract: Contract) -> Iterator[Problem]:
    """At least more than at most, of the same metric on the same rows."""
    asked: dict[tuple[object, ...], list[Clause]] = defaultdict(list)
    for clause in contract.clauses:
        asked[_same_question(clause)].append(clause)
    for group in asked.values():
        for one, other in combinations(group, 2):
            if one.comparison is other.comparison:
                continue
            low, high = (one, other) if one.comparison is Comparison.AT_LEAST else (other, one)
            if low.bound > high.bound:
                first, second = sorted((low, high), key=_line)
                yield _problem(
                    contract,
                    second.path,
                    f"this and `{first.path}` (line {_line(first)}) cannot both hold",
                    found=f"{second.metric} {_bound(second)}, there {_bound(first)}",
                    expected=f"at_least not above at_most: {number(high.bound)} or less",
                )


def _directions(contract: Contract) -> Iterator[Problem]:
    """A bound on the bad side alone promises that the product is bad; beside one on the good side it is a range."""
    for clause in contract.clauses:
        metric = METRICS.get(clause.metric) if clause.section == "success" else None
        if metric is None or metric.good is None or clause.comparison is metric.good:
            continue
        paired = any(
            other.comparison is metric.good and _same_question(other) == _same_question(clause)
            for other in contract.clauses
        )
        if not paired:
            better = "higher" if metric.good is Comparison.AT_LEAST else "lower"
            yield _problem(
                contract,
                clause.path,
                f"{metric.words} is better when {better}, and this asks for the opposite",
                found=_bound(clause),
                expected=f"{metric.good.value}: {number(clause.bound)}",
            )


def _latencies(contract: Contract) -> Iterator[Problem]:
    half, nearly_all = contract.clause("budget.latency_p50"), contract.clause("budget.latency_p99")
    if half is not None and nearly_all is not None and half.bound > nearly_all.bound:
        yield _problem(
            contract,
            half.path,
            "half of the answers may not be slower than 99 of 100",
            found=f"p50 {_bound(half)}, p99 {_bound(nearly_all)}",
            expected=f"at most {number(nearly_all.bound)} {nearly_all.unit}",
        )


def _plausibility(contract: Contract) -> Iterator[Problem]:
    promises = [clause for clause in contract.clauses if clause.section == "plausibility"]
    forbidden = {
        str(column): clause
        for clause in promises
        if clause.metric == "forbidden"
        for column in _columns(clause.parameter("columns"))
    }
    for one, other in combinations(sorted(promises, key=_line), 2):
        pair = {one.metric, other.metric}
        same = one.parameter("column") == other.parameter("column") and one.where == other.where
        if same and any(pair == set(opposite) for opposite in _OPPOSITES):
            yield _problem(
                contract,
                other.path,
                f"this and `{one.path}` (line {_line(one)}) cannot both hold",
                found=f"{other.metric} and {one.metric} {other.parameter('column')}",
                expected="one of the two",
            )
    for clause in promises:
        column = clause.parameter("column")
        if clause.metric in {"rises_with", "falls_with"} and column in forbidden:
            ban = forbidden[str(column)]
            yield _problem(
                contract,
                clause.path,
                f"`{column}` is forbidden by `{ban.path}` (line {_line(ban)}), so nothing can rise or fall with it",
                found=str(column),
                expected="one of the two",
            )


def _costs(contract: Contract) -> Iterator[Problem]:
    """An error that costs no more than being right would make the decision pointless."""
    costs, decision = contract.costs, contract.decision
    if costs is None or decision.task is not Task.BINARY or len(decision.classes) != 2:
        return
    negative, positive = decision.classes
    for truth, error, right in (
        (positive, "false_negative", "true_positive"),
        (negative, "false_positive", "true_negative"),
    ):
        wrong_cost = _cell(costs, decision, truth=truth, right=False)
        right_cost = _cell(costs, decision, truth=truth, right=True)
        if wrong_cost is not None and right_cost is not None and wrong_cost <= right_cost:
            yield _problem(
                contract,
                f"costs.{error}",
                "being wrong costs no more than being right, so there is nothing to decide",
                found=f"{error} {number(wrong_cost)}, {right} {number(right_cost)}",
                expected=f"more than {number(right_cost)}",
            )


def _cell(costs: CostTerms, decision: DecisionTerms, *, truth: str, right: bool) -> float | None:
    """The constant cost of a cell, None where it depends on the row."""
    proper = decision.actions[decision.classes.index(truth)]
    named = next(
        (entry.cost for entry in costs.entries if entry.truth == truth and (entry.action == proper) is right),
        "0" if right else costs.otherwise,
    )
    return parse_expression(named).constant


def _signatures(contract: Contract) -> Iterator[Problem]:
    release = contract.release
    if release is None:
        return
    held = {role: set(people) for role, people in contract.team if people}
    for key, roles in (("sign", release.sign), ("retrained_sign", release.retrained_sign or ())):
        missing = [role for role in roles if role not in held]
        for role in missing:
            yield _problem(
                contract,
                f"release.{key}",
                f"nobody in the team holds the role {role}, which must sign",
                found="team: " + ", ".join(held),
                expected=f"team.{role}: a name, or a sign list without it",
            )
        able = [role for role in roles if role in held]
        if not missing and not release.two_roles_one_person and not _distinct(able, held):
            yield _problem(
                contract,
                f"release.{key}",
                "too few people for these roles to be signed by different ones",
                found=f"{len(able)} roles, {len(set().union(*(held[role] for role in able)))} people",
                expected="another person, or two_roles_one_person: true",
            )


def _distinct(roles: list[Role], held: dict[Role, set[str]], taken: frozenset[str] = frozenset()) -> bool:
    """Whether each role can be signed by a person of its own."""
    if not roles:
        return True
    first, *rest = roles
    return any(_distinct(rest, held, taken | {person}) for person in held[first] - taken)


def _rollout(contract: Contract) -> Iterator[Problem]:
    steps = contract.release.rollout if contract.release else ()
    for index, (earlier, later) in enumerate(pairwise(steps), start=1):
        if later.share <= earlier.share and later.share > 0:
            yield _problem(
                contract,
                f"release.rollout.{index}",
                "a later step takes no more traffic than the one before",
                found=f"{earlier.share:g}, then {later.share:g}",
                expected=f"a canary above {earlier.share:g}",
            )
        if later.share == 0 and earlier.share > 0:
            yield _problem(
                contract,
                f"release.rollout.{index}",
                "a shadow comes before any canary",
                found=f"canary {earlier.share:g}, then shadow",
                expected="shadow first",
            )


def _retraining(contract: Contract) -> Iterator[Problem]:
    retraining = contract.retraining
    if retraining is None:
        return
    if retraining.every_s is not None and retraining.every_s < retraining.cool_down_s:
        yield _problem(
            contract,
            "retraining.every",
            "the schedule is shorter than the cool-down",
            found=f"every {duration_in_words(retraining.every_s)},"
            f" cool_down {duration_in_words(retraining.cool_down_s)}",
            expected=f"at least {duration_in_words(retraining.cool_down_s)}",
        )
    if retraining.refit_cost is not None and retraining.every_s is None and retraining.cool_down_s == 0:
        yield _problem(
            contract,
            "retraining.refit_costs",
            "nothing says when the next retraining could begin, so nothing is lost until then",
            found="refit_costs without `every` and with no cool_down",
            expected="every: 28 days, or cool_down: 7 days",
        )
    delay = contract.decision.label_delay_s
    if retraining.window_s is not None and retraining.window_s <= delay:
        yield _problem(
            contract,
            "retraining.window",
            "no row in this window is old enough to have its label",
            found=f"window {duration_in_words(retraining.window_s)}, label_delay {duration_in_words(delay)}",
            expected=f"more than {duration_in_words(delay)}",
        )


def _columns(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _line(clause: Clause) -> int:
    return clause.mark.line if clause.mark else 0


def _bound(clause: Clause) -> str:
    unit = f" {clause.unit}" if clause.unit else ""
    return f"{clause.comparison.value.replace('_', ' ')} {number(clause.bound)}{unit}"

"""Where a fairness clause breaks on `select`, try what the contract allows, and say what each costs.

Every try is a trial in the ledger, answered through the pool's meter like any other question.
The sealed rows are not touched: whether the choice keeps the clause is judged there, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.digest import digest, short
from geartrain.domain.finding import Measurement
from geartrain.domain.groups import MitigationTried
from geartrain.domain.model import Pool, Trial
from geartrain.domain.rule import DecisionRule
from geartrain.domain.wire import encode
from geartrain.engine.bench import Bench, Builder, Document, currency_of, evidence_of
from geartrain.engine.pooling import taught_losses
from geartrain.evaluation.baselines import ALWAYS, baseline_costs
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.judging import measured
from geartrain.stats.fitted import Fitted
from geartrain.stats.intervals import ratio
from geartrain.training.examples import Examples, priced_rows, row_costs
from geartrain.training.fitting import trial_of
from geartrain.training.group_thresholds import AIMS, group_thresholds
from geartrain.training.metering import Meter
from geartrain.training.mitigating import Mitigation, Untried, allowed, mitigated_fit

NONE = "none"
#: How a candidate stands on the fairness clauses: all proven, all inside as measured, or one outside.
PROVEN, INSIDE, OUTSIDE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidate:
    """One model with its rule, and what it shows on `select`."""

    name: str
    fitted: Fitted
    rule: DecisionRule
    evidence: Evidence
    gap: Measurement | None
    standing: int
    cost: float


def mitigate(
    builder: Builder,
    document: Document,
    bench: Bench,
    fitted: Fitted,
    rule: DecisionRule,
    *,
    meter: Meter,
    record: Callable[[Trial], None],
) -> Document:
    """What the run's document gains: the rule and the mitigation to go on with, and the table of what was tried.

    Nothing is tried where no clause allows anything or every one that does is inside its bound.
    Chosen is the cheapest of those that stand best on all fairness clauses together, if it stands
    better than the model as it was; a mitigation that does not help is not paid for. Nor is one that
    breaks a promise of success that held, or that costs no less than always doing the same: groups
    are easily alike where a model has nothing to say any more.
    """
    clauses = [one for one in builder.contract.clauses if one.section == "fairness"]
    if not rule.task.has_classes or not any(allowed(one) for one in clauses):
        return {}
    before = _seen(builder, document, bench, clauses, None, NONE, fitted, rule)
    broken = next(
        (one for one in clauses if allowed(one) and _standing(before.evidence, one) == OUTSIDE), None
    )
    if broken is None:
        return {}
    before = replace(before, gap=_gap(before.evidence, broken))
    builder.teller.say(
        f"{broken.path} is outside its bound on `select`; the contract allows "
        + ", ".join(one.value for one in allowed(broken))
    )
    found: list[_Candidate] = []
    rows = [_row(broken, before, before)]
    for kind in allowed(broken):
        tried: list[tuple[str, _Candidate]] = []
        for made in _tries(builder, document, bench, clauses, broken, kind, fitted, rule):
            if isinstance(made, Untried):
                rows.append(MitigationTried(clause=broken.path, mitigation=kind.value, reason=made.reason))
                break
            _ask(bench, broken, made, meter, record)
            tried.append((_spoilt(builder, made, before), made))
            if made.standing == PROVEN and not tried[-1][0]:
                break
        if not tried:
            continue
        spoilt, best = min(tried, key=lambda one: (bool(one[0]), one[1].standing))
        row = _row(broken, best, before)
        if spoilt:
            rows.append(replace(row, reason=f"{row.reason}; not to be had: {spoilt}"))
            continue
        found.append(best)
        rows.append(row)
    cheapest = min(found, key=lambda one: (one.standing, one.cost), default=before)
    chosen = cheapest if cheapest.standing < before.standing else before
    told = tuple(replace(row, chosen=row.mitigation == chosen.name) for row in rows)
    for row in told:
        builder.teller.say(_sentence(row, currency_of(builder.contract)))
    return {
        "mitigations": builder.workspace.blobs.put(encode(told)),
        "mitigation": None if chosen is before else {"kind": chosen.name, "clause": broken.path},
        "class_weights": list(chosen.rule.class_weights),
        "groups": list(chosen.rule.groups),
        "group_weights": [[name, list(weights)] for name, weights in chosen.rule.group_weights],
    }


def _tries(
    builder: Builder,
    document: Document,
    bench: Bench,
    clauses: list[Clause],
    broken: Clause,
    kind: Mitigation,
    fitted: Fitted,
    rule: DecisionRule,
) -> Iterator[_Candidate | Untried]:
    """What one kind has to offer: a model, or thresholds that aim at less and less of the tolerance."""
    if kind is not Mitigation.THRESHOLDS:
        made = mitigated_fit(
            kind,
            broken,
            builder.product.recipe,
            dict(fitted.settings),
            bench.examples(Pool.SEARCH),
            bench.rule,
            seed=document["seed"],
            folds=bench.split.folds,
            monotone=bench.monotone,
        )
        if isinstance(made, Untried):
            yield made
        else:
            yield _seen(builder, document, bench, clauses, broken, kind.value, made.fitted, made.rule)
        return
    examples = bench.examples(Pool.SELECT)
    answers = fitted.predict(examples.matrix)
    for aim in AIMS:
        own = group_thresholds(broken, rule, answers, examples, aim=aim)
        if isinstance(own, Untried):
            yield own
            return
        yield _seen(builder, document, bench, clauses, broken, kind.value, fitted, own)


def _seen(
    builder: Builder,
    document: Document,
    bench: Bench,
    clauses: list[Clause],
    broken: Clause | None,
    name: str,
    fitted: Fitted,
    rule: DecisionRule,
) -> _Candidate:
    answers = fitted.predict(bench.examples(Pool.SELECT).matrix)
    evidence = evidence_of(builder, bench, rule, document, Pool.SELECT, answers)
    known = evidence.costs[np.isfinite(evidence.costs)]
    return _Candidate(
        name=name,
        fitted=fitted,
        rule=rule,
        evidence=evidence,
        gap=None if broken is None else _gap(evidence, broken),
        standing=max(_standing(evidence, one) for one in clauses),
        cost=float(known.mean()) if len(known) else float("inf"),
    )


def _spoilt(builder: Builder, made: _Candidate, before: _Candidate) -> str:
    """What the mitigation breaks that held before, in words; empty where nothing."""
    evidence = made.evidence
    for name in dict.fromkeys(ALWAYS + action for action in evidence.rule.actions):
        same = baseline_costs(evidence, name)
        if not isinstance(same, Unmeasured) and made.cost >= float(np.nanmean(same)) > before.cost:
            return f"it costs no less than {name}"
    for clause in builder.contract.clauses:
        if (
            clause.section == "success"
            and _standing(evidence, clause) == OUTSIDE
            and _standing(before.evidence, clause) != OUTSIDE
        ):
            return f"it breaks {clause.path}"
    return ""


def _gap(evidence: Evidence, clause: Clause) -> Measurement | None:
    seen = measured(evidence, clause, None)
    return seen if isinstance(seen, Measurement) else None


def _standing(evidence: Evidence, clause: Clause) -> int:
    """A clause that cannot be measured here, as where groups are too small, breaks nothing."""
    seen = _gap(evidence, clause)
    if seen is None:
        return PROVEN
    if clause.comparison is Comparison.AT_MOST:
        return PROVEN if seen.high <= clause.bound else INSIDE if seen.value <= clause.bound else OUTSIDE
    return PROVEN if seen.low >= clause.bound else INSIDE if seen.value >= clause.bound else OUTSIDE


def _ask(
    bench: Bench,
    broken: Clause,
    made: _Candidate,
    meter: Meter,
    record: Callable[[Trial], None],
) -> None:
    """The try's look at `select`, recorded with the figure that the meter shows."""
    examples = bench.examples(Pool.SELECT)
    priced: Examples = examples.take(priced_rows(made.rule, examples))
    costs = row_costs(made.rule, made.fitted.predict(priced.matrix), priced)
    of = short(digest((made.rule.groups, made.rule.group_weights)))
    asked = trial_of(
        made.fitted,
        bench.lineage,
        pool=Pool.SELECT,
        score=0.0,
        rows=len(costs),
        class_weights=made.rule.class_weights,
        variant=f"{made.name} for {broken.path}" + (f" ({of})" if made.rule.groups else ""),
    )
    taught = taught_losses(bench, made.fitted, made.rule)
    step = meter.ask(asked, costs, taught=taught)
    if step.spent:
        # The pool has told nothing; what the free rows say of it is recorded then.
        record(replace(asked, pool=Pool.SEARCH, score=float(taught.mean()), rows=len(taught)))
    else:
        record(replace(asked, score=step.shown))


def _row(broken: Clause, made: _Candidate, before: _Candidate) -> MitigationTried:
    known = np.isfinite(made.evidence.costs) & np.isfinite(before.evidence.costs)
    if not known.any():
        return MitigationTried(
            clause=broken.path, mitigation=made.name, gap=made.gap, reason="no row has a known cost"
        )
    groups = before.evidence.groups_in(known)
    costs, earlier = made.evidence.costs[known], before.evidence.costs[known]
    seed = before.evidence.seed
    return MitigationTried(
        clause=broken.path,
        mitigation=made.name,
        gap=made.gap,
        cost_per_1000=_thousand(ratio(costs, seed=seed, groups=groups)),
        change_per_1000=None
        if made is before
        else _thousand(ratio(costs - earlier, seed=seed, groups=groups)),
        reason=("proven", "inside its bound, not proven", "outside its bound")[made.standing]
        + " on `select`, all fairness clauses together",
    )


def _thousand(seen: Measurement) -> Measurement:
    return replace(seen, value=1000 * seen.value, low=1000 * seen.low, high=1000 * seen.high)


def _sentence(row: MitigationTried, currency: str) -> str:
    told = f"  {'chosen: ' if row.chosen else ''}{row.mitigation}: "
    if row.gap is None or row.cost_per_1000 is None:
        return told + f"not tried, {row.reason}"
    told += f"gap {row.gap.value:.3g} ({row.gap.low:.3g} to {row.gap.high:.3g}), "
    told += f"{row.cost_per_1000.value:,.1f} {currency} per 1000 decisions"
    if row.change_per_1000 is not None:
        change = row.change_per_1000
        told += f", {change.value:+,.1f} ({change.low:+,.1f} to {change.high:+,.1f}) against none"
    return f"{told}; {row.reason}"

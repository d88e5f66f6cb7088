"""Every promise of the contract as a clause, ready to be judged; the budget's and the data's are made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from geartrain.contract.desk import Desk
from geartrain.contract.implied import integrity_clauses
from geartrain.contract.plausible import fairness_clauses, plausibility_clauses
from geartrain.contract.promising import STAGES, clause_at
from geartrain.contract.succeeding import success_clauses
from geartrain.domain.clause import Clause, Comparison, Stage
from geartrain.domain.contract import DecisionTerms

#: Budget keys that are clauses: the attribute's metric, its unit (None for the currency), and how many of the typed value make one unit.
BUDGETS: dict[str, tuple[str | None, float]] = {
    "latency_p50": ("ms", 1e-3),
    "latency_p99": ("ms", 1e-3),
    "artifact_size": ("kB", 1e3),
    "memory": ("MB", 1e6),
    "cost_per_million": (None, 1.0),
    "fallback_rate": ("", 1.0),
}
#: Budget keys that nothing before live traffic can tell of.
_ONLY_LIVE = frozenset({"fallback_rate"})

#: Source keys that are clauses: the metric, its unit, and which bound the key is.
VOLUMES: dict[str, tuple[str, str, Comparison]] = {
    "freshness": ("freshness", "s", Comparison.AT_MOST),
    "rows_per_day": ("rows_per_day", "rows a day", Comparison.AT_LEAST),
    "most_quarantined": ("quarantined", "", Comparison.AT_MOST),
}


def clauses_of(desk: Desk, decision: DecisionTerms | None) -> tuple[Clause, ...]:
    """Every clause of every section that stands, by section and name."""
    found = [*success_clauses(desk, decision), *_budget(desk), *_data(desk)]
    found += [*plausibility_clauses(desk, decision), *fairness_clauses(desk, decision)]
    found += integrity_clauses(desk)
    order = list(STAGES)
    aborting = set(desk.section("release").abort_on) if desk.section("release") else set()
    return tuple(
        _watched(clause) if clause.path in aborting else clause
        for clause in sorted(found, key=lambda one: (order.index(one.section), one.path))
    )


def _watched(clause: Clause) -> Clause:
    """A clause that can abort a rollout is checked during the rollout."""
    wanted = {*clause.stages, Stage.SHADOW, Stage.CANARY}
    return replace(clause, stages=tuple(stage for stage in Stage if stage in wanted))


def _budget(desk: Desk) -> Iterator[Clause]:
    budget = desk.budget
    if budget is None:
        return
    for name, (unit, one) in BUDGETS.items():
        promise = getattr(budget, name)
        if promise is not None:
            yield clause_at(
                desk,
                ("budget", name),
                f"budget.{name}",
                promise,
                metric=name,
                comparison=Comparison.AT_MOST,
                bound=round(float(promise.at_most) / one, 9),
                unit=budget.currency if unit is None else unit,
                stages=(Stage.LIVE,) if name in _ONLY_LIVE else None,
            )


def _data(desk: Desk) -> Iterator[Clause]:
    for source, text in desk.data.sources.items() if desk.data else ():
        for key, (metric, unit, comparison) in VOLUMES.items():
            promise = getattr(text, key)
            if promise is not None:
                yield clause_at(
                    desk,
                    ("data", "sources", source, key),
                    f"data.{source}.{metric}",
                    promise,
                    metric=metric,
                    comparison=comparison,
                    bound=float(getattr(promise, comparison.value)),
                    unit=unit,
                    parameters={"source": source},
                )

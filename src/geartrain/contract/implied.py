"""The clauses that every contract with data has: a result that leaked is no result, nor is one that is not served.

They hold without being written. The section `integrity` says what the team sees
differently, and why: a column that an expert accepts, a rate of repeats that is normal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from geartrain.contract.desk import Desk
from geartrain.contract.promises import AcceptingPromise, IntegrityPromise, IntegrityText, Promise
from geartrain.contract.promising import clause_at
from geartrain.domain.clause import Clause, Comparison, Severity, Stage
from geartrain.domain.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Implied:
    """One check: what it measures, the most that keeps it, and why it stands there unasked."""

    metric: str
    at_most: float
    because: str
    severity: Severity = Severity.BLOCK
    owner: Role | None = None
    stages: tuple[Stage, ...] | None = None


#: Every clause against leakage, by its key in the section.
IMPLIED: dict[str, Implied] = {
    "duplicates": Implied(
        metric="repeated_rows", at_most=0.01, because="a row that was learned from proves nothing"
    ),
    "near_duplicates": Implied(
        metric="nearly_repeated_rows", at_most=0.01, because="a copy with another comma is a copy"
    ),
    "groups": Implied(
        metric="known_entities", at_most=0.0, because="a model may know somebody again and nothing else"
    ),
    "time": Implied(
        metric="learned_too_early", at_most=0.01, because="on the day of a decision its future is not known"
    ),
    "availability": Implied(
        metric="columns_known_too_late", at_most=0.0, because="what is known later cannot help to decide now"
    ),
    "target_proxy": Implied(
        metric="columns_that_tell", at_most=0.0, because="a column that holds the answer is not there in use"
    ),
    "preprocessing": Implied(
        metric="parts_that_saw_more",
        at_most=0.0,
        because="what was fitted on judged rows has seen the answers",
    ),
    "sampling": Implied(
        metric="rows_told_apart",
        at_most=0.7,
        because="rows that look otherwise prove little about those that come",
        severity=Severity.WARN,
    ),
}

#: What holds of live decisions: there is nothing to see of it before, so it stops no release.
LIVE: dict[str, Implied] = {
    "consistency": Implied(
        metric="unexplained_skew",
        at_most=0.001,
        because="a model that is given other values than it learned from is another model",
        severity=Severity.WARN,
        owner=Role.ENGINEERING,
        stages=(Stage.LIVE,),
    ),
}


def integrity_clauses(desk: Desk) -> Iterator[Clause]:
    """A clause for each check that these data can be asked; none where the contract has no data yet."""
    if desk.data is None:
        return
    text = desk.section("integrity") or IntegrityText()
    timed = desk.decisions is not None and desk.decisions[1].event_time is not None
    for name, implied in {**IMPLIED, **LIVE}.items():
        promise: Promise | None = getattr(text, name)
        if name == "time" and not timed:
            if promise is not None and desk.whole("data"):
                desk.wrong(
                    ("integrity", name),
                    "the rows to decide about have no time",
                    expected="event_time: at their source, or nothing here",
                )
            continue
        yield _clause(desk, name, implied, promise)


def _clause(desk: Desk, name: str, implied: Implied, promise: Promise | None) -> Clause:
    said = promise or Promise(severity=implied.severity)
    if promise is not None and "severity" not in promise.model_fields_set:
        said = promise.model_copy(update={"severity": implied.severity})
    if not said.because:
        said = said.model_copy(update={"because": implied.because})
    bound = implied.at_most
    if isinstance(promise, IntegrityPromise) and promise.at_most is not None:
        bound = promise.at_most
    accepted = promise.accept or () if isinstance(promise, AcceptingPromise) else ()
    for index, column in enumerate(accepted):
        desk.check_column(("integrity", name, "accept", index), column)
    return clause_at(
        desk,
        ("integrity", name),
        f"integrity.{name}",
        said,
        metric=implied.metric,
        comparison=Comparison.AT_MOST,
        bound=bound,
        owner=implied.owner,
        stages=implied.stages,
        parameters={"accept": tuple(sorted(set(accepted)))} if accepted else {},
    )

"""Groups among the decisions that were really made: the same quantities and clauses as at release, on live rows.

What was done counts, not what the model alone would do: in doubt a person decides, and that
may fall on one group more than on another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.expression import parse
from geartrain.domain.finding import Finding
from geartrain.domain.groups import GroupTable
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.domain.wire import decode, encode
from geartrain.engine.bundles import load_bundle
from geartrain.engine.costs_counted import key_of_count
from geartrain.engine.counting import FOLDER, counted
from geartrain.engine.decided import TRUTH, decisions_of, rows_as_decided, with_truth
from geartrain.engine.live_evidence import FEWEST, epoch_of, evidence_of, findings_live, in_order, usable
from geartrain.engine.logbook import FEATURE
from geartrain.engine.workspace import Workspace
from geartrain.errors import BundleTampered, ExpressionInvalid, ReleaseUnknown
from geartrain.evaluation.groups import expressions_of
from geartrain.evaluation.impossibility import tables_of
from geartrain.ports.lake import EVENT_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGroups:
    """What the decisions of the live release did to each group.

    Attributes:
        since: When the first of the rows was decided about; None where there is none.
        rows: Decisions with a known truth behind the tables.
        unanswered: Decisions among the latest whose truth is known and about which no model said anything.
        reason: Why nothing could be looked at; empty where something was.
    """

    looked_at: datetime
    release: str
    since: datetime | None = None
    until: datetime | None = None
    rows: int = 0
    unanswered: int = 0
    findings: tuple[Finding, ...] = ()
    tables: tuple[GroupTable, ...] = ()
    reason: str = ""


def live_groups(
    workspace: Workspace, contract: Contract, release: str, *, now: datetime
) -> tuple[LiveGroups | None, bool]:
    """The latest look at the groups, and whether it is of everything there is; None while the first is being made."""
    found, current = counted(
        workspace.root / FOLDER / f"{contract.product.name}.groups",
        digest((release, key_of_count(workspace, contract, now=now))),
        lambda: encode(look_at_groups(workspace, contract, release, now=now)),
    )
    return (None if found is None else decode(found, LiveGroups)), current


def look_at_groups(workspace: Workspace, contract: Contract, release: str, *, now: datetime) -> LiveGroups:
    """Judge the fairness clauses on the latest decisions of *release* whose truth is known."""
    clauses = [one for one in contract.clauses if one.section == "fairness"]

    def without(reason: str) -> LiveGroups:
        return LiveGroups(looked_at=now, release=release, reason=reason)

    try:
        rule = load_bundle(workspace, release).rule
    except (ReleaseUnknown, BundleTampered) as error:
        return without(error.message)
    rule = rule_of(contract, rule.classes)
    named = _named(contract, rule)
    reads = ("action", "abstained", "probabilities", "row", *(FEATURE + name for name in named))
    log = decisions_of(workspace, contract.product.name, now=now, release=release, columns=reads)
    if log.height == 0:
        return without("no decision of the live release is in the log yet")
    known = in_order(with_truth(workspace, contract, log, now=now).filter(pl.col(TRUTH).is_not_null()))
    epoch = epoch_of(known.height)
    known = known[epoch.first :]
    used = usable(rule, known)
    if used.height < FEWEST:
        return without(
            f"the truth of {used.height} decisions of the live release is known, at least {FEWEST} are needed"
        )
    columns = rows_as_decided(workspace, contract, used, now=now, names=named)
    sequential = evidence_of(contract, rule, used, columns, confidence=epoch.confidence)
    return LiveGroups(
        looked_at=now,
        release=release,
        since=used[EVENT_TIME].min(),  # type: ignore[arg-type]  # a column of times
        until=used[EVENT_TIME].max(),  # type: ignore[arg-type]  # a column of times
        rows=used.height,
        unanswered=known.height - used.height,
        findings=findings_live(sequential, clauses, now=now),
        tables=tables_of(evidence_of(contract, rule, used, columns), clauses),
    )


def _named(contract: Contract, rule: DecisionRule) -> set[str]:
    """The columns that groups, slices and costs read, and the one that says what repeats."""
    named = set(rule.columns)
    if contract.data is not None and contract.data.group is not None:
        named.add(contract.data.group)
    for clause in contract.clauses:
        if clause.section != "fairness":
            continue
        groups = expressions_of(clause.parameter("groups"))
        for text in (*groups, clause.where or ""):
            named.add(text)
            try:
                named |= set(parse(text).columns) if text else set()
            except ExpressionInvalid:
                # The plain name of a column; what cannot be read at all is said in the clause's finding.
                continue
    return named

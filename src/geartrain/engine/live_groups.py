"""Groups among the decisions that were really made: the same quantities and clauses as at release, on live rows.

What was done counts, not what the model alone would do: in doubt a person decides, and that
may fall on one group more than on another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.expression import parse
from geartrain.domain.finding import Finding
from geartrain.domain.groups import GroupTable
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.domain.wire import decode, encode
from geartrain.engine.bundles import load_bundle
from geartrain.engine.costs_counted import key_of_count
from geartrain.engine.counting import FOLDER, counted
from geartrain.engine.decided import TRUTH, acted_of, decisions_of, rows_as_decided, truth_of, with_truth
from geartrain.engine.logbook import FEATURE
from geartrain.engine.workspace import Workspace
from geartrain.errors import BundleTampered, ExpressionInvalid, ReleaseUnknown
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.groups import expressions_of
from geartrain.evaluation.impossibility import tables_of
from geartrain.evaluation.judging import finding_of, measured
from geartrain.ports.lake import EVENT_TIME

#: The latest decisions with a known truth that are looked at.
LATEST = 20_000
#: Under so many nothing is looked at.
FEWEST = 30


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
    known = with_truth(workspace, contract, log, now=now).filter(pl.col(TRUTH).is_not_null()).tail(LATEST)
    said = _said(rule, known)
    truth = truth_of(rule, known)
    use = np.isfinite(said).all(axis=1) & np.isfinite(truth)
    if int(use.sum()) < FEWEST:
        return without(
            f"the truth of {int(use.sum())} decisions of the live release is known, at least {FEWEST} are needed"
        )
    used = known.filter(pl.Series(use))
    columns = rows_as_decided(workspace, contract, used, now=now, names=named)
    group = contract.data.group if contract.data is not None else None
    evidence = Evidence(
        contract=contract,
        rule=rule,
        predictions=Predictions(task=rule.task, classes=rule.classes, values=said[use]),
        truth=truth[use].astype(np.int64) if rule.classes else truth[use],
        columns=columns,
        groups=columns.get(group) if group is not None else None,
        acted=acted_of(rule, used) if rule.classes else None,
    )
    return LiveGroups(
        looked_at=now,
        release=release,
        since=used[EVENT_TIME][0],
        until=used[EVENT_TIME][-1],
        rows=used.height,
        unanswered=known.height - used.height,
        findings=tuple(
            finding_of(one, measured(evidence, one, None), stage=Stage.LIVE, now=now) for one in clauses
        ),
        tables=tables_of(evidence, clauses),
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


def _said(rule: DecisionRule, known: pl.DataFrame) -> Floats:
    """What the model answered, shape (rows, classes); NaN where it said nothing."""
    told = [json.loads(text) for text in known["probabilities"].to_list()]
    missing = float("nan")
    if not rule.classes:
        return np.array([[float([*one.values()][-1]) if one else missing] for one in told]).reshape(-1, 1)
    return np.array(
        [[float(one.get(name, missing)) for name in rule.classes] for one in told], dtype=np.float64
    ).reshape(-1, len(rule.classes))

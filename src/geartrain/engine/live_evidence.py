"""Evidence from the log: decisions of what is live whose truth is known, and the clauses held against them.

What was done counts, not what the model alone would do: in doubt a person decides, and that
may fall on one group more than on another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns
from geartrain.domain.finding import Finding, judge
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.engine.decided import TRUTH, acted_of, rows_as_decided, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.judging import finding_of, measured

#: Clauses that labelled decisions can answer; plausibility asks the model itself.
SECTIONS = ("success", "fairness")
#: The latest decisions with a known truth that are looked at.
LATEST = 20_000
#: Under so many nothing is looked at.
FEWEST = 30
#: What the reader of a live finding must know of its interval.
ONE_LOOK = "an interval for one look, not for looking every day"


def said_of(rule: DecisionRule, log: pl.DataFrame) -> Floats:
    """What the model answered, shape (rows, classes) or (rows, 1); NaN where it said nothing."""
    told = [json.loads(text) for text in log["probabilities"].to_list()]
    missing = float("nan")
    if not rule.classes:
        return np.array([[float([*one.values()][-1]) if one else missing] for one in told]).reshape(-1, 1)
    return np.array(
        [[float(one.get(name, missing)) for name in rule.classes] for one in told], dtype=np.float64
    ).reshape(-1, len(rule.classes))


def usable(rule: DecisionRule, log: pl.DataFrame) -> pl.DataFrame:
    """The rows of *log* about which a model answered and whose truth is known and is one of its classes."""
    return log.filter(
        pl.Series(np.isfinite(said_of(rule, log)).all(axis=1) & np.isfinite(truth_of(rule, log)))
    )


def evidence_of(contract: Contract, rule: DecisionRule, used: pl.DataFrame, columns: Columns) -> Evidence:
    """Evidence from `usable` rows of the log and their raw *columns*."""
    truth = truth_of(rule, used)
    group = contract.data.group if contract.data is not None else None
    return Evidence(
        contract=contract,
        rule=rule,
        predictions=Predictions(task=rule.task, classes=rule.classes, values=said_of(rule, used)),
        truth=truth.astype(np.int64) if rule.classes else truth,
        columns=columns,
        groups=columns.get(group) if group is not None else None,
        acted=acted_of(rule, used) if rule.classes else None,
    )


def findings_at_one_look(
    evidence: Evidence, clauses: Sequence[Clause], *, now: datetime
) -> tuple[Finding, ...]:
    """What the evidence says about each of *clauses* at stage `live`, with a word on how often one may look."""
    found = []
    for clause in clauses:
        value = measured(evidence, clause, None)
        if not isinstance(value, Unmeasured):
            value = replace(value, note="; ".join(one for one in (value.note, ONE_LOOK) if one))
        found.append(finding_of(clause, value, stage=Stage.LIVE, now=now))
    return tuple(found)


def judged_live(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    known: pl.DataFrame,
    *,
    now: datetime,
    without: Collection[str] = (),
) -> tuple[Finding, ...]:
    """A finding for each success and fairness clause that is due live, but those whose paths are in *without*.

    *known* is the log of one release with what is known of each row. The contract's prices of
    today count. Where too few truths are known, every clause says so.
    """
    due = [
        one
        for one in contract.clauses
        if one.section in SECTIONS and Stage.LIVE in one.stages and one.path not in without
    ]
    if not due:
        return ()
    truth_known = known.filter(pl.col(TRUTH).is_not_null()).tail(LATEST) if known.height else known
    used = usable(rule, truth_known) if truth_known.height else truth_known
    if used.height < FEWEST:
        reason = f"the truth of {used.height} answered decisions is known, at least {FEWEST} are needed"
        return tuple(judge(one, None, stage=Stage.LIVE, now=now, reason=reason) for one in due)
    today = rule_of(contract, rule.classes)
    columns = rows_as_decided(workspace, contract, used, now=now)
    return findings_at_one_look(evidence_of(contract, today, used, columns), due, now=now)

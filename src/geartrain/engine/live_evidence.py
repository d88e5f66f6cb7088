"""Evidence from the log: decisions of what is live whose truth is known, and the clauses held against them.

What was done counts, not what the model alone would do: in doubt a person decides, and that
may fall on one group more than on another.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns
from geartrain.domain.finding import Finding, judge
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.engine.decided import KNOWN_AT, TRUTH, acted_of, rows_as_decided, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.anytime import at_all_times
from geartrain.evaluation.evidence import Evidence, Measured, Unmeasured
from geartrain.evaluation.judging import finding_of, measured
from geartrain.stats.eprocess import restart_weight
from geartrain.stats.intervals import CONFIDENCE

#: Clauses that labelled decisions can answer; plausibility asks the model itself.
SECTIONS = ("success", "fairness")
#: Rows of an epoch; the latest one to two times as many are looked at.
LATEST = 20_000
#: Under so many nothing is looked at.
FEWEST = 30
#: What the reader of a live finding must know of its interval.
ONE_LOOK = "an interval for one look, not for looking every day"
MAY_LOOK = "holds at all times at once, however often one looks"


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


def evidence_of(
    contract: Contract,
    rule: DecisionRule,
    used: pl.DataFrame,
    columns: Columns,
    *,
    confidence: float = CONFIDENCE,
) -> Evidence:
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
        confidence=confidence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A stretch of the rows in the order in which their truth became known.

    Attributes:
        first: The row that it begins with, counted from 0.
        confidence: That of its intervals; the misses of all epochs together have the usual alpha.
    """

    first: int
    confidence: float


def epoch_of(rows: int) -> Epoch:
    """The epoch in which a look at *rows* rows falls: between one and two times `LATEST` rows, or all there are.

    Where an epoch begins depends on counts alone, never on what the rows say. So what lies long
    ago is forgotten, a change after years is still seen, and the guarantee covers every look.

    >>> epoch_of(500).first, epoch_of(2 * LATEST).first, epoch_of(2 * LATEST + 1).first
    (0, 0, 20000)
    """
    number = max(1, -(-rows // LATEST))
    first = max(0, number - 2) * LATEST
    return Epoch(first=first, confidence=1 - (1 - CONFIDENCE) * restart_weight(number))


def in_order(truth_known: pl.DataFrame) -> pl.DataFrame:
    """Rows in the order in which their truth became known, so that a later look only adds some at the end."""
    ties = ("decision_id",) if "decision_id" in truth_known.columns else ()
    return truth_known.sort(KNOWN_AT, *ties, maintain_order=True)


def findings_live(
    evidence: Evidence, clauses: Sequence[Clause], *, now: datetime, stage: Stage = Stage.LIVE
) -> tuple[Finding, ...]:
    """What the evidence says about each of *clauses* on traffic, with the word how often one may look.

    The rows of *evidence* stand in the order of `in_order`.
    """
    return tuple(
        finding_of(clause, _with_guarantee(evidence, clause), stage=stage, now=now) for clause in clauses
    )


def _with_guarantee(evidence: Evidence, clause: Clause) -> Measured:
    value = at_all_times(evidence, clause)
    said = MAY_LOOK
    if value is None:
        value, said = measured(evidence, clause, None), ONE_LOOK
    if isinstance(value, Unmeasured):
        return value
    return replace(value, note="; ".join(one for one in (value.note, said) if one))


def judged_live(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    known: pl.DataFrame,
    *,
    now: datetime,
    without: Collection[str] = (),
    stage: Stage = Stage.LIVE,
) -> tuple[Finding, ...]:
    """A finding for each success and fairness clause that is due at *stage*, but those whose paths are in *without*.

    *known* is the log of one release with what is known of each row. The contract's prices of
    today count. Where too few truths are known, every clause says so.
    """
    due = [
        one
        for one in contract.clauses
        if one.section in SECTIONS and stage in one.stages and one.path not in without
    ]
    if not due:
        return ()
    truth_known = in_order(known.filter(pl.col(TRUTH).is_not_null())) if known.height else known
    epoch = epoch_of(truth_known.height)
    truth_known = truth_known[epoch.first :]
    used = usable(rule, truth_known) if truth_known.height else truth_known
    if used.height < FEWEST:
        reason = f"the truth of {used.height} answered decisions is known, at least {FEWEST} are needed"
        return tuple(judge(one, None, stage=stage, now=now, reason=reason) for one in due)
    today = rule_of(contract, rule.classes)
    columns = rows_as_decided(workspace, contract, used, now=now)
    evidence = evidence_of(contract, today, used, columns, confidence=epoch.confidence)
    return findings_live(evidence, due, now=now, stage=stage)

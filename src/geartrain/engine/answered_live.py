"""Clauses that no truth is needed for: how long answers take, and how often the model decides itself.

They are judged on every decision in the log, in the order in which the server answered, so
they are known at once and not only after the label delay.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.columns import microseconds_of, truths
from geartrain.domain.contract import Contract
from geartrain.domain.expression import parse
from geartrain.domain.finding import Finding, Measurement, judge
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.engine.decided import acted_of, decisions_of, rows_as_decided
from geartrain.engine.live_evidence import FEWEST, MAY_LOOK, epoch_of
from geartrain.engine.logbook import DECISIONS, LATENCY
from geartrain.engine.workspace import Workspace
from geartrain.errors import ExpressionInvalid
from geartrain.monitoring.slow import SHARES, Times, latency
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.serving.lanes import decided_instead_of
from geartrain.stats.bounded import over_time
from geartrain.stats.deciding import ABSTAINED

#: The clause on how often the model cannot decide.
_FALLBACK = "budget.fallback_rate"
#: Shares of decisions that the model leaves to others, or takes itself.
_HANDED_OVER = {"abstention_rate": True, "coverage": False}


def judged_at_once(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    log: pl.DataFrame,
    *,
    release: str,
    since: datetime,
    table: str = DECISIONS,
    now: datetime,
    stage: Stage = Stage.LIVE,
) -> tuple[Finding, ...]:
    """A finding for each clause on latency, fallbacks, abstention or coverage that is due at *stage*, for any number of looks.

    *log* holds the decisions of *release* from *since* on, as they stand in the lake's *table*.
    """
    due = [one for one in contract.clauses if stage in one.stages]
    slow = [one for one in due if one.path in SHARES]
    handed = [one for one in due if one.section == "success" and one.metric in _HANDED_OVER and rule.classes]
    answers = latencies_of(log) if slow else (np.zeros(0), np.zeros(0, dtype=np.int64))
    found = [_on_latency(one, *answers, stage=stage, now=now) for one in slow]
    fell = [one for one in due if one.path == _FALLBACK]
    if fell:
        meant = meant_for(workspace, contract.product.name, release, table=table, since=since, now=now)
        found += [_on_fallbacks(one, meant, stage=stage, now=now) for one in fell]
    if not handed:
        return tuple(found)
    rows = log.sort(ARRIVAL_TIME, "decision_id") if log.height else log
    if rows.height:
        rows = rows.filter(pl.col("probabilities") != "{}")
    epoch = epoch_of(rows.height)
    rows = rows[epoch.first :]
    if rows.height < FEWEST:
        reason = f"the model answered {rows.height} times, at least {FEWEST} are needed"
        return (*found, *(judge(one, None, stage=stage, now=now, reason=reason) for one in handed))
    acted = acted_of(rule, rows) == ABSTAINED
    for clause in handed:
        hits = acted if _HANDED_OVER[clause.metric] else ~acted
        seen, reason = None, "no row is in the slice"
        try:
            mask = _slice(workspace, contract, rows, clause, now=now)
        except ExpressionInvalid as error:
            mask, reason = np.zeros(0, dtype=np.bool_), f"an expression cannot be read: {error.message}"
        if mask.any():
            seen = over_time(hits[mask].astype(np.float64), confidence=epoch.confidence)
            seen = replace(seen, note=MAY_LOOK)
        found.append(judge(clause, seen, stage=stage, now=now, reason=reason))
    return tuple(found)


def meant_for(
    workspace: Workspace, product: str, release: str, *, table: str, since: datetime | None, now: datetime
) -> pl.DataFrame:
    """The decisions that *release*'s model was to take, in order; `stood_in` says where the release before it had to.

    Such a decision is the other release's, and its doubt says for whom it was taken.
    """
    told = decisions_of(
        workspace, product, now=now, columns=("probabilities", "fallback", "doubt"), log=table
    )
    if told.height == 0:
        return told
    stood_in = pl.col("doubt").str.ends_with(decided_instead_of(release))
    mine = told.with_columns(stood_in.alias("stood_in")).filter(
        (pl.col("release") == release) | pl.col("stood_in")
    )
    mine = mine.sort(ARRIVAL_TIME, "decision_id")
    return mine if since is None else mine.filter(pl.col(ARRIVAL_TIME) >= since)


def latencies_of(log: pl.DataFrame) -> tuple[Floats, Times]:
    """How long each answer took in ms, and when it was given, in that order; the rows of one request are one answer."""
    if LATENCY not in log.columns:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    answers = (
        log.filter(pl.col(LATENCY).is_not_null())
        .select(ARRIVAL_TIME, LATENCY)
        .unique(maintain_order=True)
        .sort(ARRIVAL_TIME, LATENCY)
    )
    return (
        answers[LATENCY].to_numpy().astype(np.float64),
        microseconds_of(answers[ARRIVAL_TIME]).to_numpy().astype(np.int64),
    )


def _on_latency(clause: Clause, took: Floats, at_us: Times, *, stage: Stage, now: datetime) -> Finding:
    epoch = epoch_of(len(took))
    took, at_us = took[epoch.first :], at_us[epoch.first :]
    if len(took) < FEWEST:
        reason = f"the log tells of {len(took)} answers how long they took, at least {FEWEST} are needed"
        return judge(clause, None, stage=stage, now=now, reason=reason)
    seen = latency(clause.path, took, at_us, confidence=epoch.confidence)
    return judge(clause, _noted(seen), stage=stage, now=now)


def _on_fallbacks(clause: Clause, meant: pl.DataFrame, *, stage: Stage, now: datetime) -> Finding:
    if meant.height < FEWEST:
        reason = f"{meant.height} decisions are in the log, at least {FEWEST} are needed"
        return judge(clause, None, stage=stage, now=now, reason=reason)
    epoch = epoch_of(meant.height)
    fell = meant[epoch.first :].select(
        (pl.col("stood_in") | pl.col("fallback")).cast(pl.Float64).alias("fell")
    )
    seen = over_time(fell["fell"].to_numpy(), confidence=epoch.confidence)
    return judge(clause, replace(seen, note=MAY_LOOK), stage=stage, now=now)


def _noted(seen: Measurement) -> Measurement:
    return replace(seen, note=f"{seen.note}; {MAY_LOOK}")


def _slice(
    workspace: Workspace, contract: Contract, rows: pl.DataFrame, clause: Clause, *, now: datetime
) -> NDArray[np.bool_]:
    if clause.where is None:
        return np.ones(rows.height, dtype=np.bool_)
    expression = parse(clause.where)
    columns = rows_as_decided(workspace, contract, rows, now=now, names=expression.columns)
    return truths(expression.evaluate(columns, rows=rows.height))

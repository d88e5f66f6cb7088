"""What the live release's decisions are expected to cost before their labels come, from the log alone."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from geartrain.domain.contract import Contract
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.engine.decided import acted_of, rows_as_decided, truth_of
from geartrain.engine.live_evidence import said_of
from geartrain.engine.workspace import Workspace
from geartrain.monitoring.estimating import Estimated, Foretold, Reconciliation, estimate, reconciled
from geartrain.ports.lake import EVENT_TIME
from geartrain.stats.deciding import realised_cost

#: So many of the latest decisions are read; the rest is the past.
LATEST = 100_000


def estimated_live(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    known: pl.DataFrame,
    *,
    window_s: float,
    now: datetime,
) -> tuple[Estimated, Reconciliation]:
    """The estimate for decisions without truth, and how earlier ones came out.

    *known* is the log of one release with what is known of each row, and *rule* what that
    release decides by.
    """
    if not rule.classes:
        reason = "a predicted value does not say how far it may be off"
        return Estimated(reason=reason), Reconciliation(reason=reason)
    if known.height == 0:
        reason = "no decision of the live release is in the log yet"
        return Estimated(reason=reason), Reconciliation(reason=reason)
    told = foretold(workspace, contract, rule, known.tail(LATEST), now=now)
    delay_s, named = contract.decision.label_delay_s, contract.decision.positive
    positive = rule.classes.index(named) if named in rule.classes else len(rule.classes) - 1
    # Where no delay is promised, labels that come in a weekly file are not overdue the next minute.
    found = estimate(
        rule,
        told,
        positive=positive if rule.task is Task.BINARY else None,
        now=now,
        due_s=delay_s or window_s,
    )
    return found, reconciled(told, now=now, delay_s=delay_s, window_s=window_s)


def foretold(
    workspace: Workspace, contract: Contract, rule: DecisionRule, known: pl.DataFrame, *, now: datetime
) -> Foretold:
    """What was said and done about each row, and what that costs whichever way it turns out.

    Rows about which no model said anything are left out: the fallback decided.
    """
    said = said_of(rule, known)
    answered = np.isfinite(said).all(axis=1)
    rows = known.filter(pl.Series(answered))
    columns = rows_as_decided(workspace, contract, rows, now=now, names=rule.columns)
    acted, truth = acted_of(rule, rows), truth_of(rule, rows)
    costs = np.column_stack(
        [
            realised_cost(rule, acted, np.full(rows.height, place, dtype=np.int64), columns)
            for place in range(len(rule.classes))
        ]
    )
    came = np.isfinite(truth)
    realised = np.full(rows.height, np.nan)
    realised[came] = costs[came, truth[came].astype(np.int64)]
    return Foretold(
        at_us=rows[EVENT_TIME].cast(pl.Int64).to_numpy(),
        probabilities=said[answered],
        actions=acted,
        costs=costs,
        realised=realised,
    )

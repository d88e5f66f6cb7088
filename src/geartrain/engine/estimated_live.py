"""What the live release's decisions are expected to cost before their labels come, and which labels would tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Contract, MonitoringTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.engine.decided import acted_of, rows_as_decided, truth_of
from geartrain.engine.label_requests import LabelRequest, latest_request
from geartrain.engine.live_evidence import said_of
from geartrain.engine.requested_truth import requested_sample
from geartrain.engine.seen_features import matrix_seen
from geartrain.engine.workspace import Workspace
from geartrain.monitoring.adapting import Adapted, Reference, adapt
from geartrain.monitoring.estimating import (
    Estimated,
    Foretold,
    Reconciliation,
    due_us,
    estimate,
    reconciled,
)
from geartrain.monitoring.powering import FromLabels, Settling, arrived, from_labels, settling
from geartrain.ports.lake import EVENT_TIME
from geartrain.release.bundle_nouns import Loaded
from geartrain.stats.deciding import realised_cost
from geartrain.stats.reweighting import Matrix

#: So many of the latest decisions are read; the rest is the past.
LATEST = 100_000
LABELLED = "labelled decisions"
_COST = "expected_cost"
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """All that is said about the cost of decisions before their labels are complete.

    Attributes:
        estimate: From the model's probabilities as they were.
        reconciled: How that came out where the truth is known by now.
        adapted: The same with probabilities calibrated for a shifted population, and how that came out.
        labels: From the labels that came by themselves, as a sample of those that were due.
        asked: From the labels that were asked for, latest request; None where nobody asked.
        settling: How many labels would settle what is open.
    """

    estimate: Estimated
    reconciled: Reconciliation
    adapted: Adapted
    labels: FromLabels
    asked: FromLabels | None
    settling: Settling

    @classmethod
    def nothing(cls, reason: str) -> Foreseen:
        """No number, and why."""
        return cls(
            estimate=Estimated(reason=reason),
            reconciled=Reconciliation(reason=reason),
            adapted=Adapted(reason=reason),
            labels=FromLabels(reason=reason),
            asked=None,
            settling=Settling(reason=reason),
        )


def estimated_live(
    workspace: Workspace,
    contract: Contract,
    loaded: Loaded,
    known: pl.DataFrame,
    reference: Reference | str,
    *,
    window_s: float,
    now: datetime,
) -> Foreseen:
    """What decisions of the release *loaded* will have cost whose truth is not known, and what would tell.

    *known* is the log of that release with what is known of each row; *reference* are its kept rows, or why there are none.
    """
    rule = loaded.rule
    if not rule.classes:
        return Foreseen.nothing("a predicted value does not say how far it may be off")
    if known.height == 0:
        return Foreseen.nothing("no decision of the live release is in the log yet")
    rows, told = foretold(workspace, contract, rule, known.tail(LATEST), now=now)
    delay_s, named = contract.decision.label_delay_s, contract.decision.positive
    place = rule.classes.index(named) if named in rule.classes else len(rule.classes) - 1
    positive = place if rule.task is Task.BINARY else None
    # Where no delay is promised, labels that come in a weekly file are not overdue the next minute.
    plain = estimate(rule, told, positive=positive, now=now, due_s=delay_s or window_s)
    adapted = _adapted(contract, loaded, rows, told, reference, positive=positive, now=now)
    came = arrived(told, due_us=due_us(now, delay_s))
    request = latest_request(workspace, contract.product.name, release=loaded.release.id, now=now)
    asked = _asked(workspace, contract, rule, request, known, now=now) if request is not None else None
    return Foreseen(
        estimate=plain,
        reconciled=reconciled(told, now=now, delay_s=delay_s, window_s=window_s),
        adapted=adapted,
        labels=FromLabels(reason=came) if isinstance(came, str) else from_labels(came),
        asked=asked,
        settling=_settling(contract, told, plain, adapted, asked),
    )


def foretold(
    workspace: Workspace, contract: Contract, rule: DecisionRule, known: pl.DataFrame, *, now: datetime
) -> tuple[pl.DataFrame, Foretold]:
    """What was said and done about each row, what that costs whichever way it turns out, and the rows of the log.

    Rows about which no model said anything are left out: the fallback decided.
    """
    said = said_of(rule, known)
    answered = np.isfinite(said).all(axis=1)
    rows = known.filter(pl.Series(answered, dtype=pl.Boolean))
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
    return rows, Foretold(
        at_us=rows[EVENT_TIME].cast(pl.Int64).to_numpy(),
        probabilities=said[answered],
        actions=acted,
        costs=costs,
        realised=realised,
    )


def _adapted(
    contract: Contract,
    loaded: Loaded,
    rows: pl.DataFrame,
    told: Foretold,
    reference: Reference | str,
    *,
    positive: int | None,
    now: datetime,
) -> Adapted:
    matrix = matrix_seen(loaded, rows)
    if isinstance(matrix, str):
        return Adapted(reason=matrix)
    if isinstance(reference, str):
        own = _own_reference(
            loaded.rule, rows, told, matrix, now=now, delay_s=contract.decision.label_delay_s
        )
        if own is None:
            return Adapted(reason=f"{reference}, and no decision's truth is known that was due")
        reference = own
    return adapt(
        loaded.rule,
        told,
        matrix,
        reference,
        positive=positive,
        now=now,
        delay_s=contract.decision.label_delay_s,
        seed=_SEED,
    )


def _own_reference(
    rule: DecisionRule,
    rows: pl.DataFrame,
    told: Foretold,
    matrix: Matrix,
    *,
    now: datetime,
    delay_s: float,
) -> Reference | None:
    """The live decisions whose truth was due and came, where the sealed rows are not at hand."""
    truth = truth_of(rule, rows)
    ripe = np.isfinite(truth) & (told.at_us <= due_us(now, delay_s))
    if not ripe.any():
        return None
    return Reference(
        matrix=matrix[ripe],
        probabilities=told.probabilities[ripe],
        truth=truth[ripe].astype(np.int64),
        whence=LABELLED,
        live=True,
    )


def _asked(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    request: LabelRequest,
    known: pl.DataFrame,
    *,
    now: datetime,
) -> FromLabels:
    names = [one.decision for one in request.asked]
    rows, told = foretold(
        workspace, contract, rule, known.filter(pl.col("decision_id").is_in(names)), now=now
    )
    return from_labels(requested_sample(workspace, contract, rule, request, rows, told))


def _settling(
    contract: Contract, told: Foretold, plain: Estimated, adapted: Adapted, asked: FromLabels | None
) -> Settling:
    best = next(
        (one for one in (asked.cost if asked else None, adapted.cost, plain.cost) if one is not None), None
    )
    if best is None:
        return Settling(reason=plain.reason)
    clause = cost_clause(contract)
    return settling(
        told,
        about=clause.path if clause else "",
        bound=clause.bound if clause else None,
        estimate=best.value,
        smallest_change=(contract.monitoring or MonitoringTerms()).smallest_change,
    )


def cost_clause(contract: Contract) -> Clause | None:
    """The clause that bounds the cost of a decision itself on live traffic; the first, where there are several."""
    return next(
        (
            one
            for one in contract.clauses
            if one.metric == _COST
            and one.relative_to is None
            and one.where is None
            and Stage.LIVE in one.stages
        ),
        None,
    )

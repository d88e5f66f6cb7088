"""Plausibility on live traffic: the clauses that can be judged before anybody knows what came."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.finding import Finding
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.evidence import Measured, Unmeasured
from geartrain.evaluation.judging import finding_of
from geartrain.evaluation.model_view import ModelView
from geartrain.evaluation.plausibility import check
from geartrain.evaluation.scene import Traffic


def judge_traffic(
    traffic: Traffic, model: ModelView, clauses: Iterable[Clause], *, stage: Stage, now: datetime
) -> tuple[Finding, ...]:
    """A finding for each plausibility clause among *clauses* that is due at *stage*.

    What needs the truth (`stable_across`, `earns_its_place`, shares of a model without
    exact contributions) is not measured, and says so.
    """
    return tuple(
        finding_of(clause, _measured(traffic, model, clause), stage=stage, now=now)
        for clause in clauses
        if clause.section == "plausibility" and (not clause.stages or stage in clause.stages)
    )


def _measured(traffic: Traffic, model: ModelView, clause: Clause) -> Measured:
    if len(traffic) == 0:
        return Unmeasured(reason="there is not one row")
    try:
        mask = np.asarray(traffic.slice(clause.where))
    except ExpressionInvalid as error:
        return Unmeasured(reason=f"an expression cannot be read: {error.message}")
    return check(traffic, model, clause.metric, mask, dict(clause.parameters))

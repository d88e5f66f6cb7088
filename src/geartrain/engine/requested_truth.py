"""What became of the labels that were asked for: truths that came, and answers where answers are truths."""

from __future__ import annotations

import numpy as np
import polars as pl

from geartrain.domain.contract import Contract
from geartrain.domain.roles import Role
from geartrain.domain.rule import DecisionRule
from geartrain.engine.label_requests import LabelRequest
from geartrain.engine.reviewing import answers, class_of, not_an_outcome
from geartrain.engine.workspace import Workspace
from geartrain.monitoring.estimating import Foretold
from geartrain.monitoring.powering import Sample, expected_and_variance


def requested_sample(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    request: LabelRequest,
    rows: pl.DataFrame,
    told: Foretold,
) -> Sample:
    """The asked decisions whose truth is known by now, with the probabilities with which they were drawn.

    *rows* and *told* are the log's rows of these decisions. Where the contract has no source of
    labels, the answer of whoever holds domain counts as a truth that has not come otherwise; where
    two of them say different things, neither does.
    """
    judged = _judged(workspace, contract) if not not_an_outcome(contract) else {}
    ids = rows["decision_id"].to_list()
    realised = told.realised.copy()
    by_people = 0
    for place, decision in enumerate(ids):
        named = judged.get(decision)
        if np.isnan(realised[place]) and named in rule.classes:
            realised[place] = told.costs[place, rule.classes.index(named)]
            by_people += 1
    came = np.isfinite(realised)
    drawn = {one.decision: one.inclusion for one in request.asked}
    inclusion = np.array([drawn[decision] for decision in ids], dtype=np.float64)
    expected, variance = expected_and_variance(told)
    people = f", {by_people} of them judged by people" if by_people else ""
    return Sample(
        expected=request.expected,
        values=realised[came],
        there=expected[came],
        implied=variance[came],
        inclusion=inclusion[came],
        asked=len(request.asked),
        which=f"answers to the {len(request.asked):,} decisions that were drawn on {request.asked_at:%Y-%m-%d}{people}",
    )


def _judged(workspace: Workspace, contract: Contract) -> dict[str, str]:
    """The class that those who hold domain named for each decision, where they agree."""
    experts = contract.holders(Role.DOMAIN)
    named: dict[str, set[str]] = {}
    for said in answers(workspace.history(contract.product.name)):
        if said.person in experts and (label := class_of(contract, said.rightly)) is not None:
            named.setdefault(said.decision, set()).add(label)
    return {decision: labels.pop() for decision, labels in named.items() if len(labels) == 1}

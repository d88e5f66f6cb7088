"""Baselines: what simpler ways of deciding about the same rows would have cost.

A product that does not beat "always biopsy", yesterday's label or a ruler has no value,
however good its AUC.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, truths
from geartrain.domain.contract import Baseline
from geartrain.domain.expression import parse
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import ExpressionInvalid
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.stats.deciding import ABSTAINED, Indices, realised_cost, regression_cost

ALWAYS = "always-"
US_PER_S = 1_000_000


def baseline_names(evidence: Evidence) -> tuple[str, ...]:
    """Every baseline that can be tried on this evidence, the team's own last."""
    names = [ALWAYS + action for action in dict.fromkeys(evidence.rule.actions)]
    names.append("most-frequent")
    if evidence.rule.task is Task.REGRESSION:
        names = ["mean"]
    if evidence.times_us is not None:
        names.append("last-label")
    if evidence.simplest is not None:
        names.append("simplest-model")
    names.extend(one.name for one in evidence.contract.baselines if one.name not in names)
    return tuple(names)


def baseline_costs(evidence: Evidence, name: str) -> Floats | Unmeasured:
    """What each row costs when the baseline *name* decides, shape (n,), or why nobody can say.

    `always-<action>`; `most-frequent` and `mean` of the labels known before (of these very
    rows where there is no history, which flatters them); `last-label`, the latest label
    that was known when the row happened; `simplest-model`; or a rule of the contract.
    """
    if len(evidence) == 0:
        return Unmeasured(reason="there is not one row")
    own = next((one for one in evidence.contract.baselines if one.name == name), None)
    if own is not None and own.rule is not None:
        try:
            return _by_rule(evidence, own)
        except ExpressionInvalid as error:
            return Unmeasured(reason=f"the rule of baseline `{name}` cannot be read: {error.message}")
    if name == "simplest-model":
        if evidence.simplest is None:
            return Unmeasured(reason="no simplest model was fitted to compare with")
        return evidence.costs_of(evidence.simplest)
    if evidence.rule.task is Task.REGRESSION:
        return _by_value(evidence, name)
    actions = _by_action(evidence, name)
    return actions if isinstance(actions, Unmeasured) else _costs(evidence, actions)


def most_frequent(truth: Indices) -> int:
    """The class seen most often; the first of equals."""
    return int(np.bincount(truth).argmax())


def action_index(rule: DecisionRule, name: str) -> int | None:
    """The index of the action *name*, `ABSTAINED` for the action that stands in, or None.

    Words may be joined by hyphens: `always-follow-up` names the action `follow up`.
    """
    for index, action in enumerate(rule.actions):
        if name in {action, action.replace(" ", "-")}:
            return index
    if rule.abstain is not None and name in {rule.abstain.then, rule.abstain.then.replace(" ", "-")}:
        return ABSTAINED
    return None


def _by_action(evidence: Evidence, name: str) -> Indices | Unmeasured:
    rows = len(evidence)
    if name.startswith(ALWAYS):
        index = action_index(evidence.rule, name.removeprefix(ALWAYS))
        if index is None:
            return Unmeasured(reason=f"there is no action `{name.removeprefix(ALWAYS)}` to always take")
        return np.full(rows, index, dtype=np.int64)
    if name == "most-frequent":
        return np.full(rows, most_frequent(_known(evidence)), dtype=np.int64)
    if name == "last-label":
        last = last_label(evidence)
        if isinstance(last, Unmeasured):
            return last
        fallback = action_index(evidence.rule, evidence.rule.fallback)
        return np.where(np.isnan(last), 0 if fallback is None else fallback, last).astype(np.int64)
    return Unmeasured(reason=f"there is no baseline `{name}` for a {evidence.rule.task} product")


def _by_value(evidence: Evidence, name: str) -> Floats | Unmeasured:
    if name == "mean":
        return _value_costs(evidence, np.full(len(evidence), float(np.mean(_known(evidence)))))
    if name == "last-label":
        last = last_label(evidence)
        if isinstance(last, Unmeasured):
            return last
        return _value_costs(evidence, np.where(np.isnan(last), float(np.mean(_known(evidence))), last))
    return Unmeasured(reason=f"there is no baseline `{name}` for a regression product")


def last_label(evidence: Evidence) -> Floats | Unmeasured:
    """For each row the latest truth known when it happened, NaN where none was, shape (n,).

    A label is known `label_delay` after its row happened; without a delay, the row before counts.
    """
    if evidence.times_us is None:
        return Unmeasured(reason="the rows have no times, so no label is the last one")
    times, truth = evidence.times_us, evidence.truth
    if evidence.history is not None and evidence.history.times_us is not None:
        times = np.concatenate([evidence.history.times_us, times])
        truth = np.concatenate([evidence.history.truth, truth])
    order = np.argsort(times, kind="stable")
    delay_us = int(evidence.contract.decision.label_delay_s * US_PER_S)
    known_until = evidence.times_us - delay_us
    count = np.searchsorted(times[order], known_until, side="right" if delay_us else "left")
    ordered = truth[order].astype(np.float64)
    return np.where(count > 0, ordered[np.maximum(count, 1) - 1], np.nan)


def _by_rule(evidence: Evidence, baseline: Baseline) -> Floats | Unmeasured:
    value = parse(baseline.rule or "").evaluate(evidence.columns, rows=len(evidence))
    if evidence.rule.task is Task.REGRESSION:
        return _value_costs(evidence, numbers(value))
    taken = action_index(evidence.rule, baseline.action or "")
    if taken is None:
        return Unmeasured(reason=f"baseline `{baseline.name}` takes `{baseline.action}`, which is no action")
    others = [
        index for index, action in enumerate(evidence.rule.actions) if action != evidence.rule.actions[taken]
    ]
    fallback = action_index(evidence.rule, evidence.rule.fallback)
    otherwise = others[0] if len(others) == 1 else fallback
    if otherwise is None:
        return Unmeasured(reason=f"baseline `{baseline.name}` does not say what happens where it is false")
    return _costs(evidence, np.where(truths(value), taken, otherwise).astype(np.int64))


def _known(evidence: Evidence) -> NDArray[Any]:
    known = evidence.truth if evidence.history is None else evidence.history.truth
    return known if len(known) else evidence.truth


def _costs(evidence: Evidence, actions: Indices) -> Floats:
    return realised_cost(evidence.rule, actions, evidence.truth, evidence.columns)


def _value_costs(evidence: Evidence, predicted: Floats) -> Floats:
    return regression_cost(
        evidence.rule.costs,
        predicted=predicted,
        truth=evidence.truth.astype(np.float64),
        columns=evidence.columns,
    )

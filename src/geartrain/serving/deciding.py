"""Rows to decisions: encode, predict, decide, and stand in where the model must not or cannot.

Three things can stand between a row and the model's own action: the contract says
abstain (the confidence, missing features, stale feeds), the model fails (the fallback
acts), or a cost that the decision needs is unknown (the fallback acts). Each leaves its
`doubt` in words on the decision, so that it is counted and never silent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

import numpy as np

from geartrain.domain.columns import as_text
from geartrain.domain.contract import Abstention
from geartrain.domain.expression import Columns, parse
from geartrain.domain.prediction import Decision, Floats, Predictions
from geartrain.domain.task import Task
from geartrain.errors import GeartrainError, RequestInvalid
from geartrain.serving.columns import columns_of
from geartrain.serving.reasons import reasons_of
from geartrain.serving.routing import Arm
from geartrain.serving.runtime import Matrix, RawRow, Served
from geartrain.stats.deciding import ABSTAINED, decide

RESTING: Final = "the model has failed too often and rests"
UNKNOWN_COST: Final = "what the decision would cost is not known for this row"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """Decisions in the order of the rows, and the features that each was made from.

    Attributes:
        features: Float32 (n, d); a row whose features could not be made is all NaN.
    """

    decisions: tuple[Decision, ...]
    features: Matrix


@cache
def model_failures() -> tuple[type[Exception], ...]:
    """What a model or its features may raise when they fail; anything else is our own bug.

    ONNX Runtime's exceptions share no parent but `Exception`, so they are listed.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    listed = (runtime.Fail, runtime.InvalidArgument, runtime.RuntimeException, runtime.EPFail)
    return (*listed, runtime.EngineError, GeartrainError, ArithmeticError, ValueError, RuntimeError, OSError)


def decide_rows(
    served: Served,
    rows: Sequence[RawRow],
    now: datetime,
    ids: Sequence[str],
    *,
    keys: Sequence[str] = (),
    at: datetime | None = None,
    stale_s: float | None = None,
    arm: Arm = Arm.CHAMPION,
    explain: bool = False,
) -> Answered:
    """Decide about each row, never less than one decision a row.

    When a batch fails it is tried row by row, so that one poisonous row costs the others
    nothing. *stale_s* is how long the features' feeds have been silent.

    Raises:
        RequestInvalid: The row cannot be encoded because of what the client sent.
    """
    names = keys or tuple(_key_of(served, row) for row in rows)
    try:
        matrix = served.encode(rows, at or now)
        predictions = _answers(served, matrix)
        reasons = reasons_of(served, matrix, predictions) if explain else ((),) * len(rows)
    except RequestInvalid:
        raise
    except model_failures() as failure:
        if len(rows) == 1:
            missing = np.full((1, len(served.columns)), np.nan, dtype=np.float32)
            stand_in = _stand_in(served, now, ids[0], names[0], doubt=_cause(failure))
            return Answered(decisions=(stand_in,), features=missing)
        alone = [
            decide_rows(
                served, [row], now, [one], keys=[key], at=at, stale_s=stale_s, arm=arm, explain=explain
            )
            for row, one, key in zip(rows, ids, names, strict=True)
        ]
        return Answered(
            decisions=tuple(one.decisions[0] for one in alone),
            features=np.concatenate([one.features for one in alone]),
        )
    columns = columns_of(rows, served.cost_columns, served.fields)
    decided = decide(served.rule, predictions, columns, costs=served.costs)
    actions = decided.actions.tolist()
    costs = decided.expected_cost.tolist()
    doubts = _doubts(served, matrix, predictions, stale_s)
    answers = predictions.values.tolist()
    outputs, own_arm = served.outputs, arm.value
    made: list[Decision] = []
    for i, (one, key) in enumerate(zip(ids, names, strict=True)):
        if not math.isfinite(sum(answers[i])):
            made.append(_stand_in(served, now, one, key, doubt="the model answered with no number"))
            continue
        values = tuple(zip(outputs, answers[i], strict=True))
        doubt = doubts[i] or (_why_abstained(served, costs[i]) if actions[i] == ABSTAINED else "")
        action, cost, abstained = served.rule.actions[max(actions[i], 0)], costs[i], False
        if doubt:
            action, cost, abstained = _abstain(served, columns, i)
        made.append(
            Decision(
                id=one,
                product=served.product,
                release=served.release,
                key=key,
                decided_at=now,
                action=action,
                probabilities=values,
                expected_cost=cost,
                abstained=abstained,
                fallback=bool(doubt) and not abstained,
                doubt=doubt,
                arm=own_arm if abstained or not doubt else Arm.FALLBACK.value,
                reasons=reasons[i],
            )
        )
    return Answered(decisions=tuple(made), features=matrix)


def _answers(served: Served, matrix: Matrix) -> Predictions:
    """The model's predictions; a model of another shape than its rule has failed."""
    predictions = served.predict(matrix)
    wanted = (len(matrix), len(served.outputs))
    if predictions.classes != served.rule.classes or predictions.values.shape != wanted:
        raise ValueError(f"the model answered {predictions.values.shape}, its rule needs {wanted}")
    return predictions


def _key_of(served: Served, row: RawRow) -> str:
    value = row.get(served.key) if served.key else None
    return as_text(value) or ""


def _cause(failure: Exception) -> str:
    # The kind only: a library's message may repeat values of the row.
    code = failure.code if isinstance(failure, GeartrainError) else type(failure).__name__
    return f"the model failed: {code}"


def _stand_in(served: Served, now: datetime, one: str, key: str, *, doubt: str) -> Decision:
    """The fallback's decision; its cost is not known and is 0."""
    return Decision(
        id=one,
        product=served.product,
        release=served.release,
        key=key,
        decided_at=now,
        action=served.rule.fallback,
        probabilities=(),
        expected_cost=0.0,
        fallback=True,
        doubt=doubt,
        arm=Arm.FALLBACK.value,
    )


def stand_in(
    served: Served,
    rows: Sequence[RawRow],
    now: datetime,
    ids: Sequence[str],
    keys: Sequence[str],
    *,
    doubt: str,
) -> Answered:
    """What the rule's fallback decides about *rows* where no model is asked."""
    names = keys or tuple(_key_of(served, row) for row in rows)
    decisions = tuple(
        _stand_in(served, now, one, key, doubt=doubt) for one, key in zip(ids, names, strict=True)
    )
    missing = np.full((len(rows), len(served.columns)), np.nan, dtype=np.float32)
    return Answered(decisions=decisions, features=missing)


def _why_abstained(served: Served, cost: float) -> str:
    """The rule itself abstained: nobody knows a cost, or handing over is expected to cost less."""
    terms = served.rule.abstain
    if terms is None or not terms.when_cheaper or not np.isfinite(cost):
        return UNKNOWN_COST
    return f"to {terms.then} costs less than the best action is expected to"


def _abstain(served: Served, columns: Columns, row: int) -> tuple[str, float, bool]:
    """The action, cost and `abstained` of a row about which the model must not decide."""
    terms = served.rule.abstain
    if terms is None:
        return served.rule.fallback, 0.0, False
    alone = {name: values[row : row + 1] for name, values in columns.items()}
    cost = float(parse(terms.cost).evaluate(alone, rows=1)[0])
    return terms.then, cost if np.isfinite(cost) else 0.0, True


def _doubts(
    served: Served, matrix: Matrix, predictions: Predictions, stale_s: float | None
) -> tuple[str, ...]:
    """Why the model must not decide about each row, in words; empty where it may."""
    terms = served.rule.abstain
    rows = len(predictions)
    if terms is None:
        return ("",) * rows
    stale = _stale(terms, stale_s)
    if stale:
        return (stale,) * rows
    confidence: Floats = predictions.values.max(axis=1)
    sure = terms.below_confidence if served.task is not Task.REGRESSION else None
    measured = served.measured
    missing = (
        np.isnan(matrix[:, measured]).mean(axis=1)
        if terms.most_missing is not None and len(measured)
        else np.zeros(rows)
    )
    outside = _outside(served, matrix) if terms.most_outside is not None else np.zeros(rows)
    doubts: list[str] = []
    for i in range(rows):
        if terms.most_missing is not None and missing[i] > terms.most_missing:
            doubts.append(f"{missing[i]:.0%} of the features are missing, at most {terms.most_missing:.0%}")
        elif terms.most_outside is not None and outside[i] > terms.most_outside:
            doubts.append(
                f"{outside[i]:.0%} of the features lie outside of what is known, at most {terms.most_outside:.0%}"
            )
        elif sure is not None and confidence[i] < sure:
            doubts.append(f"the confidence is {confidence[i]:.3g}, below {sure:g}")
        else:
            doubts.append("")
    return tuple(doubts)


def _outside(served: Served, matrix: Matrix) -> Floats:
    """The share of each row's features that lie beyond what the reference rows span; a missing one does not."""
    measured = served.measured
    if served.ranges is None or not len(measured):
        return np.zeros(len(matrix))
    low, high = served.ranges[:, measured]
    values = matrix[:, measured]
    share: Floats = ((values < low) | (values > high)).mean(axis=1)
    return share


def _stale(terms: Abstention, stale_s: float | None) -> str:
    if terms.most_stale_s is None or stale_s is None or stale_s <= terms.most_stale_s:
        return ""
    return f"the feeds have been silent for {stale_s:.0f} s, at most {terms.most_stale_s:.0f} s"

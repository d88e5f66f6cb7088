"""Choose between fitted models, and between thresholds, on the metered pool `select`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geartrain.domain.model import Pool, Trial
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples, Lineage, priced_rows, row_costs
from geartrain.training.fitting import trial_of
from geartrain.training.ladder import Ladder, climb
from geartrain.training.search import Record

#: Weights of one class against the others, nearest to the costs' own threshold first.
CLASS_WEIGHTS = (0.8, 1.25, 0.64, 1.5625, 0.5, 2.0, 0.25, 4.0)

#: A threshold with no reason but these rows must beat the one that the costs imply by
#: more than one standard error: eight and more are tried.
STRICT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selected:
    """The model and the rule that the pool `select` left standing.

    Attributes:
        fitted: The chosen model.
        index: Its place among the candidates.
        rule: The rule that decides with it; its `class_weights` are empty unless other
            weights beat the costs' own threshold by more than the Ladder's step.
        ladder: The pool's state, for the next look.
        cost: The mean cost on the pool as the Ladder shows it.
        trials: Every look, recorded.
    """

    fitted: Fitted
    index: int
    rule: DecisionRule
    ladder: Ladder
    cost: float
    trials: tuple[Trial, ...]


def select(
    candidates: Sequence[Fitted],
    examples: Examples,
    rule: DecisionRule,
    *,
    lineage: Lineage,
    record: Record,
    ladder: Ladder | None = None,
    tune: bool = True,
) -> Selected:
    """Keep the first candidate unless a later one is better by more than noise (see `climb`).

    With *tune*, thresholds beside the one that the costs imply may take its place, on
    stricter terms. The caller records that the pool was opened; each look is recorded here
    as a trial, with the figure that the Ladder shows and not the one that it keeps.

    Raises:
        ValueError: There is no candidate.
    """
    if not candidates:
        raise ValueError("nothing to choose from")
    held = ladder or Ladder()
    examples = examples.take(priced_rows(rule, examples))
    losses = [row_costs(rule, one.predict(examples.matrix), examples) for one in candidates]
    unit = max(float(np.abs(losses[0]).mean()), 1e-12)
    chosen, trials = 0, []

    def look(fitted: Fitted, costs: Floats, strictness: float) -> bool:
        nonlocal held
        held, step = climb(held, costs, unit=unit, strictness=strictness)
        done = trial_of(fitted, lineage, pool=Pool.SELECT, score=step.shown, rows=len(examples))
        record(done)
        trials.append(done)
        return step.improved

    for index, costs in enumerate(losses):
        if look(candidates[index], costs, 1.0):
            chosen = index
    best = candidates[chosen]
    final = rule
    if tune and rule.task.has_classes:
        answers = best.predict(examples.matrix)
        for weights in _class_weights(len(rule.classes)):
            tried = replace(rule, class_weights=weights)
            if look(best, row_costs(tried, answers, examples), STRICT):
                final = tried
    return Selected(fitted=best, index=chosen, rule=final, ladder=held, cost=held.shown, trials=tuple(trials))


def _class_weights(width: int) -> list[tuple[float, ...]]:
    """One class after the other against the rest; with two classes one is enough."""
    movable = range(1, 2) if width == 2 else range(width)
    return [
        tuple(weight if k == moved else 1.0 for k in range(width))
        for weight in CLASS_WEIGHTS
        for moved in movable
    ]

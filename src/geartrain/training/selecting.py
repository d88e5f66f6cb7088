"""Choose between fitted models, and between thresholds, on the metered pool `select`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from geartrain.domain.model import Pool, Trial
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples, Lineage, priced_rows, row_costs
from geartrain.training.fitting import trial_of
from geartrain.training.metering import LadderMeter, Meter
from geartrain.training.search import Record

#: The losses of a model under a rule on the free rows, shape (m,).
Taught = Callable[[Fitted, DecisionRule], Floats]

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
            weights beat the costs' own threshold by more than the meter's step.
        looks: How many different questions the pool has answered so far.
        cost: The mean cost on the pool as the meter showed it last; None where its budget was spent.
        trials: Every look, recorded.
        spent: Whether the pool's budget ran out, so that not every question was answered.
    """

    fitted: Fitted
    index: int
    rule: DecisionRule
    looks: int
    cost: float | None
    trials: tuple[Trial, ...]
    spent: bool = False


def select(
    candidates: Sequence[Fitted],
    examples: Examples,
    rule: DecisionRule,
    *,
    lineage: Lineage,
    record: Record,
    meter: Meter | None = None,
    taught: Taught | None = None,
    tune: bool = True,
) -> Selected:
    """Keep the first candidate unless a later one is better by more than noise.

    What "better" is, the *meter* says (default: a new Ladder, see `climb`); it sees the losses
    and answers, nothing else here reads them. With *tune*, thresholds beside the one that the
    costs imply may take its place, on stricter terms. The caller records that the pool was
    opened; each look is recorded here as a trial, with the figure that the meter showed and not
    the one that it keeps. *taught* gives the losses of a rule on the free rows, for Thresholdout.

    Raises:
        ValueError: There is no candidate.
    """
    if not candidates:
        raise ValueError("nothing to choose from")
    held: Meter = meter or LadderMeter()
    examples = examples.take(priced_rows(rule, examples))
    trials: list[Trial] = []
    cost, spent = None, False

    def look(fitted: Fitted, tried: DecisionRule, losses: Floats, strictness: float) -> bool:
        nonlocal cost, spent
        asked = trial_of(
            fitted,
            lineage,
            pool=Pool.SELECT,
            score=0.0,
            rows=len(examples),
            class_weights=tried.class_weights,
        )
        known = taught(fitted, tried) if taught else None
        step = held.ask(asked, losses, taught=known, strictness=strictness)
        spent |= step.spent
        if step.spent:
            return False
        cost = step.shown
        done = replace(asked, score=step.shown)
        record(done)
        trials.append(done)
        return step.improved

    chosen = 0
    for index, candidate in enumerate(candidates):
        if look(candidate, rule, row_costs(rule, candidate.predict(examples.matrix), examples), 1.0):
            chosen = index
    best = candidates[chosen]
    final = rule
    if tune and rule.task.has_classes:
        answers = best.predict(examples.matrix)
        for weights in _class_weights(len(rule.classes)):
            tried = replace(rule, class_weights=weights)
            if look(best, tried, row_costs(tried, answers, examples), STRICT):
                final = tried
    return Selected(
        fitted=best,
        index=chosen,
        rule=final,
        looks=held.looks,
        cost=cost,
        trials=tuple(trials),
        spent=spent,
    )


def _class_weights(width: int) -> list[tuple[float, ...]]:
    """One class after the other against the rest; with two classes one is enough."""
    movable = range(1, 2) if width == 2 else range(width)
    return [
        tuple(weight if k == moved else 1.0 for k in range(width))
        for weight in CLASS_WEIGHTS
        for moved in movable
    ]

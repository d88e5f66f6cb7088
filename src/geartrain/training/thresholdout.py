"""Thresholdout: answer from the rows that taught, unless the held rows disagree by more than noise.

Dwork, Feldman, Hardt, Pitassi, Reingold and Roth (2015), "The reusable holdout: preserving
validity in adaptive data analysis", Science 349, and "Generalization in adaptive data analysis
and holdout reuse", algorithm 2. Where the Ladder says only what is best, Thresholdout gives a
figure for each question, with noise; what costs budget are the answers that had overfitted, not
the questions. Its price is that noise: with n rows nothing finer than about 4 / sqrt(n) of the
loss's range is told, so it is for large pools.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

#: The threshold in units of 1 / sqrt(n), and the scale of the noise: the comparison gets four times it,
#: so noise of about one standard error, as the experiments of the paper add.
THRESHOLD, NOISE = 4.0, 0.25
#: How many overfitted answers a pool may give before it wants fresh labels.
BUDGET = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholdout:
    """A pool's state: it is folded from the answers given, so it needs no memory of its own.

    Attributes:
        threshold: How far the two figures may differ before the held one speaks, in [0, 1].
        noise: The scale of the Laplace noise.
        budget: How many more overfitted answers may be given.
        seed: Of the noise; the same question at the same place hears the same noise.
        asked: The questions answered so far.
        charged: Those that cost budget.
    """

    threshold: float
    noise: float
    budget: int = BUDGET
    seed: int = 0
    asked: int = 0
    charged: int = 0

    @classmethod
    def over(cls, rows: int, *, seed: int, budget: int = BUDGET) -> Thresholdout:
        """The usual setting for a pool of *rows*."""
        return cls(
            threshold=THRESHOLD / math.sqrt(rows), noise=NOISE / math.sqrt(rows), budget=budget, seed=seed
        )

    @property
    def spent(self) -> bool:
        """Whether nothing more may be answered."""
        return self.charged >= self.budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer: the figure, in [0, 1] up to noise, and whether it cost budget."""

    value: float
    charged: bool


def ask(state: Thresholdout, *, taught: float, held: float) -> tuple[Thresholdout, Told | None]:
    """Ask for a mean in [0, 1] of which *taught* rows say one thing and the *held* rows another.

    With g ~ Lap(2 s), drawn anew after each charged answer: if |taught - held| > T + g + Lap(4 s)
    the answer is held + Lap(s) and costs one of the budget, else it is *taught*. None when the
    budget is spent: fresh labels are needed.

    >>> state = Thresholdout.over(10_000, seed=1)
    >>> ask(state, taught=0.51, held=0.50)[1]
    Told(value=0.51, charged=False)

    Raises:
        ValueError: A mean outside [0, 1], which the guarantee does not cover.
    """
    if not (0.0 <= taught <= 1.0 and 0.0 <= held <= 1.0):
        raise ValueError(f"Thresholdout answers means in [0, 1], not {taught:.4g} and {held:.4g}")
    if state.spent:
        return state, None
    shift = float(np.random.default_rng([state.seed, 1, state.charged]).laplace(scale=2 * state.noise))
    here = np.random.default_rng([state.seed, 2, state.asked])
    over = abs(taught - held) > state.threshold + shift + float(here.laplace(scale=4 * state.noise))
    value = held + float(here.laplace(scale=state.noise)) if over else taught
    after = replace(state, asked=state.asked + 1, charged=state.charged + over)
    return after, Told(value=value, charged=over)

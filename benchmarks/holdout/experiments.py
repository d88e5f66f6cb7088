"""Two published attacks on a held-out set, and what each of the mechanisms lets through.

`no_signal` is the experiment of Dwork et al. (2015), "The reusable holdout", Science 349:
labels are coin flips, an analyst keeps the features that agree with the label on both the
teaching and the held rows, and reports the accuracy on the held ones. The truth is one half.

`boosting` is the attack of Blum and Hardt (2015), "The Ladder", section 1: k coin-flip
submissions, and the majority of those that the leaderboard called better than one half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geartrain.training.ladder import Ladder, climb
from geartrain.training.thresholdout import Thresholdout, ask


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSignal:
    """The accuracy that each way of using held rows reports where the truth is one half.

    Attributes:
        naive: Of the analyst who chose with the held rows and reports them.
        thresholdout: Of the same analyst behind Thresholdout; None where its budget was spent first.
        charged: How many answers cost budget.
        sealed: Of the naive analyst's classifier on rows that were opened once.
    """

    naive: float
    thresholdout: float | None
    charged: int
    sealed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting:
    """The error of the majority of the submissions that "did well", where the truth is one half.

    Attributes:
        naive: On the public rows, when every submission's error was told.
        ladder: On the public rows, when only the Ladder answered.
        shown: What the Ladder shows as the best error.
        naive_private: The naive majority's error on rows that nobody asked about.
    """

    naive: float
    ladder: float
    shown: float
    naive_private: float


def no_signal(*, rows: int, features: int, kept: int, seed: int, budget: int = 10**9) -> NoSignal:
    """One world: *rows* in each of three sets, *features* and labels of fair coins.

    A feature is kept when its agreement with the label is off one half by more than one
    standard error, in the same direction, on the teaching and the held rows; of these the
    *kept* strongest on the teaching rows vote.
    """
    random = np.random.default_rng(seed)
    sets = [
        (
            random.choice(np.array([-1, 1], dtype=np.int8), (rows, features)),
            random.choice(np.array([-1, 1], dtype=np.int8), rows),
        )
        for _ in range(3)
    ]
    agree = [(1 + (x * y[:, None]).mean(axis=0)) / 2 for x, y in sets]
    taught, held = agree[0], agree[1]
    naive = _votes(taught, held, rows, kept)
    state = Thresholdout.over(rows, seed=seed, budget=budget)
    heard = taught.copy()
    for j in range(features):
        state, told = ask(state, taught=float(taught[j]), held=float(held[j]))
        if told is None:
            break
        heard[j] = told.value
    careful = _votes(taught, heard, rows, kept)
    state, told = ask(state, taught=_accuracy(sets[0], careful), held=_accuracy(sets[1], careful))
    return NoSignal(
        naive=_accuracy(sets[1], naive),
        thresholdout=None if told is None else _accuracy(sets[1], careful),
        charged=state.charged,
        sealed=_accuracy(sets[2], naive),
    )


def boosting(*, rows: int, tries: int, seed: int) -> Boosting:
    """One leaderboard of *rows* public labels, attacked with *tries* coin flips."""
    random = np.random.default_rng(seed)
    public, private = random.integers(0, 2, (2, rows))
    flips = random.integers(0, 2, (tries, rows), dtype=np.int8)
    hidden = random.integers(0, 2, (tries, rows), dtype=np.int8)
    good = (flips != public).mean(axis=1) < 0.5
    ladder, better, shown = Ladder(), np.zeros(tries, dtype=bool), 0.5
    for number, flip in enumerate(flips):
        ladder, step = climb(ladder, (flip != public).astype(np.float64))
        better[number] = step.shown < shown
        shown = min(shown, step.shown)
    by_ladder = better if better.any() else np.arange(tries) == 0
    return Boosting(
        naive=float((_majority(flips[good]) != public).mean()),
        ladder=float((_majority(flips[by_ladder]) != public).mean()),
        shown=shown,
        naive_private=float((_majority(hidden[good]) != private).mean()),
    )


def expected_naive_error(rows: int, tries: int) -> float:
    """What theory expects of the naive attack: 1/2 - sqrt(tries / (2 pi^2 rows)), for few tries."""
    return 0.5 - math.sqrt(tries / (2 * math.pi**2 * rows))


def _votes(taught: np.ndarray, held: np.ndarray, rows: int, kept: int) -> np.ndarray:
    """The sign with which each feature votes, 0 where it was dropped."""
    bar = 0.5 / math.sqrt(rows)
    same = np.sign(taught - 0.5) == np.sign(held - 0.5)
    strong = same & (np.abs(taught - 0.5) > bar) & (np.abs(held - 0.5) > bar)
    ranked = np.where(strong, np.abs(taught - 0.5), 0.0)
    votes = np.zeros(len(taught))
    best = np.argsort(-ranked, kind="stable")[:kept]
    best = best[ranked[best] > 0]
    votes[best] = np.sign(taught[best] - 0.5)
    return votes


def _accuracy(rows: tuple[np.ndarray, np.ndarray], votes: np.ndarray) -> float:
    x, y = rows
    said = x @ votes
    return float(np.where(said == 0, 0.5, np.sign(said) == y).mean())


def _majority(flips: np.ndarray) -> np.ndarray:
    return flips.mean(axis=0) > 0.5

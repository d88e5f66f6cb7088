"""Worlds in which estimates are held against the truth: simulated ones, and public data with a shifted population."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: A missed positive costs five, a false alarm one.
PRICES = np.array([[0.0, 5.0], [1.0, 0.0]])
REFERENCE, CURRENT = 3000, 1500
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """One draw: reference rows with their truth, current rows whose truth the estimators do not see.

    Attributes:
        mean: What a decision costs in the population that the current rows come from.
    """

    reference: NDArray[np.float32]
    reference_said: Floats
    reference_truth: NDArray[np.int64]
    current: NDArray[np.float32]
    said: Floats
    truth: NDArray[np.int64]
    mean: float


def simulated(*, shift: float, flipped: bool) -> Callable[[int], World]:
    """Two columns count and the model knows one; the other moves by *shift*. Flipped: half of the rows turn their answer."""

    def risk(matrix: NDArray[np.float32]) -> Floats:
        found = 1 / (1 + np.exp(2.5 - matrix[:, 0] - 1.5 * matrix[:, 1]))
        return np.where(matrix[:, 0] > 0, 1 - found, found) if flipped else found

    def rows(count: int, moved: float, chance: np.random.Generator) -> NDArray[np.float32]:
        matrix = chance.normal(size=(count, 2)).astype(np.float32)
        matrix[:, 1] += moved
        return matrix

    def said(matrix: NDArray[np.float32]) -> Floats:
        # What is right for the first column alone while the second is at home (probit approximation of the mean).
        bad = 1 / (1 + np.exp(0.7286 * (2.5 - matrix[:, 0])))
        return np.column_stack([1 - bad, bad])

    def at_home(matrix: NDArray[np.float32]) -> Floats:
        return 1 / (1 + np.exp(2.5 - matrix[:, 0] - 1.5 * matrix[:, 1]))

    everybody = rows(400_000, shift, np.random.default_rng(0))
    actions = acted(said(everybody))
    bad = risk(everybody)
    mean = float((PRICES[actions] * np.column_stack([1 - bad, bad])).sum(axis=1).mean())

    def draw(seed: int) -> World:
        chance = np.random.default_rng(seed)
        reference, current = rows(REFERENCE, 0.0, chance), rows(CURRENT, shift, chance)
        return World(
            reference=reference,
            reference_said=said(reference),
            reference_truth=(chance.random(REFERENCE) < at_home(reference)).astype(np.int64),
            current=current,
            said=said(current),
            truth=(chance.random(CURRENT) < risk(current)).astype(np.int64),
            mean=mean,
        )

    return draw


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Public:
    """A public data set with a plain linear model's answers about rows that it did not learn from.

    Attributes:
        leans: The column by which the population is shifted, standardised.
        turns: The rows whose answer turns when the concept flips.
    """

    matrix: NDArray[np.float32]
    said: Floats
    truth: NDArray[np.int64]
    leans: Floats
    turns: NDArray[np.bool_]


def adult(folder: Path) -> Public:
    """Census income; shifted towards longer education, turned for those who work 45 hours or more."""
    frame = pl.read_parquet(folder / "adult.parquet")
    truth = frame["income_gt_50k"].cast(pl.Int64).to_numpy()
    used = [one for one in frame.columns if one not in {"split", "income_gt_50k"}]
    return _public(
        frame.select(used), truth, leans="education-num", turns=lambda one: one["hours-per-week"] >= 45
    )


def taiwan(folder: Path) -> Public:
    """Card defaults; shifted towards late payers, turned for limits of 200,000 and more."""
    frame = pl.read_parquet(folder / "credit_card_default_taiwan.parquet")
    truth = frame["default payment"].cast(pl.Int64).to_numpy()
    used = [one for one in frame.columns if one not in {"ID", "default payment"}]
    return _public(frame.select(used), truth, leans="PAY_0", turns=lambda one: one["LIMIT_BAL"] >= 200_000)


def _public(
    frame: pl.DataFrame, truth: NDArray[np.int64], *, leans: str, turns: Callable[[pl.DataFrame], pl.Series]
) -> Public:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    coded = frame.select(
        pl.col(name).cast(pl.Float64)
        if kind.is_numeric()
        else pl.col(name).cast(pl.String).rank("dense").cast(pl.Float64)
        for name, kind in frame.schema.items()
    ).with_columns(pl.all().fill_null(-1))
    matrix = coded.to_numpy()
    chance = np.random.default_rng(7)
    learned = chance.random(len(matrix)) < 0.4
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(
        matrix[learned], truth[learned]
    )
    kept = ~learned
    column = coded[leans].to_numpy()[kept]
    return Public(
        matrix=matrix[kept].astype(np.float32),
        said=np.asarray(model.predict_proba(matrix[kept])),
        truth=truth[kept],
        leans=(column - column.mean()) / column.std(),
        turns=turns(frame).to_numpy()[kept],
    )


def public(data: Public, *, shift: float, flipped: bool) -> Callable[[int], World]:
    """Reference rows are drawn anew each time; current rows come from the others, leaning by *shift*."""
    truth = np.where(data.turns & flipped, 1 - data.truth, data.truth)
    actions = acted(data.said)
    costs = PRICES[actions, truth]
    lean = np.exp(shift * np.clip(data.leans, -3, 3))
    mean = float((lean * costs).sum() / lean.sum())

    def draw(seed: int) -> World:
        chance = np.random.default_rng(seed)
        order = chance.permutation(len(data.truth))
        there, pool = order[:REFERENCE], order[REFERENCE:]
        now = chance.choice(pool, CURRENT, p=lean[pool] / lean[pool].sum())
        return World(
            reference=data.matrix[there],
            reference_said=data.said[there],
            reference_truth=data.truth[there],
            current=data.matrix[now],
            said=data.said[now],
            truth=truth[now],
            mean=mean,
        )

    return draw


def acted(said: Floats) -> NDArray[np.int64]:
    """The cheapest action in expectation."""
    return np.argmin(said @ PRICES.T, axis=1)


def worlds(draw: Callable[[int], World], count: int) -> Iterator[World]:
    """The first *count* of them."""
    return (draw(seed) for seed in range(count))

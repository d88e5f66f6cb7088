"""Accumulated local effects: how an answer moves with one column, in company that really occurs.

A partial response sets a column to a value for every row, also where nobody has that
value beside the rest of the row. Here a row is moved only across its own bin, and the
mean moves are summed up.

Source: Apley and Zhu (2020), "Visualizing the effects of predictor variables in black
box supervised learning models", JRSS B 82(4), sections 2 and 3; for categories their
supplement: values that occur in like company stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats

Matrix = NDArray[np.float32]
#: A matrix to its answers, shape (n, c).
Ask = Callable[[Matrix], Floats]

BINS = 12
RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalEffects:
    """What moving each row across its own bin does to the answer.

    Attributes:
        places: Where the curve has points, ascending for a number, in order of likeness for codes, shape (p,).
        category: Whether places are codes, between which there is nothing.
        steps: For each row and each of the p - 1 bins the sum of its moves, shape (n, p - 1, c).
        counts: How many moves those are, 0, 1 or (codes only) one in two bins, shape (n, p - 1).
        hats: The weight of each place at each row's own value, shape (n, p); zero where it has none.
    """

    places: Floats
    category: bool
    steps: Floats
    counts: Floats
    hats: Floats


def edges_of(values: NDArray[Any], bins: int = BINS) -> Floats:
    """The borders of about *bins* bins of equally many rows, shape (k + 1,); few values are all borders.

    >>> edges_of(np.array([0.0, 0, 1, 1, 2])).tolist()
    [0.0, 1.0, 2.0]
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    distinct = np.unique(known)
    if len(distinct) <= bins + 1:
        return distinct
    return np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)))


def number_effects(ask: Ask, matrix: Matrix, position: int, edges: Floats) -> LocalEffects:
    """Move each row of *matrix* to both borders of its bin; rows without a value stay out.

    Raises:
        ValueError: Fewer than two edges: nothing can be moved.
    """
    if len(edges) < 2:
        raise ValueError("a column with one value cannot be moved")
    values = matrix[:, position].astype(np.float64)
    known = np.isfinite(values)
    held = np.clip(values[known], edges[0], edges[-1])
    bins = np.clip(np.searchsorted(edges, held, side="left") - 1, 0, len(edges) - 2)
    low, high = matrix[known].copy(), matrix[known].copy()
    low[:, position], high[:, position] = edges[bins], edges[bins + 1]
    moves = ask(high) - ask(low)
    rows = np.flatnonzero(known)
    steps = np.zeros((len(matrix), len(edges) - 1, moves.shape[1]))
    counts = np.zeros((len(matrix), len(edges) - 1))
    steps[rows, bins], counts[rows, bins] = moves, 1.0
    return LocalEffects(
        places=edges, category=False, steps=steps, counts=counts, hats=number_hats(values, edges)
    )


def code_effects(ask: Ask, matrix: Matrix, position: int, codes: Sequence[float]) -> LocalEffects:
    """Move each row to the codes beside its own in the order *codes*; other codes stay out.

    Raises:
        ValueError: Fewer than two codes.
    """
    order = np.asarray(codes, dtype=np.float64)
    if len(order) < 2:
        raise ValueError("a column with one value cannot be moved")
    values = matrix[:, position].astype(np.float64)
    hats = code_hats(values, order)
    known = np.flatnonzero(hats.any(axis=1))
    place = hats[known].argmax(axis=1)
    own = ask(matrix[known])
    steps = np.zeros((len(matrix), len(order) - 1, own.shape[1]))
    counts = np.zeros((len(matrix), len(order) - 1))
    for way in (-1, 1):
        beside = place + way
        there = (beside >= 0) & (beside < len(order))
        if not there.any():
            continue
        moved = matrix[known[there]].copy()
        moved[:, position] = order[beside[there]]
        bins = np.minimum(place[there], beside[there])
        steps[known[there], bins] = way * (ask(moved) - own[there])
        counts[known[there], bins] = 1.0
    return LocalEffects(places=order, category=True, steps=steps, counts=counts, hats=hats)


def number_hats(values: Floats, edges: Floats) -> Floats:
    """Linear interpolation as weights, shape (n, p): the curve at *values* is `hats @ effects`."""
    hats = np.zeros((len(values), len(edges)))
    known = np.flatnonzero(np.isfinite(values))
    held = np.clip(values[known], edges[0], edges[-1])
    left = np.clip(np.searchsorted(edges, held, side="right") - 1, 0, len(edges) - 2)
    share = (held - edges[left]) / (edges[left + 1] - edges[left])
    hats[known, left], hats[known, left + 1] = 1.0 - share, share
    return hats


def code_hats(values: Floats, order: Floats) -> Floats:
    """One weight where the value is that code, shape (n, p)."""
    return np.asarray(values[:, None] == order[None, :], dtype=np.float64)


def accumulate(local: LocalEffects, weights: Floats) -> Floats:
    """The curve under each row of *weights*, shape (b, n), centred on those rows' mean: shape (b, p, c).

    A bin that no weighted row is in takes the mean move of all rows.
    """
    rows, bins, outputs = local.steps.shape
    moved = (weights @ local.steps.reshape(rows, bins * outputs)).reshape(-1, bins, outputs)
    seen = weights @ local.counts
    everyone = local.counts.sum(axis=0)
    usual = local.steps.sum(axis=0) / np.maximum(everyone, 1.0)[:, None]
    mean = np.where(seen[:, :, None] > 0, moved / np.where(seen > 0, seen, 1.0)[:, :, None], usual[None])
    curve = np.concatenate([np.zeros((len(weights), 1, mean.shape[2])), np.cumsum(mean, axis=1)], axis=1)
    held = weights @ local.hats
    total = np.maximum(held.sum(axis=1), 1e-300)
    centre = np.einsum("bp,bpc->bc", held, curve) / total[:, None]
    return np.asarray(curve - centre[:, None, :])


def resampled_weights(
    rows: int, *, seed: int, groups: NDArray[Any] | None = None, resamples: int = RESAMPLES
) -> Floats:
    """How often each row is drawn in each resample, shape (resamples, rows); *groups* are drawn whole."""
    generator = np.random.default_rng(seed)
    if groups is None:
        return generator.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float64)
    _, owner = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    count = int(owner.max()) + 1
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)[
        :, owner
    ]


def likeness_order(codes: NDArray[Any], others: Floats, category: Sequence[bool]) -> Floats:
    """The distinct *codes*, shape (n,), so that codes in like company of *others*, shape (n, d), are neighbours.

    Two codes are as far apart as their rows' distributions of each other column (Kolmogorov's
    distance for numbers, total variation for codes), summed; the order is the first axis of
    classical scaling.
    """
    distinct = np.unique(codes[np.isfinite(codes)])
    if len(distinct) < 3:
        return np.asarray(distinct, dtype=np.float64)
    apart = np.zeros((len(distinct), len(distinct)))
    for column in range(others.shape[1]):
        values = others[:, column]
        grid = np.unique(values[np.isfinite(values)])
        if len(grid) < 2:
            continue
        if not category[column] and len(grid) > 50:
            grid = np.quantile(values[np.isfinite(values)], np.linspace(0, 1, 50))
        shares = np.stack(
            [_shares(values[codes == one], grid, category=category[column]) for one in distinct]
        )
        gaps = np.abs(shares[:, None, :] - shares[None, :, :])
        apart += gaps.sum(axis=2) / 2 if category[column] else gaps.max(axis=2)
    middle = np.eye(len(distinct)) - 1 / len(distinct)
    _, axes = np.linalg.eigh(-0.5 * middle @ apart**2 @ middle)
    first = axes[:, -1] * (1.0 if axes[np.abs(axes[:, -1]).argmax(), -1] > 0 else -1.0)
    return np.asarray(distinct[np.argsort(first, kind="stable")], dtype=np.float64)


def _shares(values: Floats, grid: Floats, *, category: bool) -> Floats:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return np.zeros(len(grid))
    if category:
        return np.asarray((known[:, None] == grid[None, :]).mean(axis=0))
    return np.searchsorted(np.sort(known), grid, side="right") / len(known)

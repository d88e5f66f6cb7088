"""A sketch of a distribution that adds up: counts in cells that are as wide as their values are large.

Cells begin very fine; while more than `MOST_CELLS` are occupied, neighbours are joined in
pairs. How often that was done depends only on the values, so the sketch of two parts
added is the sketch of the whole, to the last count. No unit or range is fixed in
advance: the quantiles of Celsius, Kelvin and cents are found alike.
(UDDSketch: Epicoco et al. 2020, "UDDSketch: accurate tracking of quantiles in data streams".)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

MOST_CELLS = 128
#: The logarithm by which each of the finest cells grows.
FINEST = 2.0**-13
#: What is closer to zero is counted as zero.
LEAST = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """Counts of occupied cells, from the lowest value to the highest.

    Attributes:
        level: How often neighbours were joined.
        cells: The occupied cells; 0 holds zero, negative cells negative values.
        counts: Their rows.
    """

    level: int = 0
    cells: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


def sketch(values: Floats) -> Sketch:
    """Count finite *values*, shape (n,)."""
    far = np.maximum(np.abs(values), LEAST)
    steps = 1 + np.floor(np.log(far / LEAST) / FINEST).astype(np.int64)
    cells = np.where(np.abs(values) < LEAST, 0, np.where(values < 0, -steps, steps))
    occupied, counts = np.unique(cells, return_counts=True)
    return _joined(0, occupied, counts)


def add(a: Sketch, b: Sketch) -> Sketch:
    """The sketch of both streams.

    >>> halves = sketch(np.arange(50.0)), sketch(np.arange(50.0, 500.0))
    >>> add(*halves) == sketch(np.arange(500.0))
    True
    """
    level = max(a.level, b.level)
    cells = np.concatenate([_raised(side, level) for side in (a, b)])
    counts = np.asarray((*a.counts, *b.counts), dtype=np.int64)
    return _joined(level, *_grouped(cells, counts))


def quantiles(seen: Sketch, shares: Floats) -> Floats:
    """The values below which *shares* of the rows lie, straight lines within a cell.

    Raises:
        ValueError: The sketch is empty.
    """
    if not seen.counts:
        raise ValueError("an empty sketch has no quantiles")
    cells = np.asarray(seen.cells)
    growth = FINEST * 2.0**seen.level
    outer = np.where(cells == 0, 0.0, np.sign(cells) * LEAST * np.exp(growth * np.abs(cells)))
    inner = np.where(cells == 0, 0.0, np.sign(cells) * LEAST * np.exp(growth * (np.abs(cells) - 1)))
    edges = np.sort(np.stack([inner, outer], axis=1), axis=1)
    reached = np.cumsum((0, *seen.counts)) / sum(seen.counts)
    found: Floats = np.interp(shares, np.stack([reached[:-1], reached[1:]], axis=1).ravel(), edges.ravel())
    return found


def _raised(side: Sketch, level: int) -> Cells:
    cells = np.asarray(side.cells, dtype=np.int64)
    for _ in range(level - side.level):
        cells = _paired(cells)
    return cells


def _joined(level: int, cells: Cells, counts: Cells) -> Sketch:
    while len(cells) > MOST_CELLS:
        level += 1
        cells, counts = _grouped(_paired(cells), counts)
    return Sketch(level=level, cells=tuple(map(int, cells)), counts=tuple(map(int, counts)))


def _paired(cells: Cells) -> Cells:
    """Cells 1 and 2 become 1, 3 and 4 become 2, and so below zero."""
    paired: Cells = np.sign(cells) * ((np.abs(cells) + 1) // 2)
    return paired


def _grouped(cells: Cells, counts: Cells) -> tuple[Cells, Cells]:
    occupied, place = np.unique(cells, return_inverse=True)
    return occupied, np.bincount(place, weights=counts, minlength=len(occupied)).astype(np.int64)

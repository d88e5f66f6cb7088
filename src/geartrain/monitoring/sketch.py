"""A sketch of a distribution that adds up: counts in cells that are as wide as their values are large.

Cells begin very fine, 8192 to a doubling; while more than `MOST_CELLS` are occupied, neighbours are
joined in pairs. How often that was done depends only on the values, so the sketch of two parts
added is the sketch of the whole, to the last count. No unit or range is fixed in
advance: the quantiles of Celsius, Kelvin and cents are found alike.
(The joining is UDDSketch's: Epicoco et al. 2020, "UDDSketch: accurate tracking of quantiles in data
streams". The cells are read from the bits of the numbers instead of their logarithms: a number's
exponent and first digits are its cell, which costs a shift and not a logarithm.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

MOST_CELLS = 128
#: What is closer to zero is counted as zero.
LEAST = 1e-30
#: The bits of a number that lie below the finest cell: 52 hold its digits, 13 of them are kept.
_BELOW = 39
#: The finest cell of `LEAST`, from which cells are numbered.
_FIRST = int(np.float64(LEAST).view(np.int64)) >> _BELOW
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)
#: So many cells are counted at once: their counts fit into a core's own cache, and
_SPAN = 1 << 14
#: so many values beside them.
_PART = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """Counts of occupied cells, from the lowest value to the highest.

    Attributes:
        joins: How often neighbours were joined.
        cells: The occupied cells; 0 holds zero, negative cells negative values.
        counts: Their rows.
    """

    joins: int = 0
    cells: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


def sketch(values: Floats) -> Sketch:
    """Count finite *values*, shape (n,)."""
    return sketch_and_reach(values, np.zeros(0))[0]


def sketch_and_reach(
    values: Floats, edges: Floats, ends: tuple[float, float] | None = None
) -> tuple[Sketch, Cells]:
    """The sketch of finite *values*, shape (n,), and how many of them reach each of *edges*, shape (k,).

    *ends* are the least and the largest value, where they are known. A value is held against the edges only if
    it lies in the cell of one; of all others the counts of the cells say enough. That is a third of
    the time of comparing every value with every edge.

    >>> sketch_and_reach(np.arange(10.0), np.array([-1.0, 3.0, 3.5, 99.0]))[1]
    array([10,  7,  6,  0])
    """
    if not values.size:
        return Sketch(), np.zeros(len(edges), dtype=np.int64)
    known = ends or (float(values.min()), float(values.max()))
    first, last = _cells(np.asarray(known), 0)
    joins = max(0, int(last - first).bit_length() - _SPAN.bit_length() + 2)
    low = int(_cells(np.asarray(known[:1]), joins)[0])
    counts = np.zeros(_SPAN, dtype=np.int64)
    edge_cells = np.clip(_cells(edges, joins) - low, -1, _SPAN)
    has_edge = np.zeros(_SPAN + 2, dtype=np.bool_)
    has_edge[edge_cells + 1] = True
    near = has_edge[1:-1]
    reach = np.zeros(len(edges), dtype=np.int64)
    beside: list[Floats] = []
    for part in _parts(values):
        places = _cells(part, joins) - low
        counts += np.bincount(places, minlength=_SPAN)
        if len(edges):
            beside.append(np.compress(near.take(places), part))
            if sum(map(len, beside)) >= _PART:
                reach += _reaching(np.concatenate(beside), edges)
                beside = []
    if beside:
        reach += _reaching(np.concatenate(beside), edges)
    # From a cell on: all values in cells without an edge.
    onwards = np.append(np.cumsum(np.where(near, 0, counts)[::-1])[::-1], (0, 0))
    reach += onwards[edge_cells + 1]
    occupied = np.flatnonzero(counts)
    cells, counts = occupied + low, counts[occupied]
    # Too coarse only where few cells are occupied: each of those is looked into.
    while joins and len(cells) <= MOST_CELLS:
        finer = min(joins, (_SPAN // len(cells)).bit_length() - 1)
        cells, counts = _looked_into(values, cells, joins=joins, finer=finer)
        joins -= finer
    return _joined(joins, cells, counts), reach


def _reaching(values: Floats, edges: Floats) -> Cells:
    # A comparison an edge has no branch to mispredict: six times faster than a search.
    return np.array([np.count_nonzero(values >= edge) for edge in edges], dtype=np.int64)


def add(a: Sketch, b: Sketch) -> Sketch:
    """The sketch of both streams.

    >>> halves = sketch(np.arange(50.0)), sketch(np.arange(50.0, 500.0))
    >>> add(*halves) == sketch(np.arange(500.0))
    True
    """
    joins = max(a.joins, b.joins)
    cells = np.concatenate([_raised(side, joins) for side in (a, b)])
    counts = np.asarray((*a.counts, *b.counts), dtype=np.int64)
    return _joined(joins, *_grouped(cells, counts))


def quantiles(seen: Sketch, shares: Floats) -> Floats:
    """The values below which *shares* of the rows lie, straight lines within a cell.

    Raises:
        ValueError: The sketch is empty.
    """
    if not seen.counts:
        raise ValueError("an empty sketch has no quantiles")
    edges = bounds(seen)
    reached = np.cumsum((0, *seen.counts)) / sum(seen.counts)
    found: Floats = np.interp(shares, np.stack([reached[:-1], reached[1:]], axis=1).ravel(), edges.ravel())
    return found


def bounds(seen: Sketch) -> Floats:
    """Between which values the rows of each occupied cell lie, shape (cells, 2), ascending.

    Of the two ends the one nearer to zero is within the cell, the other is the first beyond it.

    >>> bounds(sketch(np.array([-3.0, 0.0, 2.0]))).round(3).tolist()
    [[-3.0, -3.0], [0.0, 0.0], [2.0, 2.0]]
    """
    cells = np.asarray(seen.cells)
    far = np.abs(cells) << seen.joins
    outer, inner = _begin(far + 1), _begin(np.maximum(far - (1 << seen.joins) + 1, 1))
    signed = np.sign(cells)[:, None] * np.stack([inner, outer], axis=1)
    found: Floats = np.sort(np.where(cells[:, None] == 0, 0.0, signed), axis=1)
    return found


def _begin(finest: Cells) -> Floats:
    """The least magnitude in each finest cell; cell 1 begins at `LEAST`, but for rounding."""
    begin: Floats = ((finest - 1 + _FIRST) << _BELOW).view(np.float64)
    return begin


def _parts(values: Floats) -> list[Floats]:
    return [values[at : at + _PART] for at in range(0, values.size, _PART)]


def _cells(values: Floats, joins: int) -> Cells:
    """The cells of finite *values* after so many joins, as `_raised` would find them from the finest."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    cells: Cells = bits & _MAGNITUDE
    cells -= _FIRST << _BELOW
    cells >>= _BELOW + joins
    cells += 1
    np.maximum(cells, 0, out=cells)
    if bits.min(initial=0) < 0:
        sign = bits >> 63
        cells ^= sign
        cells -= sign
    return cells


def _looked_into(values: Floats, cells: Cells, *, joins: int, finer: int) -> tuple[Cells, Cells]:
    """The same rows in cells that were joined *finer* times less; *cells* are those occupied now."""
    low, width = int(cells[0]), 1 << finer
    place = np.zeros(int(cells[-1]) - low + 1, dtype=np.int64)
    # A coarse cell c > 0 holds the finer ones ((c - 1) * width, c * width], and so below zero.
    firsts = np.where(cells > 0, (cells - 1) * width + 1, cells * width)
    place[cells - low] = np.arange(len(cells)) * width - firsts
    counts = np.zeros(len(cells) * width, dtype=np.int64)
    for part in _parts(values):
        within = _cells(part, joins - finer) + place[_cells(part, joins) - low]
        counts += np.bincount(within, minlength=counts.size)
    occupied = np.flatnonzero(counts)
    return firsts[occupied // width] + occupied % width, counts[occupied]


def _raised(side: Sketch, joins: int) -> Cells:
    cells = np.asarray(side.cells, dtype=np.int64)
    for _ in range(joins - side.joins):
        cells = _paired(cells)
    return cells


def _joined(joins: int, cells: Cells, counts: Cells) -> Sketch:
    while len(cells) > MOST_CELLS:
        joins += 1
        cells, counts = _grouped(_paired(cells), counts)
    return Sketch(joins=joins, cells=tuple(map(int, cells)), counts=tuple(map(int, counts)))


def _paired(cells: Cells) -> Cells:
    """Cells 1 and 2 become 1, 3 and 4 become 2, and so below zero."""
    paired: Cells = np.sign(cells) * ((np.abs(cells) + 1) // 2)
    return paired


def _grouped(cells: Cells, counts: Cells) -> tuple[Cells, Cells]:
    occupied, place = np.unique(cells, return_inverse=True)
    return occupied, np.bincount(place, weights=counts, minlength=len(occupied)).astype(np.int64)

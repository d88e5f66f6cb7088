"""Sums that are exact: the sum of float64 values rounded once, for one slice or for very many.

`math.fsum` gives it for one slice. For many slices of one array the same result comes
from integer prefix sums: every value is a multiple of the smallest bit in the array, so
it is cut into three 32-bit limbs whose prefix sums are exact (differences of int64 are
right even where the prefixes wrap around), and the three limb sums of a slice are added
with one rounding (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
IEEE Transactions on Computers 57(4), 2008, algorithm Add3). The cost does not depend on
how wide the slices are. Arrays whose values span more than 96 bits go through `fsum`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LIMB = 32
_LIMBS = 3
_MASK = np.int64(2**_LIMB - 1)
_WIDEST = 2**20  # events of a slice for which the top limb's sum stays below 2**53


def exact_sum(values: Sequence[float]) -> float:
    """The exact sum rounded once; infinite where float64 cannot hold it.

    >>> exact_sum([1e16, 1.0, -1e16])
    1.0
    """
    try:
        return math.fsum(values)
    except OverflowError:  # an intermediate sum; the whole may still fit
        total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def exact_sums(values: Floats, low: Ints, high: Ints) -> Floats:
    """The exact sum of each slice `values[low:high]`, bit for bit what `exact_sum` says.

    Args:
        values: Finite numbers, shape (n,).
        low: First index of each slice, shape (m,).
        high: One past the last, shape (m,); an empty slice sums to 0.
    """
    if not low.size or not values.size:
        return np.zeros(low.shape)
    mantissa, exponent = _integers(values)
    nonzero = mantissa != 0
    if not nonzero.any():
        return np.zeros(low.shape)
    unit = int(exponent[nonzero].min())
    magnitude = np.abs(mantissa)
    top = int((exponent + np.frexp(magnitude.astype(np.float64))[1])[nonzero].max())
    narrow = top - unit <= _LIMB * _LIMBS and unit > -1000 and top < 950
    if not narrow or int((high - low).max()) > _WIDEST:
        items = values.tolist()
        return np.array([exact_sum(items[i:j]) for i, j in zip(low.tolist(), high.tolist(), strict=True)])
    shift = np.where(nonzero, exponent - unit, 0)
    sums = [_limb_sums(magnitude, np.sign(mantissa), shift, limb, low, high) for limb in range(_LIMBS)]
    for limb in range(_LIMBS - 1):
        sums[limb + 1] = sums[limb + 1] + (sums[limb] >> _LIMB)
        sums[limb] = sums[limb] & _MASK
    parts = [np.ldexp(one.astype(np.float64), _LIMB * limb) for limb, one in enumerate(sums)]
    return np.ldexp(_add_three(parts[2], parts[1], parts[0]), unit) + 0.0


def _integers(values: Floats) -> tuple[Ints, NDArray[np.int32]]:
    """Each value as an odd integer (or 0) times a power of two."""
    fraction, exponent = np.frexp(values)
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    lowest = mantissa & -mantissa
    zeros = np.where(mantissa == 0, 0, np.frexp(lowest.astype(np.float64))[1] - 1)
    return mantissa >> zeros, (exponent - 53 + zeros).astype(np.int32)


def _limb_sums(
    magnitude: Ints, sign: Ints, shift: NDArray[np.int32], limb: int, low: Ints, high: Ints
) -> Ints:
    """Each slice's sum of the bits [32 * limb, 32 * limb + 32) of `sign * (magnitude << shift)`."""
    left = shift - _LIMB * limb
    raised = np.where(left < _LIMB, magnitude << np.clip(left, 0, _LIMB - 1), 0)
    bits = np.where(left >= 0, raised, magnitude >> np.clip(-left, 0, 63)) & _MASK
    running = np.zeros(magnitude.size + 1, dtype=np.int64)
    np.cumsum(bits * sign, out=running[1:])
    return running[high] - running[low]


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Knuth's error-free sum: the rounded sum and what rounding left."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _add_three(a: Floats, b: Floats, c: Floats) -> Floats:
    """`a + b + c` with one rounding."""
    upper, lower = _two_sum(b, c)
    total, rest = _two_sum(a, upper)
    return total + _round_to_odd(rest, lower)


def _round_to_odd(a: Floats, b: Floats) -> Floats:
    """`a + b`, rounded to the neighbour with an odd last bit where it is not exact."""
    total, rest = _two_sum(a, b)
    bits = total.view(np.int64)
    inexact = (rest != 0) & (bits & 1 == 0)
    step = np.where((rest > 0) == (total > 0), 1, -1)
    return np.where(inexact, bits + step, bits).view(np.float64)

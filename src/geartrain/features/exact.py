"""Sums that are exact: the sum of float64 values rounded once, for one slice or for very many.

`math.fsum` gives it for one slice. For many slices of one array the same result comes
from *integer* prefix sums: every float64 is a whole multiple of a power of two, so it is
cut into 32-bit limbs whose prefix sums are exact (differences of int64 are right even
where the prefixes wrap around). The limb sums of a slice are carried into one long
integer, whose three highest limbs and one sticky bit for the rest are added with one
rounding (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE
Transactions on Computers 57(4), 2008, algorithm Add3). The cost of a slice does not
depend on its width, and no value touches the sum of a slice that does not hold it: a
floating prefix sum would let one 1e15 spoil every later key.

Values that lie outside the 192 bits that hold most of them go through `fsum`, slice by slice.

Few values that lie close together need no limbs: each is split without error into two
float64 whose sums are exact in float64 as well, and a slice is one addition of the two
(Rump, Ogita and Oishi, "Accurate floating-point summation part I", SIAM Journal on
Scientific Computing 31(1), 2008, the extraction of a vector).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LIMB = 32
_MOST_LIMBS = 6
_MASK = np.int64(2**_LIMB - 1)
_MANTISSA = 53
_EXPONENT_BIAS = 1075  # a float64 with exponent field e is its 53-bit mantissa times 2**(e - 1075)
_EXPONENTS = 2048
_SHORT = 8  # slices that hold at most so many times all values are walked through
_FEW = 2**16  # more values seldom lie close enough together to be halved
_LOWEST, _HIGHEST = -1022, 1022  # exponents between which nothing under- or overflows


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


def exact_units(values: Floats) -> int:
    """The exact sum of finite *values* as a whole multiple of 2**-1074.

    >>> exact_units(np.array([1e16, 0.5, -1e16])) == 2**1073
    True
    """
    fraction, exponent = np.frexp(values)
    mantissa = np.ldexp(fraction, _MANTISSA).astype(np.int64)
    powers, place = np.unique(exponent, return_inverse=True)
    # 27 bits at a time: sums of up to 2**26 of them are exact in the float64 that bincount adds with.
    upper, lower = (
        np.bincount(place, weights=part.astype(np.float64), minlength=powers.size).tolist()
        for part in (mantissa >> 27, mantissa & (2**27 - 1))
    )
    total = 0
    for power, above, below in zip(powers.tolist(), upper, lower, strict=True):
        units = (int(above) << 27) + int(below)
        shift = power - _MANTISSA + 1074
        total += units << shift if shift >= 0 else units >> -shift  # a subnormal's low bits are 0
    return total


def exact_sums(values: Floats, low: Ints, high: Ints) -> Floats:
    """The exact sum of each slice `values[low:high]`, bit for bit what `exact_sum` says.

    Args:
        values: Finite numbers, shape (n,).
        low: First index of each slice, shape (m,).
        high: One past the last, shape (m,); an empty slice sums to 0.
    """
    return ExactSums(values).of(low, high)


class ExactSums:
    """Exact prefix sums of finite *values*, shape (n,): prepared once, asked for any slices.

    Holds 8 bytes a value and limb: three limbs for amounts in cents, at most six.
    """

    __slots__ = ("_halves", "_odd", "_prefixes", "_unit", "_values")

    def __init__(self, values: Floats) -> None:
        self._values = np.ascontiguousarray(values, dtype=np.float64)
        self._halves = _halves(self._values)
        if self._halves is None:
            self._cut()

    def _cut(self) -> None:
        """Cut the values into limbs and sum those up."""
        bits = self._values.view(np.int64)
        field = (bits >> 52) & 0x7FF
        mantissa = bits & (2**52 - 1)
        mantissa += np.where(field > 0, 2**52, 0)
        exponent = np.maximum(field, 1)
        first, last = _commonest(exponent[mantissa != 0])
        odd = (mantissa != 0) & ((exponent < first) | (exponent > last))
        self._odd: Ints | None = _running(odd.astype(np.int64)) if odd.any() else None
        if self._odd is not None:
            mantissa[odd] = 0
        sign = np.where(bits < 0, -1, 1)
        shift = exponent - first
        limbs = -(-(last - first + _MANTISSA) // _LIMB)
        self._unit = int(first) - _EXPONENT_BIAS
        self._prefixes = tuple(_running(_limb(mantissa, shift, place) * sign) for place in range(limbs))

    def of(self, low: Ints, high: Ints) -> Floats:
        """The exact sum of each slice `values[low:high]`, shape (m,)."""
        if not low.size or not self._values.size:
            return np.zeros(low.shape)
        if self._halves is not None:
            upper, lower = (slice_sums(part, low, high) for part in self._halves)
            return upper + lower
        sums = [running[high] - running[low] for running in self._prefixes]
        result = _rounded(sums, self._unit)
        if self._odd is not None:
            for place in np.flatnonzero(self._odd[high] > self._odd[low]).tolist():
                result[place] = exact_sum(self._values[low[place] : high[place]].tolist())
        return result


def is_short(values: Floats | Ints, low: Ints, high: Ints) -> bool:
    """Whether slices hold so little over all that walking through them is cheapest."""
    return int((high - low).sum()) <= _SHORT * values.size


def walked(operation: np.ufunc, values: Floats | Ints, low: Ints, high: Ints) -> Any:
    """The *operation* over each slice, anything for an empty one: walks through every slice."""
    edges = np.empty(2 * low.size, dtype=np.int64)
    edges[::2], edges[1::2] = low, high
    # Behind the last value stands one more, because an edge may lie there.
    return operation.reduceat(np.append(values, values[-1:]), edges)[::2]


def slice_sums(values: Floats, low: Ints, high: Ints) -> Floats:
    """The sum of each slice of values all of whose sums are exact, so that their order does not matter."""
    if is_short(values, low, high):
        return np.where(high > low, walked(np.add, values, low, high), 0.0)
    running = np.zeros(values.size + 1)
    np.cumsum(values, out=running[1:])
    return running[high] - running[low]


def _halves(values: Floats) -> tuple[Floats, Floats] | None:
    """The values' upper and lower halves, all sums of either exact; None where two halves do not hold them.

    With at most 2**m values below 2**e, adding and taking away 2**(e + m) leaves what is a
    whole multiple of 2**(e + m - 53), so that any sum of it fits; the rest is at most
    2**(e + m - 53), and its sums fit too where the smallest value's last bit is not too far down.
    """
    if not 0 < values.size <= _FEW:
        return None
    sizes = np.abs(values)
    largest = float(sizes.max())
    smallest = float(sizes.min(where=sizes > 0, initial=np.inf))
    if not largest < np.inf:
        return None
    if largest == 0:
        return np.zeros_like(values), np.zeros_like(values)
    many = int(values.size).bit_length()
    top = math.frexp(largest)[1] + many
    last_bit = math.frexp(smallest)[1] - _MANTISSA
    if not last_bit > _LOWEST or top > _HIGHEST or top + many - 2 * _MANTISSA > last_bit:
        return None
    far = math.ldexp(1.0, top)
    upper = (values + far) - far
    return upper, values - upper


def _commonest(exponents: Ints) -> tuple[int, int]:
    """The exponents, first and last, of the span of at most 192 bits that holds most values."""
    if not exponents.size:
        return 1, 1
    first, last = int(exponents.min()), int(exponents.max())
    most = _LIMB * _MOST_LIMBS - _MANTISSA
    if last - first <= most:
        return first, last
    counted = np.cumsum(np.bincount(exponents, minlength=_EXPONENTS + most))
    inside = counted[most:] - np.concatenate([[0], counted[: -most - 1]])
    first = int(np.argmax(inside))
    return first, first + most


def _limb(mantissa: Ints, shift: Ints, place: int) -> Ints:
    """The bits [32 * place, 32 * place + 32) of `mantissa << shift`."""
    left = shift - _LIMB * place
    raised = np.where(left < _LIMB, mantissa << np.clip(left, 0, _LIMB - 1), 0)
    return np.where(left >= 0, raised, mantissa >> np.clip(-left, 0, 63)) & _MASK


def _running(values: Ints) -> Ints:
    running = np.zeros(values.size + 1, dtype=np.int64)
    np.cumsum(values, out=running[1:])
    return running


def _rounded(sums: list[Ints], unit: int) -> Floats:
    """`sum(limb * 2 ** (32 * place + unit))`, rounded once; the limbs are changed."""
    sums.append(np.zeros_like(sums[0]))
    _carry(sums)
    negative = sums[-1] < 0
    if negative.any():
        for limb in sums:
            np.negative(limb, out=limb, where=negative)
        _carry(sums)
    while len(sums) > 3 and not sums[-1].any():
        sums.pop()
    while len(sums) < 3:
        sums.append(np.zeros_like(sums[0]))
    high, middle, low = sums[-1], sums[-2], sums[-3]
    scale = np.full(high.shape, _LIMB * (len(sums) - 3), dtype=np.int32)
    if len(sums) > 3:
        high, middle, low, scale = _highest(sums)
    floats = [
        np.ldexp(one.astype(np.float64), _LIMB * place) for place, one in enumerate((low, middle, high))
    ]
    total = _add_three(floats[2], floats[1], floats[0])
    return np.ldexp(np.where(negative, -total, total), scale + unit) + 0.0


def _carry(sums: list[Ints]) -> None:
    """Bring every limb but the highest into [0, 2**32), the highest takes what is left."""
    for place in range(len(sums) - 1):
        sums[place + 1] += sums[place] >> _LIMB
        sums[place] &= _MASK


def _highest(sums: list[Ints]) -> tuple[Ints, Ints, Ints, NDArray[np.int32]]:
    """The three highest limbs from the first that is not 0, a sticky bit for the rest, and their scale."""
    high, middle, low = sums[2].copy(), sums[1].copy(), sums[0].copy()
    scale = np.zeros(high.shape, dtype=np.int32)
    sticky = np.zeros(high.shape, dtype=bool)
    for place in range(3, len(sums)):
        sticky |= sums[place - 3] != 0
        here = sums[place] != 0
        if not here.any():
            continue
        high[here], middle[here] = sums[place][here], sums[place - 1][here]
        low[here] = sums[place - 2][here] | sticky[here]
        scale[here] = _LIMB * (place - 2)
    return high, middle, low, scale


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

"""What one row of a series is worth when neighbouring rows are alike.

A bet that treats alike rows as independent ones counts the same news many times. Raising
its wealth to the power `worth` = 1 / (variance inflation) mends that: sums over stretches
that are long against the correlation then have the variance that the bet was priced for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.stats.intervals import normal_quantile

Floats = NDArray[np.float64]

#: With fewer blocks than this a variance of block means says nothing.
FEWEST_BLOCKS = 20
#: Neighbouring blocks are alike when their correlation is this many standard errors above zero ...
LOUD = 2.0
#: The chance that `surely` takes independent rows for alike ones; it is shared among the lengths that are looked at.
FALSE_HIT = 0.025
#: Blocks must be this many times longer than the longest stretch that is alike.
_LONGER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike neighbouring rows of a series are.

    Attributes:
        rows: How many there were.
        worth: How many independent rows one of them is worth, in (0, 1].
        alike: The longest blocks whose neighbours are still alike, in rows; 0 where none are.
    """

    rows: int
    worth: float = 1.0
    alike: int = 0

    @property
    def effective(self) -> float:
        """How many independent rows all of them are worth."""
        return self.rows * self.worth

    @property
    def needed(self) -> int:
        """The rows from which `worth` is measured on blocks as long as they should be."""
        return FEWEST_BLOCKS * _LONGER * self.alike

    @property
    def is_too_short(self) -> bool:
        """Whether what is alike lasts too long to be measured on so few rows: `worth` is then too high."""
        return self.needed > self.rows


def row_worth(losses: Floats, *, doubt: float, surely: bool = False) -> float:
    """How many independent rows one row of *losses*, shape (n,) in their order, is worth, in (0, 1].

    The variance of the means of long blocks is set against the variance of rows (batch
    means). Blocks are four times as long as the longest at which neighbours are still
    alike. The inflation is an upper limit that its estimate breaks with a probability of
    about *doubt*, so that the answer errs on the side of fewer rows. Where no length shows
    a correlation the answer is 1: what is too weak to be seen here is not corrected.
    As each length is asked alone, about one reference of independent rows in eight is corrected for
    nothing. Where that costs more than it saves, *surely* corrects only what one length shows
    at 2.5 % for all of them together.

    Assumes: stationary, and correlated over much less than a twentieth of the rows given.

    >>> row_worth(np.tile([0.0, 1.0], 500), doubt=0.01)
    1.0
    """
    return likeness(losses, doubt=doubt, surely=surely).worth


def likeness(losses: Floats, *, doubt: float, surely: bool = False) -> Likeness:
    """What `row_worth` says of *losses*, and whether they are enough for it.

    Of series of 1,000 independent rows about one in thirty is called too short, by chance.
    """
    values = np.asarray(losses, dtype=np.float64)
    rows = values.size
    spread = float(values.var()) if rows else 0.0
    longest = rows // FEWEST_BLOCKS
    if longest < 1 or spread <= 0:
        return Likeness(rows=rows)
    lengths = [2**power for power in range(longest.bit_length())]
    heard = {length: _heard(block_means(values, length)) for length in lengths}
    if max(heard.values()) <= (normal_quantile(1.0 - FALSE_HIT / len(lengths)) if surely else LOUD):
        return Likeness(rows=rows)
    alike = max(length for length, height in heard.items() if height > LOUD)
    length = min(_LONGER * alike, longest)
    means = block_means(values, length)
    from scipy.special import chdtri

    freedom = means.size - 1
    inflation = length * float(means.var(ddof=1)) / spread * freedom / float(chdtri(freedom, 1.0 - doubt))
    worth = min(1.0, 1.0 / inflation) if inflation > 0 else 1.0
    return Likeness(rows=rows, worth=worth, alike=alike)


def block_means(values: Floats, length: int) -> Floats:
    """The means of whole blocks of *length* rows; the last rows that fill none are left out."""
    whole = values.size // length * length
    means: Floats = values[:whole].reshape(-1, length).mean(axis=1)
    return means


def _heard(means: Floats) -> float:
    """The correlation of each value with the one before it, in standard errors of one that is not there."""
    centred = means - means.mean()
    power = float((centred**2).sum())
    found = float((centred[1:] * centred[:-1]).sum()) / power if power > 0 else 0.0
    return found * math.sqrt(means.size)

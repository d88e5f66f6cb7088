"""Column breaks: changes that come from the pipe and not from the world.

A world that changes bends a distribution; a pipe that breaks moves, scales, empties or
freezes it. So the current quantiles are fitted as a line over the reference's: if they
lie on it and the line is not the identity, somebody changed the unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.monitoring.profile import NumberColumn
from geartrain.monitoring.sketch import quantiles

Floats = NDArray[np.float64]

#: The fit must be at least this good: a real widening of a population reaches .972.
BEST_FIT = 0.995
#: A slope within this factor of 1 is no other unit.
OTHER_SLOPE = 1.5
#: Nor is a shift of the median by fewer reference interquartile ranges than this.
OTHER_MEDIAN = 2.0
#: A unit is only read from columns with this many different values ...
FEWEST_CELLS = 10
#: ... and rows.
FEWEST_ROWS = 50
_SHARES = np.arange(0.02, 0.99, 0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitChange:
    """The current values look like slope x old values + offset."""

    slope: float
    offset: float
    fit: float

    @property
    def sentence(self) -> str:
        """The change in words."""
        offset = (
            "" if abs(self.offset) < 1e-9 else f" {'+' if self.offset > 0 else '-'} {abs(self.offset):.3g}"
        )
        return f"new values look like {self.slope:.3g} x old ones{offset} (fit {self.fit:.4f})"


def unit_change(reference: NumberColumn, current: NumberColumn) -> UnitChange | None:
    """Tell whether *current* is the reference in another unit, or None.

    A population whose spread or place really changed by a factor of 1.5 or by two
    interquartile ranges, and nothing else, looks the same; the person who is called decides.
    """
    if min(reference.known, current.known) < FEWEST_ROWS or current.constant or reference.constant:
        return None
    if min(len(reference.sketch.cells), len(current.sketch.cells)) < FEWEST_CELLS:
        return None
    before, after = quantiles(reference.sketch, _SHARES), quantiles(current.sketch, _SHARES)
    slope, offset = np.polyfit(before, after, 1)
    left = float(((after - (slope * before + offset)) ** 2).sum())
    fit = 1 - left / float(((after - after.mean()) ** 2).sum())
    middle, quarter = len(before) // 2, len(before) // 4
    moved = abs(after[middle] - before[middle]) / max(before[-quarter - 1] - before[quarter], 1e-300)
    rescaled = slope > 0 and abs(math.log(slope)) >= math.log(OTHER_SLOPE)
    if fit < BEST_FIT or not (rescaled or moved >= OTHER_MEDIAN):
        return None
    # An offset that is small against the spread is what the fit leaves over, not a shift.
    whole = 0.0 if abs(offset) < 0.05 * float(after[-1] - after[0]) else float(offset)
    return UnitChange(slope=float(slope), offset=whole, fit=fit)

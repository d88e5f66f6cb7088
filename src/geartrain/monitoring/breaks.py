"""Column breaks: changes that come from the pipe and not from the world.

A world that changes bends a distribution; a pipe that breaks moves, scales, empties or
freezes it. So the current quantiles are fitted as a line over the reference's. That they
lie on it is one witness, and not enough: prices that rose for everybody lie on it too.
A unit is only named with a second one: the factor is one that units have (10, 100, 60, ...),
or the column jumped from one day to the next while no column but its own kin moved.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.monitoring.profile import NumberColumn
from geartrain.monitoring.sketch import quantiles
from geartrain.stats import distance

Floats = NDArray[np.float64]

#: The fit must be at least this good. A real widening of a population reaches .972, and 2,000
#: rows with a heavy tail only .991 where nothing but the unit changed: the finer test is `UNDONE`.
BEST_FIT = 0.98
#: A slope within this factor of 1 is no other unit.
OTHER_SLOPE = 1.5
#: Nor is a shift of the median by fewer reference interquartile ranges than this.
OTHER_MEDIAN = 2.0
#: A unit is only read from columns with this many different values ...
FEWEST_CELLS = 10
#: ... and rows.
FEWEST_ROWS = 50
#: With the change undone, the column may differ from the reference by this PSI ...
UNDONE = 0.02
#: ... beyond what sampling hides but once in so many columns.
UNDONE_ALPHA = 0.001
#: Factors that sizes, times and shares are rescaled by when somebody changes a unit.
FACTORS = (10.0, 100.0, 1000.0, 1e4, 1e5, 1e6, 1e9, 60.0, 3600.0, 24.0, 86_400.0)
#: How close the best slope must come to one of them before that one is tried itself.
NEAR = 0.1
#: A jump has done this share of the change within one day.
AT_ONCE = 0.8
#: The least number of days from which a jump can be told from a slope.
FEWEST_DAYS = 4
_SHARES = np.arange(0.02, 0.99, 0.02)
_GRID = np.linspace(0.0, 1.0, 1025)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitChange:
    """The current values look like slope x old values + offset, and a second witness agrees."""

    slope: float
    offset: float
    fit: float
    witness: str

    @property
    def sentence(self) -> str:
        """The change in words."""
        offset = (
            "" if abs(self.offset) < 1e-9 else f" {'+' if self.offset > 0 else '-'} {abs(self.offset):.3g}"
        )
        return (
            f"new values look like {self.slope:.3g} x old ones{offset} (fit {self.fit:.4f}); {self.witness}"
        )


def unit_change(
    reference: NumberColumn,
    current: NumberColumn,
    *,
    moved: Collection[str] = (),
    days: Sequence[float] | None = None,
) -> UnitChange | None:
    """Tell whether *current* is the reference in another unit, or None.

    *moved* are the names of all columns that have drifted, *days* the column's medians day by day
    up to now; None says that there is one window and nothing more to tell a jump by.
    A world that changes one column by one factor from one day to the next, and nothing else,
    looks the same; the person who is called decides.
    """
    line = _line(reference, current)
    if line is None:
        return None
    slope, offset, fit = line
    factor = next((one for one in FACTORS if offset == 0.0 and slope in (one, 1 / one)), None)
    others = strangers(reference.name, moved)
    if factor is not None:
        times = f"{factor:g}" if slope > 1 else f"1/{factor:g}"
        return UnitChange(
            slope=slope, offset=offset, fit=fit, witness=f"units differ by such a factor, {times}"
        )
    if others or (days is not None and not at_once(days)):
        return None
    witness = "it came at once, and no column that is not made of it moved"
    return UnitChange(slope=slope, offset=offset, fit=fit, witness=witness)


def swapped(reference: Sequence[NumberColumn], current: Sequence[NumberColumn]) -> dict[str, str]:
    """Which columns have changed places: each now looks as the other did before, by its own name.

    Both directions must hold, and each must look unlike itself, which the caller has found.
    """
    found: dict[str, str] = {}
    for place, (a, now_a) in enumerate(zip(reference, current, strict=True)):
        for b, now_b in list(zip(reference, current, strict=True))[place + 1 :]:
            if min(now_a.known, now_b.known) < FEWEST_ROWS or a.name in found or b.name in found:
                continue
            if _undone(a, now_b, 1.0, 0.0) and _undone(b, now_a, 1.0, 0.0):
                found[a.name], found[b.name] = b.name, a.name
    return found


def strangers(name: str, moved: Collection[str]) -> tuple[str, ...]:
    """Those of *moved* that are no kin of the column *name*, by what features are called.

    A window over `amount` is called `card_mean_amount_7d`; two such windows are kin where the
    column that both are made of moved as well.

    >>> strangers("amount", ["amount", "card_mean_amount_7d", "hour"])
    ('hour',)
    """
    roots = [one for one in moved if one != name and _within(one, name)] + [name]
    return tuple(
        other
        for other in moved
        if other != name and not any(_within(root, other) or _within(other, root) for root in roots)
    )


def at_once(days: Sequence[float]) -> bool:
    """Whether the level of *days*, medians in their order, jumped between two of them.

    >>> at_once([10, 11, 10, 45, 44, 46]), at_once([10, 17, 24, 31, 38, 45])
    (True, False)
    """
    known = np.asarray([one for one in days if math.isfinite(one)])
    if len(known) < FEWEST_DAYS:
        return False
    levels = np.log(known) if (known > 0).all() else known
    left = [
        float(
            ((levels[:cut] - levels[:cut].mean()) ** 2).sum()
            + ((levels[cut:] - levels[cut:].mean()) ** 2).sum()
        )
        for cut in range(1, len(levels))
    ]
    cut = int(np.argmin(left)) + 1
    whole = abs(float(np.median(levels[cut:]) - np.median(levels[:cut])))
    noise = math.sqrt(min(left) / len(levels))
    return whole > 2 * noise and abs(float(levels[cut] - levels[cut - 1])) >= AT_ONCE * whole


def _within(part: str, whole: str) -> bool:
    """Whether the words of one name stand in the other, one after the other."""
    return f"_{part}_" in f"_{whole}_"


def _line(reference: NumberColumn, current: NumberColumn) -> tuple[float, float, float] | None:
    """Slope, offset and fit of the change of unit that explains *current* best; None if none does."""
    if min(reference.known, current.known) < FEWEST_ROWS or current.constant or reference.constant:
        return None
    if min(len(reference.sketch.cells), len(current.sketch.cells)) < FEWEST_CELLS:
        return None
    before, after = quantiles(reference.sketch, _SHARES), quantiles(current.sketch, _SHARES)
    middle, quarter = len(before) // 2, len(before) // 4
    moved = abs(after[middle] - before[middle]) / max(before[-quarter - 1] - before[quarter], 1e-300)
    for slope, offset in _candidates(before, after):
        left = float(((after - (slope * before + offset)) ** 2).sum())
        fit = 1 - left / float(((after - after.mean()) ** 2).sum())
        rescaled = slope > 0 and abs(math.log(slope)) >= math.log(OTHER_SLOPE)
        if fit < BEST_FIT or slope <= 0 or not (rescaled or moved >= OTHER_MEDIAN):
            continue
        if _undone(reference, current, slope, offset):
            return slope, offset, fit
    return None


def _candidates(before: Floats, after: Floats) -> list[tuple[float, float]]:
    """A factor that units have, another scale, another zero, or both: the simplest that fits is taken."""
    slope, offset = (float(one) for one in np.polyfit(before, after, 1))
    lines = []
    if (before > 0).all() and (after > 0).all():
        scale = float(np.exp(np.median(np.log(after / before))))
        near = [one for known in FACTORS for one in (known, 1 / known) if abs(math.log(scale / one)) <= NEAR]
        lines += [(one, 0.0) for one in (*near, scale)]
    # An offset that is small against the spread is what the fit leaves over, not a shift.
    small = abs(offset) < 0.05 * float(after[-1] - after[0])
    return [*lines, (1.0, float(np.median(after - before))), (slope, 0.0 if small else offset)]


def _undone(reference: NumberColumn, current: NumberColumn, slope: float, offset: float) -> bool:
    """Whether the current column, with the change undone, may well be the reference's."""
    values = quantiles(current.sketch, _GRID)
    edges = slope * np.asarray(reference.edges) + offset
    below = np.concatenate([[0.0], np.interp(edges, values, _GRID), [1.0]])
    counts = np.rint(np.diff(below) * current.known).astype(np.int64)
    before, after = distance.join_thin(np.asarray(reference.counts, dtype=np.int64), counts, ordered=True)
    hidden = float(distance.reference_error(bins=len(before), n=float(reference.known), alpha=UNDONE_ALPHA))
    p = distance.p_larger(
        distance.psi(before, after),
        smallest=(math.sqrt(UNDONE) + math.sqrt(hidden)) ** 2,
        bins=len(before),
        n=math.inf,
        m=float(current.known),
    )
    return float(p) >= UNDONE_ALPHA

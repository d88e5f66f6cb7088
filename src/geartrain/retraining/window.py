"""Which past to learn from: the windows are tried on the last labelled block, the cheapest wins.

Learning only from what came after an alarm is often worse than never retraining: the
rows are few and the alarm may be late. So the choice is made by back-test, and a shorter
window must beat a longer one clearly: many rows need no luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

#: A shorter window must be cheaper than the best longer one by this share of its cost.
LEAST_GAIN = 0.02
#: The last part of the window's labelled rows that windows are tried on.
BLOCK = 0.2
#: Known costs of the champion's decisions that its mean on the block needs.
FEWEST_DECIDED = 50
#: All rows, weighted: in so many parts of the contract's window a row's weight falls to a half.
HALF_LIVES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows since a time; None means all.

    Attributes:
        half_life_s: In this time a row's weight falls to a half; None weighs all alike.
    """

    name: str
    since: datetime | None
    half_life_s: float | None = None

    def weights(self, times_us: Times) -> Floats | None:
        """How much rows at *times_us* count, shape (n,), mean 1; None where all count alike."""
        if self.half_life_s is None or not len(times_us):
            return None
        ages_s = (times_us.max() - times_us) / 1e6
        weights = np.exp2(-ages_s / self.half_life_s)
        return np.asarray(weights / weights.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a model trained on one window cost per decision on the block; None where none could be trained."""

    window: Window
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The window to train on, and why."""

    window: Window
    tried: tuple[Tried, ...]
    reason: str

    def promises_more_than(self, champion: float | None) -> bool:
        """Whether the chosen window's model was clearly cheaper on the block than the *champion*, which cost that there.

        Where either was not measured nothing speaks against it.
        """
        cost = next((one.cost for one in self.tried if one.window == self.window), None)
        return cost is None or champion is None or _clearly_cheaper(cost, champion)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Incumbent:
    """What the champion's own decisions cost.

    Attributes:
        since: When it went live; it was taught by nothing later.
        at_us: When it decided, in microseconds, shape (n,).
        costs: What each decision cost; NaN while that is not known, shape (n,).
    """

    since: datetime
    at_us: Times
    costs: Floats

    def cost_since(self, begin: datetime) -> float | None:
        """The mean cost of the decisions since *begin*; None where it went live later or fewer than fifty are known.

        >>> from datetime import UTC
        >>> day = datetime(2026, 1, 1, tzinfo=UTC)
        >>> at_us = int(day.timestamp()) * 1_000_000 + np.arange(100)
        >>> Incumbent(since=day, at_us=at_us, costs=np.ones(100)).cost_since(day)
        1.0
        """
        if self.since > begin:
            return None
        found = self.costs[self.at_us >= round(begin.timestamp() * 1e6)]
        known = found[np.isfinite(found)]
        return float(known.mean()) if len(known) >= FEWEST_DECIDED else None


def block_start(times_us: Times, *, window_s: float | None) -> int:
    """Where the block begins on which windows are tried: the last fifth of the contract's window, or of all rows.

    A block as long as a fifth of a long history would ask which window was best years ago.
    """
    if window_s is None:
        return int(np.quantile(times_us, 1 - BLOCK))
    recent = times_us[times_us >= times_us.max() - int(window_s * 1e6)]
    return int(np.quantile(recent, 1 - BLOCK))


def candidates(*, changed: datetime | None, window_s: float | None, until: datetime) -> tuple[Window, ...]:
    """The windows worth trying, the longest first: all, all weighted, the contract's, since the change.

    *until* is the beginning of the block that they will be tried on. A change that is
    not before it leaves nothing to learn from and is no candidate. Weighted are the rows by
    age, with half a contract's window as their half-life; without a window none is tried.
    """
    found = [Window(name="all", since=None)]
    short: list[Window] = []
    if window_s is not None:
        found.append(Window(name="weighted", since=None, half_life_s=window_s / HALF_LIVES))
        short.append(Window(name="last", since=until - timedelta(seconds=window_s)))
    if changed is not None and changed < until:
        short.append(Window(name="since the change", since=changed))
    return (*found, *sorted(short, key=lambda one: one.since or until))


def choose_window(windows: tuple[Window, ...], score: Callable[[Window], float | None]) -> Choice:
    """Try each window with *score*, the mean cost on the last labelled block of a model taught on it.

    *score* gives None (or NaN) where no model can be trained, such as on one class only.
    *windows* go from the longest to the shortest; where none can be tried the first is
    taken, and that is said.

    >>> from datetime import UTC
    >>> day = datetime(2026, 1, 1, tzinfo=UTC)
    >>> windows = candidates(changed=day, window_s=None, until=day + timedelta(days=9))
    >>> choose_window(windows, lambda one: 0.3 if one.since else 0.5).window.name
    'since the change'

    Raises:
        ValueError: There is no window to choose from.
    """
    if not windows:
        raise ValueError("there is no window to choose from")
    tried = tuple(Tried(window=window, cost=_number(score(window))) for window in windows)
    best: Tried | None = None
    for one in tried:
        if one.cost is not None and (best is None or _clearly_cheaper(one.cost, best.cost)):
            best = one
    if best is None:
        return Choice(
            window=windows[0],
            tried=tried,
            reason="no window could be tried on labelled rows; the longest is taken",
        )
    told = ", ".join(
        f"{one.window.name}: {'not trainable' if one.cost is None else f'{one.cost:.4g}'}" for one in tried
    )
    return Choice(
        window=best.window, tried=tried, reason=f"cheapest on the last labelled block ({told} per decision)"
    )


def _clearly_cheaper(cost: float, than: float | None) -> bool:
    return than is None or cost < than - LEAST_GAIN * abs(than)


def _number(cost: float | None) -> float | None:
    return cost if cost is not None and math.isfinite(cost) else None

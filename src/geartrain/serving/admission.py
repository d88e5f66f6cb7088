"""Load shedding: say no early, so that the answers that are given keep the latency promise.

By Little's law the wait of a new request is about the number in the server times the
mean time between two answers. Where that is far beyond what the contract promises, a
quick "try again" is worth more to the client than a late answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: How much the newest gap between answers counts in the mean.
_WEIGHT: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """When requests are shed.

    Attributes:
        most_in_flight: Never more than this many at once.
        always: This many at once are always taken, and answered however late; fewer say nothing about load.
        patience: How many times the promised latency a request may be expected to wait, and may
            have waited when its turn comes: later than that its answer is worth no call of the model.
    """

    most_in_flight: int = 2048
    always: int = 64
    patience: float = 4.0


class Admission:
    """Counts what is in the server. Times are seconds of a steady clock that the caller reads."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self._limits = limits or AdmissionLimits()
        self._gap_s = 0.0
        self._last_s: float | None = None
        self.in_flight = 0

    def enter(self, now_s: float, *, promised_s: float | None) -> int | None:
        """Take the request and return None, or the whole seconds after which to try again."""
        wait_s = self.in_flight * self._gap_s
        is_late = promised_s is not None and wait_s > promised_s * self._limits.patience
        crowded = self.in_flight >= self._limits.always
        if self.in_flight >= self._limits.most_in_flight or (crowded and is_late):
            return max(1, math.ceil(wait_s))
        if self.in_flight == 0:
            self._last_s = now_s
        self.in_flight += 1
        return None

    @property
    def is_crowded(self) -> bool:
        """Whether so many are in the server that late ones are in the way of others."""
        return self.in_flight >= self._limits.always

    def last_turn_s(self, arrived_s: float, *, promised_s: float | None) -> float:
        """Until when the turn of a request that *arrived_s* may come; infinite where nothing is promised."""
        return math.inf if promised_s is None else arrived_s + promised_s * self._limits.patience

    def leave(self, now_s: float) -> None:
        """An admitted request was answered."""
        self.in_flight -= 1
        if self._last_s is not None:
            gap = max(0.0, now_s - self._last_s)
            self._gap_s = gap if self._gap_s == 0.0 else self._gap_s + _WEIGHT * (gap - self._gap_s)
        self._last_s = now_s

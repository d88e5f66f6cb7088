"""A circuit breaker: a model that fails call after call is not asked for a while.

Each failing call costs its rows the time of a model that does not answer. After some in
a row the model rests; then one call tries it again, and it is back or rests once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When a model is let rest.

    Attributes:
        failures: So many calls in a row must have failed, every row of each of them.
        rest: How long it is not asked then.
    """

    failures: int = 5
    rest: timedelta = timedelta(seconds=10)


@dataclass(slots=True)
class _State:
    failed: int = 0
    rests_until: datetime | None = None


class Breakers:
    """A breaker for each release of a lane; a release that was never seen is trusted."""

    def __init__(self, limits: BreakerLimits | None = None) -> None:
        self._limits = limits or BreakerLimits()
        self._states: dict[str, _State] = {}

    def lets(self, release: str, now: datetime) -> bool:
        """Whether the release's model may be asked."""
        state = self._states.get(release)
        if state is None or state.rests_until is None:
            return True
        if now < state.rests_until:
            return False
        # One call tries it; until that is told, the others go on without it.
        state.rests_until = now + self._limits.rest
        return True

    def tell(self, release: str, now: datetime, *, failed: bool) -> None:
        """How a call of the release's model ended."""
        if not failed:
            self._states.pop(release, None)
            return
        state = self._states.setdefault(release, _State())
        state.failed += 1
        if state.failed >= self._limits.failures:
            state.rests_until = now + self._limits.rest

    def resting(self) -> tuple[str, ...]:
        """The releases whose models rest, sorted."""
        return tuple(sorted(name for name, one in self._states.items() if one.rests_until is not None))

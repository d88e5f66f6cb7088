"""Patience with wrong passwords: the more in a row, the longer the next try has to wait."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: So many wrong tries cost nothing: people mistype.
FREE_TRIES = 5
LONGEST = timedelta(minutes=15)
#: So many names are remembered; the one that was quiet longest is forgotten first.
_MOST = 10_000


@dataclass(slots=True)
class _Tries:
    failed: int = 0
    until: datetime | None = None


@dataclass(slots=True, eq=False)
class Patience:
    """Counts wrong tries by name, here and now: a new process forgives everything."""

    _tries: OrderedDict[str, _Tries] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, name: str, *, now: datetime) -> timedelta:
        """How long *name* has to wait before the next try; zero where it may try now."""
        with self._lock:
            tries = self._tries.get(name)
            if tries is None or tries.until is None:
                return timedelta(0)
            return max(tries.until - now, timedelta(0))

    def failed(self, name: str, *, now: datetime) -> None:
        """Count a wrong try; from the sixth on each doubles the wait, up to a quarter of an hour."""
        with self._lock:
            tries = self._tries.setdefault(name, _Tries())
            self._tries.move_to_end(name)
            tries.failed += 1
            if tries.failed >= FREE_TRIES:
                doubled = timedelta(seconds=2.0 ** min(tries.failed - FREE_TRIES, 20))
                tries.until = now + min(doubled, LONGEST)
            while len(self._tries) > _MOST:
                self._tries.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget what was wrong before."""
        with self._lock:
            self._tries.pop(name, None)

"""What every store of idempotency keys must do, and one in memory that does it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from geartrain.ports.delivery_keys import DeliveryKeys

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class MemoryDeliveryKeys:
    """`DeliveryKeys` that live as long as the process."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def claim(self, product: str, key: str, digest: str, *, now: datetime) -> bool:
        """Remember, and compare; see the port."""
        del now
        return self.held.setdefault((product, key), digest) == digest

    def close(self) -> None:
        """Nothing to let go of."""


def check_delivery_keys(make: Callable[[], DeliveryKeys], again: Callable[[], DeliveryKeys]) -> None:
    """Hold a store to its port. *make* opens an empty one, *again* the same one as another process would.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    keys = make()
    assert keys.claim("shop", "k", "one", now=_NOON), "a new key is for whoever brings it"
    assert keys.claim("shop", "k", "one", now=_NOON), "the same delivery may come again"
    assert not keys.claim("shop", "k", "two", now=_NOON), "another delivery under the key is noticed"
    assert keys.claim("mill", "k", "two", now=_NOON), "another product has keys of its own"
    other = again()
    assert not other.claim("shop", "k", "two", now=_NOON + timedelta(days=30)), "a key outlives the process"
    assert other.claim("shop", "k", "one", now=_NOON + timedelta(days=30)), "and so does what it stands for"
    with ThreadPoolExecutor(8) as pool:
        first = pool.map(
            lambda n: (keys, other)[n % 2].claim("shop", "race", f"delivery {n}", now=_NOON), range(24)
        )
        assert sum(first) == 1, "of those that come at once one is first"
    keys.close()
    other.close()

"""What stands under an idempotency key: remembered by all processes that take deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class DeliveryKeys(Protocol):
    """Keys that senders gave, each with the digest of the delivery that came first under it."""

    def claim(self, product: str, key: str, digest: str, *, now: datetime) -> bool:
        """Let *key* stand for the delivery of that *digest*, durable when it returns.

        Of several processes that claim a key at once one is first. A key is kept for at least
        a month; whoever comes later with it is first again.

        Returns:
            False where it stands for another delivery.

        Raises:
            LedgerUnavailable: The store does not answer; nothing is claimed.
            DiskFull: The same.
        """

    def close(self) -> None:
        """Let go of the store."""

"""Who may look at which rows: `search` is free, `select` is metered, `verdict` is sealed.

The rights are a fold over the ledger. Each look at a snapshot's sealed pool is charged
to one error budget by alpha-spending: the j-th look is judged at
alpha_j = alpha * 6 / (pi^2 j^2), which sums to alpha however many looks there are, so
the statement "none of the intervals ever given missed" keeps its confidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from geartrain.domain.digest import short
from geartrain.domain.events import Event, PoolOpened
from geartrain.domain.model import Pool
from geartrain.errors import PoolClosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether a pool may be opened, and at which confidence what is seen may be told.

    Attributes:
        look: Which look at this snapshot's pool it would be, from 1.
        confidence: For intervals made from this look.
        reason: Why not; empty where it is allowed.
    """

    pool: Pool
    allowed: bool
    look: int
    confidence: float
    reason: str = ""

    def demand(self) -> Permission:
        """Itself where it is allowed.

        Raises:
            PoolClosed: It is not.
        """
        if not self.allowed:
            raise PoolClosed(
                self.reason,
                where=f"pool {self.pool}",
                found=f"look {self.look}",
                hint="a new candidate may be judged, at a stricter confidence; new rows make a new budget",
            )
        return self


def may_open(
    events: Iterable[Event],
    *,
    product: str,
    pool: Pool,
    candidate: str,
    contract: str,
    snapshot: str,
    alpha: float = 0.05,
) -> Permission:
    """Say whether *candidate* may be judged on *pool*, from what the ledger holds.

    `verdict` opens once for each candidate under each version of the contract: a second
    look at the same rows would only invite a different question.
    """
    openings = [
        event
        for event in events
        if isinstance(event, PoolOpened) and event.product == product and event.pool is pool
    ]
    look = 1 + sum(event.snapshot == snapshot for event in openings)
    if pool is not Pool.VERDICT:
        return Permission(pool=pool, allowed=True, look=look, confidence=1.0 - alpha)
    seen = any(event.candidate == candidate and event.contract == contract for event in openings)
    reason = (
        f"candidate {short(candidate)} was judged on the sealed pool before, under this contract"
        if seen
        else ""
    )
    return Permission(
        pool=pool, allowed=not seen, look=look, confidence=1.0 - spent(alpha, look), reason=reason
    )


def spent(alpha: float, look: int) -> float:
    """The part of *alpha* that the *look*-th look may spend.

    >>> round(spent(0.05, 1), 4), round(sum(spent(0.05, j) for j in range(1, 100_000)), 4)
    (0.0304, 0.05)
    """
    return alpha * 6.0 / (math.pi**2 * look**2)

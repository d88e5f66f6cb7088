"""Who may look at which rows: `search` is free, `select` is metered, `verdict` is sealed.

The rights are a fold over the ledger. Each look at sealed rows is charged to one error
budget by alpha-spending: the j-th look is judged at alpha_j = alpha * 6 / (pi^2 j^2), which
sums to alpha however many looks there are, so the statement "none of the intervals ever
given missed" keeps its confidence. The budget belongs to the rows and not to the snapshot's
name: a look counts where it saw more than a tenth of the rows that are to be opened. It is
spent when an interval would be worth less than a quarter of its rows; then only fresh labels
help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.digest import short
from geartrain.domain.events import Event, PoolOpened, PoolsCommitted, TrialRecorded
from geartrain.domain.model import Pool
from geartrain.errors import PoolClosed
from geartrain.stats.multiplicity import affordable_looks, alpha_spent

#: What the intervals ever told about some sealed rows may miss, all together.
ALPHA = 0.05
#: Sealed rows of which a look saw more than this share are not fresh after it.
MOST_SHARED = 0.1

Names = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether a pool may be opened, and at which confidence what is seen may be told.

    Attributes:
        look: Which look at rows like these it would be, from 1.
        confidence: For intervals made from this look.
        left: How many looks are left after it; None where nobody counts.
        reason: Why not; empty where it is allowed.
        hint: What to do instead.
    """

    pool: Pool
    allowed: bool
    look: int
    confidence: float
    left: int | None = None
    reason: str = ""
    hint: str = ""

    def demand(self) -> Permission:
        """Itself where it is allowed.

        Raises:
            PoolClosed: It is not.
        """
        if not self.allowed:
            raise PoolClosed(
                self.reason, where=f"pool {self.pool}", found=f"look {self.look}", hint=self.hint
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """The commitments whose sealed rows are more or less the same, and their snapshots.

    Attributes:
        commitments: Their digests, the rows' own included.
        snapshots: The snapshots that they were made of.
    """

    commitments: frozenset[str]
    snapshots: frozenset[str]


def may_open(
    events: Iterable[Event],
    *,
    product: str,
    pool: Pool,
    candidate: str,
    contract: str,
    snapshot: str,
    kin: Kin | None = None,
    alpha: float = ALPHA,
) -> Permission:
    """Say whether *candidate* may be judged on *pool*, from what the ledger holds.

    `verdict` opens once for each candidate under each version of the contract: a second
    look at the same rows would only invite a different question. Looks are counted at the
    *snapshot* and, where given, at the rows of *kin*.
    """
    openings = [
        event
        for event in events
        if isinstance(event, PoolOpened) and event.product == product and event.pool is pool
    ]
    commitments = kin.commitments if kin else frozenset[str]()
    look = 1 + sum(one.snapshot == snapshot or one.commitment in commitments for one in openings)
    if pool is not Pool.VERDICT:
        return Permission(pool=pool, allowed=True, look=look, confidence=1.0 - alpha)
    most = affordable_looks(alpha)
    reason, hint = "", ""
    if any(event.candidate == candidate and event.contract == contract for event in openings):
        reason = f"candidate {short(candidate)} was judged on the sealed pool before, under this contract"
        hint = "a new candidate may be judged, at a stricter confidence; new rows make a new budget"
    elif look > most:
        reason = (
            f"the error budget of these sealed rows is spent: {look - 1} candidates were judged on them,"
            " and another interval would be worth less than a quarter of its rows"
        )
        hint = "gather fresh labels: rows of which at least nine tenths were never opened make a new budget"
    return Permission(
        pool=pool,
        allowed=not reason,
        look=look,
        confidence=1.0 - spent(alpha, look),
        left=max(0, most - look),
        reason=reason,
        hint=hint,
    )


def verdicts_left(
    events: Sequence[Event],
    *,
    product: str,
    sealed: Names,
    load: Callable[[str], Names],
    alpha: float = ALPHA,
) -> int:
    """How many more candidates may be judged on the rows *sealed*, before any of them is opened again."""
    kin = kin_of(events, product=product, snapshot="", sealed=sealed, load=load)
    looks = sum(
        isinstance(one, PoolOpened)
        and one.product == product
        and one.pool is Pool.VERDICT
        and one.commitment in kin.commitments
        for one in events
    )
    return max(0, affordable_looks(alpha) - looks)


def spent(alpha: float, look: int) -> float:
    """The part of *alpha* that the *look*-th look may spend (see `alpha_spent`)."""
    return alpha_spent(alpha, look)


def sealed_names(keys: Sequence[str]) -> Names:
    """Rows' names as sorted 64-bit hashes: enough to see that rows were seen, too little to name them."""
    hashed = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return np.sort(np.frombuffer(b"".join(hashed), dtype="<u8"))


def kin_of(
    events: Iterable[Event],
    *,
    product: str,
    snapshot: str,
    sealed: Names,
    load: Callable[[str], Names],
) -> Kin:
    """Which earlier commitments of *product* sealed more than a tenth of the rows *sealed* now.

    Those of the same *snapshot* are among them whatever their seed sealed. *load* reads what
    `PoolsCommitted.sealed` names.
    """
    found = [
        one
        for one in events
        if isinstance(one, PoolsCommitted)
        and one.product == product
        and (one.snapshot == snapshot or _shared(sealed, load(one.sealed)) > MOST_SHARED)
    ]
    return Kin(
        commitments=frozenset(one.commitment for one in found),
        snapshots=frozenset({snapshot, *(one.snapshot for one in found)}),
    )


def recorded_trials(events: Iterable[Event], *, product: str, snapshots: frozenset[str]) -> int:
    """How many different trials were ever recorded on *snapshots*, on whichever pool, under any contract."""
    return len(
        {
            one.id
            for one in events
            if isinstance(one, TrialRecorded) and one.product == product and one.trial.snapshot in snapshots
        }
    )


def _shared(now: Names, before: Names) -> float:
    return float(np.isin(now, before, assume_unique=True).mean()) if len(now) else 0.0

"""A snapshot asked for again: the same rows, byte for byte in meaning, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from geartrain.data.snapshots import take_snapshot
from geartrain.domain.contract import Contract
from geartrain.domain.data import Snapshot
from geartrain.domain.events import SnapshotTaken
from geartrain.engine.erasing import lost_snapshots
from geartrain.engine.rows import OUTCOMES, read_sources
from geartrain.engine.workspace import Workspace
from geartrain.errors import SnapshotEmpty


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Again:
    """A snapshot as it can be had now.

    Attributes:
        frames: Its rows by source; None where they are not the same any more, for *reason*.
    """

    snapshot: Snapshot
    frames: Mapping[str, pl.DataFrame] | None
    reason: str = ""


def snapshot_again(workspace: Workspace, contract: Contract, name: str) -> Again:
    """The rows of the snapshot whose id begins with *name*; other rows are never given in their place.

    Raises:
        SnapshotEmpty: No such snapshot is on record.
    """
    product = contract.product.name
    taken = [
        one.event
        for one in workspace.history(product)
        if isinstance(one.event, SnapshotTaken) and one.event.id.startswith(name)
    ]
    if not taken or len({event.id for event in taken}) > 1:
        raise SnapshotEmpty(
            "no snapshot on record has this name" if not taken else "several snapshots begin so",
            where=f"product {product}",
            found=name,
            hint="`geartrain ledger log` lists them",
        )
    event = taken[0]
    if event.id in lost_snapshots(workspace, product):
        reason = "rows of it were erased for good; what is left would be other rows under its name"
        return Again(snapshot=event.snapshot, frames=None, reason=reason)
    known_at, since = event.snapshot.known_at, event.snapshot.since
    try:
        snapshot, frames = take_snapshot(
            read_sources(workspace, contract, known_at=known_at), contract, known_at=known_at, since=since
        )
    except SnapshotEmpty as error:
        return Again(snapshot=event.snapshot, frames=None, reason=error.message)
    sent_in = {one for one in event.snapshot.sources if one.source == OUTCOMES}
    if set(snapshot.sources) != set(event.snapshot.sources) - sent_in:
        reason = "the lake holds other rows than then, or the contract reads them in another way now"
        return Again(snapshot=event.snapshot, frames=None, reason=reason)
    return Again(snapshot=event.snapshot, frames=frames)

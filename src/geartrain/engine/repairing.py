"""The quarantine as people read it: which rows wait, as they came, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from geartrain.data.batches import ID
from geartrain.data.door import REASONS, ROW
from geartrain.domain.contract import Contract
from geartrain.engine.ingesting import Door
from geartrain.engine.rows import data_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One row in quarantine.

    Attributes:
        id: Its own name, by its delivery and its place in it.
        row: The row as it came, as JSON text.
        reasons: Everything that is wrong with it.
    """

    id: str
    row: str
    reasons: tuple[str, ...]
    arrived_at: datetime


def waiting_rows(
    workspace: Workspace, contract: Contract, *, source: str | None = None
) -> dict[str, tuple[Waiting, ...]]:
    """The open rows of every source, or of one, in the order in which they came.

    Raises:
        ProductUnknown: The contract knows no such source.
    """
    door = Door(workspace, contract)
    names = (source,) if source is not None else tuple(one.name for one in data_of(contract).sources)
    found: dict[str, tuple[Waiting, ...]] = {}
    for name in names:
        rows = door.quarantined(name)
        if rows.height:
            found[name] = tuple(
                Waiting(id=id_, row=row, reasons=tuple(json.loads(reasons)), arrived_at=at)
                for id_, row, reasons, at in rows.select(ID, ROW, REASONS, ARRIVAL_TIME).iter_rows()
            )
    return found

"""How a release came to its end: retired, rolled back, passed over or taken out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from geartrain.domain.release import ReleaseStage
from geartrain.release.state import ReleaseRecord, ReleaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a release came to its end.

    Attributes:
        since: From when on it was live; None where it never was.
        by: The release that took its place; None where none did.
    """

    at: datetime
    since: datetime | None
    by: str | None
    reason: str


def end_of(state: ReleaseState, record: ReleaseRecord) -> Ended | None:
    """When and how a release stopped answering, or will never begin; None where it is on its way or live."""
    at, reason = record.entered_at, record.passages[-1].reason if record.passages else ""
    match record.stage:
        case ReleaseStage.PROPOSED | ReleaseStage.SHADOW | ReleaseStage.CANARY | ReleaseStage.LIVE:
            return None
        case ReleaseStage.RETIRED | ReleaseStage.ROLLED_BACK:
            reign = next((one for one in reversed(state.reigns) if one.release == record.id), None)
            after = next((one.release for one in state.reigns if reign and one.since == reign.until), None)
            return Ended(at=at, since=reign.since if reign else None, by=after, reason=reason)
        case ReleaseStage.SUPERSEDED:
            later = next(
                (one.id for one in state.records if one.proposed_at == at and one.id != record.id), None
            )
            return Ended(at=at, since=None, by=later, reason=reason)
        case ReleaseStage.ABORTED:
            return Ended(at=at, since=None, by=None, reason=reason)
        case _:
            assert_never(record.stage)

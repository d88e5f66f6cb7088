"""What happened to releases, step by step, as the ledger has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from geartrain.domain.events import (
    Recorded,
    Refused,
    ReleaseProposed,
    RolledBack,
    SignedOff,
    StageEntered,
    Waived,
)

_Step = ReleaseProposed | SignedOff | Waived | StageEntered | RolledBack | Refused


def steps_of(history: Iterable[Recorded], *, release: str | None = None) -> tuple[Recorded, ...]:
    """The events of *history* that are about releases, in order; about *release* (an id) where one is named."""
    return tuple(
        one
        for one in history
        if isinstance(one.event, _Step) and (release is None or release in _named_by(one.event))
    )


def _named_by(event: _Step) -> tuple[str, ...]:
    match event:
        case ReleaseProposed():
            return (event.id,)
        case SignedOff():
            return (event.sign_off.release,)
        case Waived():
            return (event.waiver.release,)
        case StageEntered():
            return (event.release,)
        case RolledBack():
            return (event.release, event.to)
        case Refused():
            return (event.subject,)
        case _:
            assert_never(event)

"""What the prediction log is told, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Pressure(StrEnum):
    """What the log does when its sink cannot keep up.

    Spilling goes on answering at full speed while the journal grows on the disk up to
    `most_backlog_bytes`; beyond that requests are refused. Blocking lets answers wait until
    the sink has made room, and refuses whoever has waited for `block_s` seconds: for those
    who would rather answer slowly than let the lake fall behind, or have a small disk.
    """

    SPILL = "spill"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """When the log rotates, and when it says no.

    Attributes:
        most_pending: Decisions that may wait for the writer before requests are refused.
        most_backlog_bytes: Journal bytes that may wait for the sink.
        pressure: What happens beyond that.
        block_s: How long an answer waits for room where the pressure blocks.
        rotate_records: A segment goes to the sink when it has this many records,
        rotate_s: or when its first record is this old.
        retry_s: How long the deliverer waits after the sink said no.
        fsync: Whether an answer waits for the disk (survives a power cut) or only for
            the operating system (survives a killed process).
        window_s: Where it is above 0, answers do not wait at all (and records gather for a quarter of it,
            so that they are written together), as long as nothing has
            waited for the writer for longer than this. A killed process may then lose
            what it answered within one span of `window_s` seconds, and a disk that
            fails what its last write held.
    """

    most_pending: int = 20_000
    most_backlog_bytes: int = 2**30
    pressure: Pressure = Pressure.SPILL
    block_s: float = 5.0
    rotate_records: int = 5_000
    rotate_s: float = 1.0
    retry_s: float = 1.0
    fsync: bool = True
    window_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """How the log is doing, for readiness and metrics.

    Attributes:
        writable: Whether the last write worked and the writer lives.
        pending: Decisions that wait for the writer.
        backlog_segments: Finished segments that wait for the sink.
        backlog_bytes: Their size, with that of the open one.
        delivery_problem: What the sink said last, or empty.
    """

    writable: bool
    pending: int
    backlog_segments: int
    backlog_bytes: int
    delivery_problem: str = ""

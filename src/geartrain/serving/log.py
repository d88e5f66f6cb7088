"""The prediction log: a decision is on the journal before it is answered, and in the lake soon after.

Two threads. The *writer* takes whatever has gathered, appends it in one write (and one
fsync), and only then lets the answers go. The *deliverer* hands each finished segment
to the sink as one batch named after the segment and removes the file afterwards; since
the sink takes a batch name once only, a crash between the two does no harm. Segments
that a killed process left are delivered by the next one that starts.

While the sink takes nothing, the journal is what grows: memory keeps the content of a few
segments only, and reads the others again when their turn comes. What happens when the
journal may grow no more is a matter of policy (`Pressure`).

A decision that was answered is never lost. One that was written but whose process was
killed before it answered is kept too: nobody acted on it, and its outcome never comes.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, RLock, Thread
from typing import Final

from geartrain.domain.prediction import Decision
from geartrain.errors import DiskFull, GeartrainError, NotReady, Overloaded
from geartrain.serving.journal import (
    LoggedDecision,
    Segment,
    damaged_segments,
    framed,
    is_writable,
    left_behind,
    read_records,
    read_segment,
    set_aside,
)
from geartrain.serving.log_terms import LogLimits, LogState, Pressure

#: Takes one batch by name; taking the same name again must change nothing.
Sink = Callable[[str, Sequence[LoggedDecision]], None]
Identity = tuple[str, str, bool]

RECENT: Final = 10_000
#: What was answered already is written when it has waited for this part of the window, or is this part of all that may wait.
_GATHERED: Final = 0.25
#: Finished segments whose records are kept in memory; those behind them lie on the disk alone.
MOST_HELD: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Handed:
    """Records on their way to the writer, since when; without a future they were answered already."""

    records: Sequence[LoggedDecision]
    future: Future[None] | None
    since: float

    def fail(self, error: GeartrainError) -> None:
        """Let nobody wait for an answer that cannot come."""
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)


class PredictionLog:
    """Durable before it is answered, delivered once. Safe to use from many threads.

    *session* makes segment names unique over the life of the folder; *folder* may be
    shared by several processes. *tell* gets a line where a segment cannot be read whole.

    Raises:
        DiskFull: The folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        sink: Sink,
        *,
        session: str,
        limits: LogLimits | None = None,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._folder = folder
        self._sink = sink
        self._session = session
        self._tell = tell
        self._limits = limits or LogLimits()
        #: One lock with three bells, so that a record wakes the writer and nobody else.
        self._lock = RLock()
        self._to_write = Condition(self._lock)
        self._to_deliver = Condition(self._lock)
        self._moved = Condition(self._lock)
        self._queue: deque[_Handed] = deque()
        self._pending = 0
        #: Whether somebody waits for what is in the queue.
        self._is_awaited = False
        #: Decisions that were answered and are not written yet: those that gather, and those in the writer's hand.
        self._answered: dict[Identity, Decision] = {}
        self._in_hand: dict[Identity, Decision] = {}
        self._finished: deque[Path] = deque()
        self._delivering: Path | None = None
        #: Of a decision that lies on the disk alone, the segment that has it.
        self._undelivered: dict[Identity, Decision | Path] = {}
        self._recent: OrderedDict[Identity, Decision] = OrderedDict()
        self._sizes: dict[Path, int] = {}
        self._backlog_bytes = 0
        #: What a segment of this process holds, so that it need not be read again.
        self._held: dict[Path, list[LoggedDecision]] = {}
        self._serial = 0
        self._segment: Segment | None = None
        self._segment_records = 0
        self._segment_since = 0.0
        self._rotate_asked = False
        self._closing = False
        self._writer_is_done = False
        self._writable = True
        #: Since when the oldest of what the writer has in hand waits.
        self._writing_since: float | None = None
        self._problem = ""
        self._open_segment()
        self._recover()
        self._writer = Thread(target=self._write, name="prediction-log-writer", daemon=True)
        self._deliverer = Thread(target=self._deliver, name="prediction-log-deliverer", daemon=True)
        self._writer.start()
        self._deliverer.start()

    def record(self, records: Sequence[LoggedDecision]) -> Future[None]:
        """Take *records*; the future is done when they are safe and may be answered.

        A record whose identity was taken before changes nothing. The future fails with
        DiskFull where the journal cannot be written.

        Raises:
            NotReady: The log is closed.
            Overloaded: Too many decisions wait.
            DiskFull: The sink is so far behind that the journal has no more room.
        """
        with self._lock:
            if self._closing:
                raise NotReady("the prediction log is closed, so no decision is answered")
            if self._pending + len(records) > self._limits.most_pending:
                raise Overloaded("too many decisions wait for the prediction log", hint="try again")
            if self._limits.pressure is Pressure.SPILL and not self._has_room():
                raise DiskFull(
                    "the prediction log is full, so no decision is answered",
                    found=self._problem,
                    hint="the lake does not take the log's batches; see the server's log",
                )
            future: Future[None] = Future()
            now = time.monotonic()
            at_once = self._limits.window_s > 0 and self._is_within_window(now)
            is_first = not self._queue
            self._queue.append(_Handed(records, None if at_once else future, now))
            self._pending += len(records)
            if at_once:
                self._answered.update((one.identity, one.decision) for one in records)
            else:
                self._is_awaited = True
            if is_first or self._is_due():
                self._to_write.notify()
        if at_once:
            future.set_result(None)
        return future

    def _is_within_window(self, now: float) -> bool:
        """Whether an answer may go before its record: all keep up, and the last write worked."""
        since = self._writing_since
        if since is None:
            since = self._queue[0].since if self._queue else now
        keeps_up = self._limits.pressure is Pressure.SPILL or self._has_room()
        return self._writable and keeps_up and now - since < self._limits.window_s

    def find(self, product: str, decision: str) -> Decision | None:
        """An answered decision that is not in the lake yet, or was made a short while ago."""
        identity = (product, decision, False)
        with self._lock:
            held = self._held_of(identity)
        if not isinstance(held, Path):
            return held
        try:
            spilled = {record.identity: record.decision for record in read_records(held)}
        except FileNotFoundError:  # it has just been delivered
            with self._lock:
                return self._recent.get(identity)
        return spilled.get(identity)

    def _held_of(self, identity: Identity) -> Decision | Path | None:
        for held in (self._answered, self._in_hand, self._undelivered, self._recent):
            if identity in held:
                return held[identity]
        return None

    def find_all(self, product: str, decisions: Collection[str]) -> dict[str, Decision]:
        """Those of *decisions* that `find` finds, by id."""
        found = ((one, self.find(product, one)) for one in decisions)
        return {one: decision for one, decision in found if decision is not None}

    @property
    def state(self) -> LogState:
        """How the log is doing now."""
        with self._lock:
            return LogState(
                writable=self._writable and self._writer.is_alive() and self._deliverer.is_alive(),
                pending=self._pending,
                backlog_segments=len(self._finished) + (self._delivering is not None),
                backlog_bytes=self._backlog_bytes,
                delivery_problem=self._problem,
            )

    @property
    def damaged_segments(self) -> int:
        """How many segments lie aside, of all processes, because a part of them cannot be read."""
        return len(damaged_segments(self._folder))

    def flush(self, *, timeout_s: float) -> bool:
        """Hand everything taken so far to the sink; False where that was not done in time."""
        with self._lock:
            self._rotate_asked = True
            self._to_write.notify()
            return self._moved.wait_for(self._is_delivered, timeout=timeout_s)

    def close(self, *, timeout_s: float = 10.0) -> bool:
        """Write and deliver what is there, then stop; what is not delivered stays on the disk."""
        delivered = self.flush(timeout_s=timeout_s)
        with self._lock:
            self._closing = True
            self._to_write.notify()
            self._moved.notify_all()
        self._writer.join()
        self._deliverer.join()
        return delivered

    def _is_delivered(self) -> bool:
        empty = not (self._queue or self._pending or self._finished or self._segment_records)
        return empty and self._delivering is None

    # The writer's side.

    def _write(self) -> None:
        group: list[_Handed] = []
        try:
            while True:
                with self._lock:
                    self._to_write.wait_for(self._has_work, timeout=self._limits.rotate_s)
                    if self._queue and not self._is_due():
                        gathered_s = self._queue[0].since + _GATHERED * self._limits.window_s
                        self._to_write.wait_for(self._is_due, timeout=max(0.0, gathered_s - time.monotonic()))
                    group = list(self._queue)
                    self._queue.clear()
                    self._is_awaited = False
                    self._in_hand, self._answered = self._answered, {}
                    self._writing_since = group[0].since if group else None
                    closing = self._closing
                if group and self._limits.pressure is Pressure.BLOCK:
                    group = self._when_there_is_room(group)
                if group:
                    self._append(group)
                    group = []
                elif not self._writable and is_writable(self._folder, self._session):
                    # Who is not ready is sent nothing that could show that writing works again.
                    self._writable = True
                with self._lock:
                    if self._is_rotation_due() or closing:
                        self._rotate()
                    if closing and not self._queue:
                        return
        finally:
            # Nobody may wait for an answer that cannot come.
            with self._lock:
                self._closing = self._writer_is_done = True
                stranded = [*group, *self._queue]
                self._queue.clear()
                self._to_deliver.notify()
                self._moved.notify_all()
            for one in stranded:
                one.fail(NotReady("the prediction log has stopped"))

    def _has_work(self) -> bool:
        return bool(self._queue) or self._rotate_asked or self._closing

    def _is_due(self) -> bool:
        """Whether what is in the queue is written without gathering more."""
        many = self._pending >= _GATHERED * self._limits.most_pending
        return many or self._is_awaited or self._rotate_asked or self._closing

    def _is_rotation_due(self) -> bool:
        if not self._segment_records:
            self._rotate_asked = False
            return False
        old = time.monotonic() - self._segment_since >= self._limits.rotate_s
        return old or self._rotate_asked or self._segment_records >= self._limits.rotate_records

    def _has_room(self) -> bool:
        return self._backlog_bytes <= self._limits.most_backlog_bytes

    def _when_there_is_room(self, group: list[_Handed]) -> list[_Handed]:
        """What of *group* is to be written now; the rest waits for the sink, or has waited too long.

        What was answered is written in any case, and so is everything when the log closes:
        the bound is about the lake, not about the disk.
        """
        answered = [one for one in group if one.future is None]
        waiting = [one for one in group if one.future is not None]
        with self._lock:
            if self._segment_records and not self._has_room():
                self._rotate()  # the open segment may be all that there is
            patience_s = 0.0 if answered else group[0].since + self._limits.block_s - time.monotonic()
            if self._moved.wait_for(lambda: self._has_room() or self._closing, timeout=max(patience_s, 0)):
                return group
            late = time.monotonic() - self._limits.block_s
            refused = [one for one in waiting if one.since <= late]
            self._queue.extendleft(reversed(waiting[len(refused) :]))
            self._pending -= sum(len(one.records) for one in refused)
            self._writing_since = answered[0].since if answered else None
            self._moved.notify_all()
        for one in refused:
            one.fail(
                Overloaded(
                    "the prediction log waits for the lake, so the decision is not answered",
                    hint="try again; `/metrics` tells how far the log is behind",
                )
            )
        return answered

    def _append(self, group: Sequence[_Handed]) -> None:
        with self._lock:
            fresh: dict[Identity, LoggedDecision] = {}
            for one in group:
                for record in one.records:
                    identity = record.identity
                    if identity not in self._undelivered and identity not in self._recent:
                        fresh.setdefault(identity, record)
        failure: DiskFull | None = None
        try:
            if fresh:
                self._segment_to_write().append(framed(tuple(fresh.values())))
        except DiskFull as error:
            failure = error
        with self._lock:
            self._pending -= sum(len(one.records) for one in group)
            self._writing_since = None
            self._writable = failure is None
            if failure is not None:
                self._abandon()
            elif fresh:
                self._note(fresh)
            self._in_hand = {}
            self._moved.notify_all()
        for one in group:
            if failure is not None:
                one.fail(failure)
            elif one.future is not None:
                one.future.set_result(None)

    def _note(self, fresh: dict[Identity, LoggedDecision]) -> None:
        if not self._segment_records:
            self._segment_since = time.monotonic()
        self._segment_records += len(fresh)
        self._undelivered.update((identity, record.decision) for identity, record in fresh.items())
        if self._segment is not None:
            self._sized(self._segment.path, self._segment.size)
            self._held.setdefault(self._segment.path, []).extend(fresh.values())

    def _sized(self, path: Path, size: int) -> None:
        self._backlog_bytes += size - self._sizes.get(path, 0)
        self._sizes[path] = size

    def _segment_to_write(self) -> Segment:
        if self._segment is None:
            self._open_segment()
        segment = self._segment
        assert segment is not None
        return segment

    def _open_segment(self) -> None:
        self._serial += 1
        name = f"{self._session}-{self._serial:08d}"
        self._segment = Segment(self._folder, name, fsync=self._limits.fsync)
        self._segment_records = 0

    def _rotate(self) -> None:
        """Finish the open segment; called with the lock held."""
        if self._segment is not None:
            self._segment.close()
            self._finished.append(self._segment.path)
            if len(self._held) > MOST_HELD:
                self._spill(self._segment.path)
            self._segment = None
        self._segment_records = 0
        self._rotate_asked = False
        self._to_deliver.notify()
        self._moved.notify_all()

    def _abandon(self) -> None:
        """Write no more to a segment that may end torn; called with the lock held."""
        if self._segment is not None and not self._segment.size:
            self._segment.drop()
            self._segment = None
        self._rotate()

    def _spill(self, path: Path) -> None:
        """Let a finished segment lie on the disk alone; called with the lock held."""
        for record in self._held.pop(path, ()):
            self._undelivered[record.identity] = path

    # The deliverer's side.

    def _recover(self) -> None:
        for path in left_behind(self._folder):
            self._sized(path, path.stat().st_size)
            self._undelivered.update((record.identity, path) for record in read_records(path))
            self._finished.append(path)

    def _deliver(self) -> None:
        while True:
            with self._lock:
                self._to_deliver.wait_for(lambda: self._finished or self._is_over())
                if not self._finished:
                    return
                path = self._finished[0]
                self._delivering = path
                self._finished.popleft()
            delivered = self._deliver_one(path)
            with self._lock:
                self._delivering = None
                if not delivered:
                    self._finished.appendleft(path)
                self._moved.notify_all()
                if not delivered:
                    if self._is_over():
                        return
                    self._to_deliver.wait_for(self._is_over, timeout=self._limits.retry_s)

    def _records_of(self, path: Path) -> tuple[tuple[LoggedDecision, ...], int]:
        """What a finished segment holds, each identity once, and how many of its bytes nobody can read."""
        with self._lock:
            held = self._held.get(path)
        if held is not None:
            return tuple(held), 0
        records, damaged = read_segment(path)
        return tuple({record.identity: record for record in records}.values()), damaged

    def _is_over(self) -> bool:
        return self._writer_is_done

    def _deliver_one(self, path: Path) -> bool:
        try:
            records, damaged = self._records_of(path)
            if records:
                self._sink(path.stem, records)
            if damaged:
                self._keep_aside(path, damaged)
            else:
                path.unlink(missing_ok=True)
        except (GeartrainError, OSError) as problem:
            with self._lock:
                self._problem = problem.message if isinstance(problem, GeartrainError) else str(problem)
            return False
        with self._lock:
            self._problem = ""
            self._backlog_bytes -= self._sizes.pop(path, 0)
            self._held.pop(path, None)
            for record in records:
                self._undelivered.pop(record.identity, None)
                self._recent[record.identity] = record.decision
            while len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return True

    def _keep_aside(self, path: Path, damaged: int) -> None:
        kept = set_aside(path)
        self._tell(
            f"{damaged} bytes of {path} cannot be read: decisions that were answered are lost with them. "
            f"All others were delivered, and the file is kept as {kept.name}"
        )

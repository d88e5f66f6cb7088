"""The prediction log: a decision is on the journal before it is answered, and in the lake soon after.

Two threads. The *writer* takes whatever has gathered, appends it in one write (and one
fsync), and only then lets the answers go. The *deliverer* hands each finished segment
to the sink as one batch named after the segment and removes the file afterwards; since
the sink takes a batch name once only, a crash between the two does no harm. Segments
that a killed process left are delivered by the next one that starts.

A decision that was answered is never lost. One that was written but whose process was
killed before it answered is kept too: nobody acted on it, and its outcome never comes.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import Final

from geartrain.domain.prediction import Decision
from geartrain.errors import DiskFull, GeartrainError, NotReady, Overloaded
from geartrain.serving.journal import LoggedDecision, Segment, framed, left_behind, read_records

#: Takes one batch by name; taking the same name again must change nothing.
Sink = Callable[[str, Sequence[LoggedDecision]], None]
Identity = tuple[str, str, bool]

RECENT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """When the log rotates, and when it says no.

    Attributes:
        most_pending: Decisions that may wait for the writer before requests are refused.
        most_backlog_bytes: Journal bytes that may wait for the sink before requests are refused.
        rotate_records: A segment goes to the sink when it has this many records,
        rotate_s: or when its first record is this old.
        retry_s: How long the deliverer waits after the sink said no.
        fsync: Whether an answer waits for the disk (survives a power cut) or only for
            the operating system (survives a killed process).
        window_s: Where it is above 0, answers do not wait at all, as long as nothing has
            waited for the writer for longer than this. A killed process may then lose
            what it answered within one span of `window_s` seconds, and a disk that
            fails what its last write held.
    """

    most_pending: int = 20_000
    most_backlog_bytes: int = 2**30
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


class PredictionLog:
    """Durable before it is answered, delivered once. Safe to use from many threads.

    *session* makes segment names unique over the life of the folder; *folder* may be
    shared by several processes.

    Raises:
        DiskFull: The folder cannot be written.
    """

    def __init__(self, folder: Path, sink: Sink, *, session: str, limits: LogLimits | None = None) -> None:
        self._folder = folder
        self._sink = sink
        self._session = session
        self._limits = limits or LogLimits()
        self._lock = Condition()
        self._queue: deque[tuple[Sequence[LoggedDecision], Future[None]]] = deque()
        self._pending = 0
        self._finished: deque[Path] = deque()
        self._delivering: Path | None = None
        self._undelivered: dict[Identity, Decision] = {}
        self._recent: OrderedDict[Identity, Decision] = OrderedDict()
        self._sizes: dict[Path, int] = {}
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
        self._waiting_since = self._taken_at = 0.0
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
            if sum(self._sizes.values()) > self._limits.most_backlog_bytes:
                raise DiskFull(
                    "the prediction log is full, so no decision is answered",
                    found=self._problem,
                    hint="the lake does not take the log's batches; see the server's log",
                )
            future: Future[None] = Future()
            at_once = self._limits.window_s > 0 and self._is_within_window()
            self._queue.append((records, future))
            self._pending += len(records)
            self._lock.notify_all()
        if at_once:
            ended: Future[None] = Future()
            ended.set_result(None)
            return ended
        return future

    def _is_within_window(self) -> bool:
        """Whether an answer may go before its record: the writer keeps up, and the last write worked."""
        now = time.monotonic()
        if not self._pending:
            self._waiting_since = now
        return self._writable and now - self._waiting_since < self._limits.window_s

    def find(self, product: str, decision: str) -> Decision | None:
        """An answered decision that is not in the lake yet, or was made a short while ago."""
        identity = (product, decision, False)
        with self._lock:
            return self._undelivered.get(identity) or self._recent.get(identity)

    @property
    def state(self) -> LogState:
        """How the log is doing now."""
        with self._lock:
            return LogState(
                writable=self._writable and self._writer.is_alive() and self._deliverer.is_alive(),
                pending=self._pending,
                backlog_segments=len(self._finished) + (self._delivering is not None),
                backlog_bytes=sum(self._sizes.values()),
                delivery_problem=self._problem,
            )

    def flush(self, *, timeout_s: float) -> bool:
        """Hand everything taken so far to the sink; False where that was not done in time."""
        with self._lock:
            self._rotate_asked = True
            self._lock.notify_all()
            return self._lock.wait_for(self._is_delivered, timeout=timeout_s)

    def close(self, *, timeout_s: float = 10.0) -> bool:
        """Write and deliver what is there, then stop; what is not delivered stays on the disk."""
        delivered = self.flush(timeout_s=timeout_s)
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._writer.join()
        self._deliverer.join()
        return delivered

    def _is_delivered(self) -> bool:
        empty = not (self._queue or self._pending or self._finished or self._segment_records)
        return empty and self._delivering is None

    # The writer's side.

    def _write(self) -> None:
        group: list[tuple[Sequence[LoggedDecision], Future[None]]] = []
        try:
            while True:
                with self._lock:
                    self._lock.wait_for(self._has_work, timeout=self._limits.rotate_s)
                    self._taken_at = time.monotonic()
                    group = list(self._queue)
                    self._queue.clear()
                    closing = self._closing
                if group:
                    self._append(group)
                    group = []
                with self._lock:
                    if self._is_rotation_due() or closing:
                        self._rotate()
                        self._lock.notify_all()
                    if closing and not self._queue:
                        return
        finally:
            # Nobody may wait for an answer that cannot come.
            with self._lock:
                self._closing = self._writer_is_done = True
                stranded = [*group, *self._queue]
                self._queue.clear()
                self._lock.notify_all()
            for _, future in stranded:
                if not future.done():
                    future.set_exception(NotReady("the prediction log has stopped"))

    def _has_work(self) -> bool:
        return bool(self._queue) or self._rotate_asked or self._closing

    def _is_rotation_due(self) -> bool:
        if not self._segment_records:
            self._rotate_asked = False
            return False
        old = time.monotonic() - self._segment_since >= self._limits.rotate_s
        return old or self._rotate_asked or self._segment_records >= self._limits.rotate_records

    def _append(self, group: Sequence[tuple[Sequence[LoggedDecision], Future[None]]]) -> None:
        with self._lock:
            fresh: dict[Identity, LoggedDecision] = {}
            for records, _ in group:
                for record in records:
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
            self._pending -= sum(len(records) for records, _ in group)
            self._waiting_since = self._taken_at
            self._writable = failure is None
            if failure is not None:
                self._rotate()
            elif fresh:
                self._note(fresh)
            self._lock.notify_all()
        for _, future in group:
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(None)

    def _note(self, fresh: dict[Identity, LoggedDecision]) -> None:
        if not self._segment_records:
            self._segment_since = time.monotonic()
        self._segment_records += len(fresh)
        self._undelivered.update((identity, record.decision) for identity, record in fresh.items())
        if self._segment is not None:
            self._sizes[self._segment.path] = self._segment.size
            self._held.setdefault(self._segment.path, []).extend(fresh.values())

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
            self._segment = None
        self._segment_records = 0
        self._rotate_asked = False

    # The deliverer's side.

    def _recover(self) -> None:
        for path in left_behind(self._folder):
            self._sizes[path] = path.stat().st_size
            self._undelivered.update((record.identity, record.decision) for record in read_records(path))
            self._finished.append(path)

    def _deliver(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._finished or self._is_over())
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
                self._lock.notify_all()
                if not delivered:
                    if self._is_over():
                        return
                    self._lock.wait_for(self._is_over, timeout=self._limits.retry_s)

    def _records_of(self, path: Path) -> tuple[LoggedDecision, ...]:
        """What a finished segment holds, each identity once."""
        with self._lock:
            held = self._held.get(path)
        if held is not None:
            return tuple(held)
        return tuple({record.identity: record for record in read_records(path)}.values())

    def _is_over(self) -> bool:
        return self._writer_is_done

    def _deliver_one(self, path: Path) -> bool:
        try:
            records = self._records_of(path)
            if records:
                self._sink(path.stem, records)
            path.unlink(missing_ok=True)
        except (GeartrainError, OSError) as problem:
            with self._lock:
                self._problem = problem.message if isinstance(problem, GeartrainError) else str(problem)
            return False
        with self._lock:
            self._problem = ""
            self._sizes.pop(path, None)
            self._held.pop(path, None)
            for record in records:
                self._undelivered.pop(record.identity, None)
                self._recent[record.identity] = record.decision
            while len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return True

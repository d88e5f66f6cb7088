"""The prediction log: an answered decision is never lost, and never twice in the lake."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.prediction import Decision
from geartrain.errors import DiskFull, LakeUnreadable, NotReady, Overloaded
from geartrain.serving.columns import logged_row
from geartrain.serving.journal import (
    FEATURE_DTYPE,
    LoggedDecision,
    Segment,
    framed,
    left_behind,
    read_records,
    read_segment,
)
from geartrain.serving.log import MOST_HELD, PredictionLog
from geartrain.serving.log_terms import LogLimits, Pressure

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAST = LogLimits(rotate_s=0.02, retry_s=0.02, fsync=False)


def logged(one: str, *, product: str = "p", action: str = "a", shadow: bool = False) -> LoggedDecision:
    decision = Decision(
        id=one,
        product=product,
        release="r",
        key="k",
        decided_at=NOW,
        action=action,
        probabilities=(("yes", 0.25),),
        expected_cost=1.5,
    )
    row = logged_row({"x": 1.5, "n": None, "t": "text", "b": True})
    features = np.array([1.5, np.nan], dtype=FEATURE_DTYPE).tobytes()
    return LoggedDecision(decision=decision, at=NOW, row=row, features=features, shadow=shadow)


class Lake:
    """A sink that takes a batch name once, like the lake."""

    def __init__(self) -> None:
        self.batches: dict[str, list[LoggedDecision]] = {}
        self.failures = 0

    def __call__(self, batch, records) -> None:
        if self.failures:
            self.failures -= 1
            raise LakeUnreadable("the lake is away")
        self.batches.setdefault(batch, list(records))

    @property
    def ids(self) -> list[str]:
        return sorted(record.decision.id for batch in self.batches.values() for record in batch)


def test_what_is_recorded_reaches_the_sink_once(tmp_path):
    """Records from many threads arrive whole, each once, and the journal is empty afterwards."""
    lake = Lake()
    log = PredictionLog(tmp_path, lake, session="s", limits=FAST)
    with ThreadPoolExecutor(8) as pool:
        futures = list(pool.map(lambda i: log.record([logged(f"d{i}")]), range(200)))
    for future in futures:
        future.result(timeout=5)
    assert log.close()

    assert lake.ids == sorted(f"d{i}" for i in range(200))
    assert list(tmp_path.iterdir()) == []
    record = lake.batches[min(lake.batches)][0]
    assert record.row == logged("d").row
    assert record.inputs().tolist() == pytest.approx([1.5, math.nan], nan_ok=True)


def test_the_answer_waits_for_the_journal(tmp_path):
    """When the future is done the record is on the disk, although the sink has not seen it."""
    gate = threading.Event()
    log = PredictionLog(tmp_path, lambda batch, records: gate.wait(5) and None, session="s", limits=FAST)
    log.record([logged("d1")]).result(timeout=5)

    on_disk = [record.decision.id for path in tmp_path.glob("*.journal") for record in read_records(path)]
    assert on_disk == ["d1"]
    assert log.find("p", "d1") == logged("d1").decision
    assert log.find("other", "d1") is None
    gate.set()
    log.close()


def test_the_same_decision_again_changes_nothing(tmp_path):
    """The first record of an identity stands; the shadow's is another identity."""
    lake = Lake()
    log = PredictionLog(tmp_path, lake, session="s", limits=FAST)
    log.record([logged("d1"), logged("d1", action="b")]).result(timeout=5)
    assert log.flush(timeout_s=5)
    log.record([logged("d1", action="c"), logged("d1", shadow=True)]).result(timeout=5)
    log.close()

    kept = [record for batch in lake.batches.values() for record in batch]
    assert [(record.decision.action, record.shadow) for record in kept] == [("a", False), ("a", True)]


def test_a_sink_that_fails_is_tried_again(tmp_path):
    """While the lake is away answers go on and its words are in the state; then everything arrives."""
    lake = Lake()
    lake.failures = 3
    log = PredictionLog(tmp_path, lake, session="s", limits=FAST)
    log.record([logged("d1")]).result(timeout=5)
    deadline = time.monotonic() + 5
    while not log.state.delivery_problem and time.monotonic() < deadline:
        time.sleep(0.005)

    assert log.state.delivery_problem == "the lake is away"
    assert log.state.writable
    assert log.close()
    assert lake.ids == ["d1"]
    assert log.state.delivery_problem == ""


def test_what_the_sink_never_took_is_delivered_after_a_restart(tmp_path):
    """A stop while the lake is away leaves the journal, and the next start delivers and knows it."""
    lake = Lake()
    lake.failures = 10_000
    log = PredictionLog(tmp_path, lake, session="s1", limits=FAST)
    log.record([logged("d1")]).result(timeout=5)
    assert not log.close(timeout_s=0.1)

    lake.failures = 0
    again = PredictionLog(tmp_path, lake, session="s2", limits=FAST)
    assert again.find("p", "d1") is not None
    again.record([logged("d1", action="other")]).result(timeout=5)
    again.close()
    assert lake.ids == ["d1"]


def test_a_living_process_keeps_its_segments(tmp_path):
    """A second process on the folder leaves the first one's journal alone."""
    gate, mine, other = threading.Event(), Lake(), Lake()

    def slow(batch, records):
        gate.wait(5)
        mine(batch, records)

    first = PredictionLog(tmp_path, slow, session="a", limits=LogLimits(rotate_s=60, fsync=False))
    first.record([logged("d1")]).result(timeout=5)
    second = PredictionLog(tmp_path, other, session="b", limits=FAST)
    second.close()
    gate.set()
    first.close()

    assert (mine.ids, other.ids) == (["d1"], [])


def test_a_full_disk_refuses_and_recovers(tmp_path, monkeypatch):
    """Where the journal cannot be written the future fails; once it can, the log goes on."""
    lake = Lake()
    log = PredictionLog(tmp_path, lake, session="s", limits=FAST)
    log.record([logged("d1")]).result(timeout=5)
    real, full = os.write, True

    def write(file, content):
        if full and bytes(content).find(b"d2") >= 0:
            real(file, bytes(content)[:10])
            raise OSError(28, "No space left on device")
        return real(file, content)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DiskFull) as caught:
        log.record([logged("d2")]).result(timeout=5)
    assert caught.value.found == "No space left on device"
    assert not log.state.writable
    full = False
    log.record([logged("d2"), logged("d3")]).result(timeout=5)

    assert log.state.writable
    assert log.close()
    assert lake.ids == ["d1", "d2", "d3"]


def test_a_spilled_decision_is_found_known_again_and_delivered(tmp_path):
    """While the lake is away memory keeps a few segments; of the others every decision is as good as before."""
    lake = Lake()
    lake.failures = 10**9
    limits = LogLimits(rotate_records=2, rotate_s=60, retry_s=0.01, fsync=False)
    log = PredictionLog(tmp_path, lake, session="s", limits=limits)
    for i in range(100):
        log.record([logged(f"d{i}")]).result(timeout=5)
    log.record([logged("d97", action="other")]).result(timeout=5)
    with log._lock:
        in_memory = {record.decision.id for records in log._held.values() for record in records}

    assert len(in_memory) <= 2 * (MOST_HELD + 1)
    assert "d97" not in in_memory
    assert log.find("p", "d97") == logged("d97").decision
    assert log.find("p", "d100") is None
    assert log.state.backlog_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    lake.failures = 0
    assert log.close()
    assert lake.ids == sorted(f"d{i}" for i in range(100))
    assert log.find("p", "d97") == logged("d97").decision
    assert log.state.backlog_bytes == 0


def test_where_pressure_blocks_an_answer_waits_for_the_lake(tmp_path):
    """A full journal holds answers back and refuses nobody; when the lake takes it they go on, all of them."""
    gate, lake = threading.Event(), Lake()

    def slow(batch, records):
        gate.wait(10)
        lake(batch, records)

    limits = LogLimits(rotate_s=0.01, fsync=False, most_backlog_bytes=50, pressure=Pressure.BLOCK, block_s=10)
    log = PredictionLog(tmp_path, slow, session="s", limits=limits)
    log.record([logged("d1")]).result(timeout=5)
    waiting = [log.record([logged(f"d{i}")]) for i in range(2, 6)]
    time.sleep(0.1)
    held_back = [future.done() for future in waiting]
    gate.set()
    for future in waiting:
        future.result(timeout=5)

    assert held_back == [False] * 4
    assert log.close()
    assert lake.ids == ["d1", "d2", "d3", "d4", "d5"]


def test_where_pressure_blocks_patience_ends(tmp_path):
    """Who has waited for too long is refused and not logged; a later one is not refused for that."""
    lake = Lake()
    lake.failures = 10**9
    limits = LogLimits(
        rotate_s=0.01, retry_s=0.01, fsync=False, most_backlog_bytes=50, pressure=Pressure.BLOCK, block_s=0.3
    )
    log = PredictionLog(tmp_path, lake, session="s", limits=limits)
    log.record([logged("d1")]).result(timeout=5)
    began = time.monotonic()
    first = log.record([logged("d2")])
    time.sleep(0.2)
    second = log.record([logged("d3")])
    with pytest.raises(Overloaded, match="waits for the lake"):
        first.result(timeout=5)
    took = time.monotonic() - began
    was_waiting = not second.done()
    lake.failures = 0
    second.result(timeout=5)

    assert was_waiting
    assert 0.3 <= took < 2
    assert log.state.pending == 0
    assert log.close()
    assert lake.ids == ["d1", "d3"]


def test_what_was_answered_is_written_whatever_the_pressure(tmp_path):
    """In fast mode an answer that went out is on the disk in the end, although the journal was full and blocked."""
    lake = Lake()
    lake.failures = 10**9
    limits = LogLimits(
        rotate_s=0.01,
        retry_s=0.01,
        most_backlog_bytes=50,
        pressure=Pressure.BLOCK,
        block_s=0.05,
        window_s=0.2,
    )
    log = PredictionLog(tmp_path, lake, session="s", limits=limits)
    answered, refused = [], []
    for i in range(60):
        future = log.record([logged(f"d{i:02}")])
        (answered if future.done() else refused).append((f"d{i:02}", future))
        time.sleep(0.005)
    for _, future in refused:
        with pytest.raises(Overloaded):
            future.result(timeout=5)
    lake.failures = 0
    assert log.close()

    assert refused
    assert lake.ids == [one for one, _ in answered]


def test_bounds_are_kept(tmp_path):
    """Too much waiting, or a journal that nobody takes, is refused before it is taken."""
    gate = threading.Event()
    limits = LogLimits(rotate_s=0.01, fsync=False, most_pending=2, most_backlog_bytes=50)
    log = PredictionLog(tmp_path, lambda batch, records: gate.wait(5) and None, session="s", limits=limits)
    with pytest.raises(Overloaded):
        log.record([logged("1"), logged("2"), logged("3")])
    log.record([logged("1")]).result(timeout=5)
    with pytest.raises(DiskFull):
        log.record([logged("2")])
    gate.set()
    log.close()
    with pytest.raises(NotReady):
        log.record([logged("3")])


@given(ids=st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6), cut=st.integers(1, 400))
@settings(max_examples=50)
def test_a_torn_tail_costs_only_the_torn(tmp_path_factory, ids, cut):
    """A segment cut anywhere gives a prefix of its records and never a wrong one."""
    path = tmp_path_factory.mktemp("journal") / "s-1.journal"
    records = [logged(one) for one in ids]
    content = framed(records)
    path.write_bytes(content[:-cut] if cut < len(content) else b"")
    found = [record.decision.id for record in read_records(path)]

    assert found == ids[: len(found)]
    assert len(found) < len(ids)


@given(
    ids=st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=6, unique=True),
    where=st.floats(0, 1, exclude_max=True),
    flipped=st.integers(1, 255),
)
@settings(max_examples=100)
def test_a_changed_byte_costs_only_the_record_that_it_is_in(tmp_path_factory, ids, where, flipped):
    """Wherever a byte changes, all records but one are read, and it is known that something is gone."""
    path = tmp_path_factory.mktemp("journal") / "s-1.journal"
    frames = [framed([logged(one)]) for one in ids]
    content = bytearray(b"".join(frames))
    place = int(where * len(content))
    content[place] ^= flipped
    path.write_bytes(content)
    ends = np.cumsum([len(one) for one in frames])
    hit = int(np.searchsorted(ends, place, side="right"))

    records, damaged = read_segment(path)

    assert [one.decision.id for one in records] == [one for one in ids if one != ids[hit]]
    # A last record whose length says that it goes on is taken for a torn one.
    is_last_length = hit == len(ids) - 1 and place - (ends[hit] - len(frames[hit])) < 4
    assert damaged == len(frames[hit]) or is_last_length


def test_room_that_was_made_and_never_written_is_no_record(tmp_path):
    """Some file systems leave zeros at the end after a power cut."""
    path = tmp_path / "s-1.journal"
    path.write_bytes(framed([logged("a")]) + bytes(100))

    records, damaged = read_segment(path)

    assert ([one.decision.id for one in records], damaged) == (["a"], 0)


def test_a_damaged_segment_is_delivered_as_far_as_it_can_be_read_and_kept(tmp_path):
    """What is readable comes to the lake; the file stays for people, who are told."""
    content = bytearray(framed([logged("a"), logged("b"), logged("c")]))
    content[len(content) // 2] ^= 1
    (tmp_path / "old-1.journal").write_bytes(content)
    lake, told = Lake(), []

    log = PredictionLog(tmp_path, lake, session="s", limits=FAST, tell=told.append)
    assert log.flush(timeout_s=5)

    assert lake.ids == ["a", "c"]
    assert log.damaged_segments == 1
    assert log.close()
    assert (tmp_path / "old-1.journal.damaged").read_bytes() == content
    assert len(told) == 1
    assert "old-1.journal.damaged" in told[0]


def test_a_log_that_could_not_be_written_is_ready_again_by_itself(tmp_path, monkeypatch):
    """Nobody sends anything to a server that is not ready; and while the disk is full no empty files heap up."""
    lake, real, full = Lake(), os.fsync, True

    def fsync(file):
        if full:
            raise OSError(28, "No space left on device")
        return real(file)

    log = PredictionLog(tmp_path, lake, session="s", limits=LogLimits(rotate_s=0.05))
    monkeypatch.setattr(os, "fsync", fsync)
    for number in range(5):
        with pytest.raises(DiskFull):
            log.record([logged(f"d{number}")]).result(timeout=5)
    time.sleep(0.2)
    assert not log.state.writable
    assert len(list(tmp_path.iterdir())) <= 1
    full = False
    deadline = time.monotonic() + 5
    while not log.state.writable and time.monotonic() < deadline:
        time.sleep(0.01)

    assert log.state.writable
    log.record([logged("after")]).result(timeout=5)
    assert log.close()
    assert lake.ids == ["after"]
    assert list(tmp_path.iterdir()) == []


def test_a_segment_of_an_earlier_version_is_read(tmp_path):
    """What a process wrote while fields had names, before latencies were logged, loses nothing but those."""
    record = logged("old")
    fields = {
        "decision": msgspec.structs.asdict(record.decision),
        "at": record.at,
        "row": list(record.sent().items()),
        "features": record.inputs().tolist(),
        "shadow": True,
    }
    content = msgspec.msgpack.encode(fields)
    path = tmp_path / "s-1.journal"
    path.write_bytes(struct.pack("<II", len(content), zlib.crc32(content)) + content)

    (found,) = read_records(path)

    assert (found.decision, found.latency_ms, found.shadow) == (record.decision, None, True)
    assert (found.at, found.row, found.features) == (record.at, record.row, record.features)


_WRITER = """
import itertools, json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from geartrain.domain.prediction import Decision
from geartrain.errors import LakeUnreadable
from geartrain.serving.journal import LoggedDecision
from geartrain.serving.log import PredictionLog
from geartrain.serving.log_terms import LogLimits

now = datetime(2026, 1, 2, tzinfo=UTC)
def sink(batch, records):
    target = Path(sys.argv[2]) / batch
    if not target.exists():
        part = target.with_suffix(".part")
        part.write_text("\\n".join(record.decision.id for record in records))
        part.rename(target)
def away(batch, records):
    raise LakeUnreadable("the lake is away")
def slow(batch, records):
    time.sleep(0.02)
    sink(batch, records)
how = json.loads(sys.argv[4])
log = PredictionLog(
    Path(sys.argv[1]), {"here": sink, "away": away, "slow": slow}[how.pop("lake")], session=sys.argv[3],
    limits=LogLimits(**{"rotate_records": 50, "rotate_s": 0.01, "retry_s": 0.01, **how}),
)
for i in itertools.count():
    decision = Decision(id=f"{sys.argv[3]}-{i}", product="p", release="r", key="", decided_at=now,
                        action="a", probabilities=(), expected_cost=0.0)
    log.record([LoggedDecision(decision=decision, at=now, row=b"{}", features=b"")]).result()
    print(decision.id, flush=True)
"""


@pytest.mark.parametrize(
    "how",
    [
        {"lake": "here"},
        {"lake": "away", "pressure": "spill"},
        {"lake": "slow", "pressure": "block", "most_backlog_bytes": 2000},
    ],
    ids=["as it is", "spilling", "blocking"],
)
def test_sigkill_loses_no_answered_decision(tmp_path, how):
    """Processes are killed at random moments; every id they had answered is delivered, exactly once.

    So it is while the lake is away and the journal spills, and where answers wait for a slow lake.
    """
    journal, lake = tmp_path / "journal", tmp_path / "lake"
    lake.mkdir()
    answered: list[str] = []
    for life in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(journal), str(lake), f"life{life}", json.dumps(how)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        answered.extend(process.stdout.readline().strip() for _ in range(120 + 37 * life))
        process.send_signal(signal.SIGKILL)
        answered += [
            line.strip() for line in process.stdout.read().split("\n") if line.endswith(tuple("0123456789"))
        ]
        process.wait()
    last = PredictionLog(journal, _file_sink(lake), session="last", limits=FAST)
    assert last.close()

    kept = [one for path in lake.iterdir() if path.suffix != ".part" for one in path.read_text().split("\n")]
    assert len(answered) >= 3 * 120
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept))
    assert left_behind(journal) == ()


def _file_sink(folder: Path):
    def sink(batch, records) -> None:
        if not (folder / batch).exists():
            (folder / batch).write_text("\n".join(record.decision.id for record in records))

    return sink


def test_within_the_window_an_answer_does_not_wait(tmp_path):
    """In fast mode the future is done at once, also while the disk takes its time, and the record comes after."""
    taken: list[str] = []
    log = PredictionLog(
        tmp_path,
        lambda _batch, records: taken.extend(one.decision.id for one in records),
        session="s",
        limits=LogLimits(window_s=60, rotate_s=0.01),
    )
    futures = [log.record([logged(f"d-{i}")]) for i in range(50)]

    assert all(future.done() for future in futures)
    assert log.close()
    assert sorted(taken) == sorted(f"d-{i}" for i in range(50))


def test_within_the_window_records_gather_and_are_written_together(tmp_path, monkeypatch):
    """In fast mode a quarter of the window's records are one write; each is found by its id all the while, and answered once."""
    writes: list[int] = []
    real = Segment.append

    def counting(self, frames):
        writes.append(len(frames))
        real(self, frames)

    monkeypatch.setattr(Segment, "append", counting)
    log = PredictionLog(tmp_path, lambda _batch, _records: None, session="s", limits=LogLimits(window_s=2))
    for i in range(50):
        log.record([logged(f"d-{i}")])
    found = log.find_all("p", ["d-0", "d-49", "d-50"])

    assert writes == []
    assert sorted(found) == ["d-0", "d-49"]
    assert log.flush(timeout_s=5)
    assert len(writes) == 1
    assert sorted(log.find_all("p", ["d-0", "d-49"])) == ["d-0", "d-49"]
    assert log.close()


def test_what_has_gathered_for_a_quarter_of_the_window_is_written_unasked(tmp_path):
    """Nobody needs to come later for a record to be on the disk."""
    log = PredictionLog(
        tmp_path, lambda _batch, _records: None, session="s", limits=LogLimits(window_s=0.4, rotate_s=60)
    )
    log.record([logged("d-1")])
    end = time.monotonic() + 5
    while log.state.pending and time.monotonic() < end:
        time.sleep(0.01)

    assert log.state.pending == 0
    assert sum(path.stat().st_size for path in tmp_path.glob("*.journal")) > 0
    assert log.close()


def test_many_records_do_not_wait_for_the_window(tmp_path):
    """Memory is bounded whatever the window: a quarter of what may wait is written at once."""
    limits = LogLimits(window_s=60, most_pending=40, rotate_s=60)
    log = PredictionLog(tmp_path, lambda _batch, _records: None, session="s", limits=limits)
    for i in range(200):
        log.record([logged(f"d-{i}")])
        end = time.monotonic() + 5
        while log.state.pending >= 10 and time.monotonic() < end:
            time.sleep(0.001)
        assert log.state.pending < 10

    assert log.close()


def test_beyond_the_window_answers_wait_again(tmp_path, monkeypatch):
    """A disk that hangs for longer than the window holds answers back, so that no more than it is at stake."""
    going_on = threading.Event()
    real = Segment.append

    def hanging(self, frames):
        going_on.wait(10)
        real(self, frames)

    monkeypatch.setattr(Segment, "append", hanging)
    log = PredictionLog(
        tmp_path, lambda _batch, _records: None, session="s", limits=LogLimits(window_s=0.2, rotate_s=0.01)
    )
    first = log.record([logged("d-1")])
    time.sleep(0.3)
    second = log.record([logged("d-2")])

    assert first.done()
    assert not second.done()
    going_on.set()
    second.result(timeout=5)
    assert log.close()


_FAST_WRITER = """
import json, sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_log import logged
from geartrain.serving.journal import Segment
from geartrain.serving.log import PredictionLog
from geartrain.serving.log_terms import LogLimits
real = Segment.append
def slow(self, frames):
    time.sleep(0.1)
    real(self, frames)
Segment.append = slow
def sink(batch, records):
    time.sleep(0.05)
    with (Path(sys.argv[1]).parent / "delivered").open("a") as told:
        told.writelines(record.decision.id + "\\n" for record in records)
log = PredictionLog(
    Path(sys.argv[1]), sink, session="fast", limits=LogLimits(window_s=0.5, **json.loads(sys.argv[3]))
)
place = 0
while True:
    log.record([logged(f"d-{place}")]).result()
    print(f"d-{place} {time.monotonic()}", flush=True)
    place += 1
    time.sleep(0.001)
"""


@pytest.mark.parametrize(
    "how",
    [{"rotate_s": 60}, {"rotate_s": 0.01, "pressure": "block", "most_backlog_bytes": 2000}],
    ids=["as it is", "blocking"],
)
def test_sigkill_in_fast_mode_loses_the_window_at_most(tmp_path, how):
    """With a slow disk a killed process loses answers, and all of them from within one window of 0.5 s.

    So it is where answers wait for a lake that is slow too.
    """
    journal = tmp_path / "journal"
    process = subprocess.Popen(
        [sys.executable, "-c", _FAST_WRITER, str(journal), str(Path(__file__).parent), json.dumps(how)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(600)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().split("\n")
    process.wait()
    answered = dict(line.split() for line in lines if len(line.split()) == 2)
    kept = {one.decision.id for path in left_behind(journal) for one in read_records(path)}
    if (tmp_path / "delivered").exists():
        kept |= set((tmp_path / "delivered").read_text().split())
    lost = [float(at) for one, at in answered.items() if one not in kept]

    assert len(kept) > 100
    assert lost, "the disk was slow, so something was on its way"
    assert max(lost) - min(lost) <= 0.5

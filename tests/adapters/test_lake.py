import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from geartrain.adapters import lake as lake_module
from geartrain.adapters.lake import DeltaLake
from geartrain.errors import DiskFull, LakeUnreadable, WorkspaceBusy
from geartrain.testing.lake import MemoryLake, check_lake, rows_at

_WRITER = """
import sys
from geartrain.adapters.lake import DeltaLake
from geartrain.testing.lake import rows_at
lake = DeltaLake(sys.argv[1], compact_every=3)
name, count, size = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
for number in range(count):
    lake.append("p/s", rows_at([number % 20] * size, x=[number] * size), batch=f"{name}{number}")
"""


def _writer(root, name, *, count, size):
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(root), name, str(count), str(size)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_delta_keeps_the_promises_of_the_port(tmp_path):
    """The default lake passes the suite that every adapter passes."""
    numbers = itertools.count()
    check_lake(lambda: DeltaLake(tmp_path / str(next(numbers))))


def test_the_fake_keeps_the_promises_of_the_port():
    """And so does the fake."""
    check_lake(MemoryLake)


def test_another_process_sees_what_was_appended(tmp_path):
    """Two open lakes on one folder agree after each append, in both directions."""
    one, two = DeltaLake(tmp_path), DeltaLake(tmp_path)
    one.append("p/s", rows_at([1], x=[1]), batch="b1")
    assert two.scan("p/s").num_rows == 1
    two.append("p/s", rows_at([2], x=[2]), batch="b2")

    assert one.scan("p/s").num_rows == 2
    assert not one.append("p/s", rows_at([2], x=[2]), batch="b2")


def test_small_files_are_joined_as_appends_go_on(tmp_path):
    """A stream of small appends stays a table of few files, and no row or batch is lost."""
    lake = DeltaLake(tmp_path, compact_every=5)
    for number in range(12):
        lake.append("p/s", rows_at([number], x=[number]), batch=f"b{number}")
        if number == 3:
            lake.compact("p/s")
            lake.compact("p/s")

    assert sorted(lake.scan("p/s").column("x").to_pylist()) == list(range(12))
    assert len(lake.batches("p/s")) == 12
    assert len(DeltaLake(tmp_path)._fresh("p/s").file_uris()) <= 5
    assert not DeltaLake(tmp_path).append("p/s", rows_at([0], x=[0]), batch="b0")


def test_a_row_is_not_written_again_each_time_that_files_are_joined(tmp_path, monkeypatch):
    """About once in each step, however large the table is: a server appends to a year as to a minute."""
    monkeypatch.setattr(lake_module, "_STEPS", ((16, 2**30), (4, 80_000), (1, 20_000)))
    rng, lake, count = np.random.default_rng(1), DeltaLake(tmp_path, compact_every=5), 240
    for number in range(count):
        lake.append("p/s", rows_at([number % 20], x=[rng.bytes(2000).hex()]), batch=f"b{number}")
    written = [pq.read_metadata(path).num_rows for path in (tmp_path / "p" / "s").glob("*.parquet")]

    assert lake.scan("p/s").num_rows == count
    assert sum(written) <= 5.5 * count  # with one step it is 31 times, and grows
    assert len(lake._fresh("p/s").file_uris()) < 20


def test_a_joined_file_is_read_in_small_groups(tmp_path):
    """Whoever looks for a row by name in a file of many reads a part of it: a server does so several times a second."""
    lake = DeltaLake(tmp_path)
    for number in range(3):
        lake.append("p/s", rows_at([number] * 5000, x=list(range(5000))), batch=f"b{number}")
    lake.compact("p/s")
    (path,) = DeltaLake(tmp_path)._fresh("p/s").file_uris()
    file = pq.read_metadata(path.removeprefix("file://"))

    assert [file.row_group(one).num_rows for one in range(file.num_row_groups)] == [4096, 4096, 4096, 2712]
    assert file.row_group(0).column(0).compression == "SNAPPY"


def test_a_batch_is_remembered_when_the_old_log_is_gone(tmp_path):
    """Delta forgets old commits after a month; what was taken must not be taken again for that."""
    lake = DeltaLake(tmp_path, compact_every=5)
    for number in range(7):
        lake.append("p/s", rows_at([number], x=[number]), batch=f"b{number}")
    lake.compact("p/s")
    for commit in (tmp_path / "p" / "s" / "_delta_log").glob("*.json"):
        if int(commit.stem) <= 5:
            commit.unlink()

    again = DeltaLake(tmp_path)
    assert [again.append("p/s", rows_at([9], x=[9]), batch=f"b{number}") for number in range(7)] == [
        False
    ] * 7
    assert again.scan("p/s").num_rows == 7


def test_what_was_replaced_is_let_go_and_nobody_misses_it(tmp_path, monkeypatch):
    """A stream of appends leaves few files, of rows and of commits; who looked at the beginning sees all at the end."""
    at_once = {name: "interval 0 seconds" for name in lake_module._CONFIGURATION if "Retention" in name}
    monkeypatch.setattr(lake_module, "_CONFIGURATION", {**lake_module._CONFIGURATION, **at_once})
    lake, before = DeltaLake(tmp_path, compact_every=5), DeltaLake(tmp_path)
    lake.append("p/s", rows_at([0], x=[0]), batch="b0")
    assert before.scan("p/s").num_rows == 1
    for number in range(1, 41):
        lake.append("p/s", rows_at([number % 20], x=[number]), batch=f"b{number}")
    lake.compact("p/s")
    files = list((tmp_path / "p" / "s").rglob("*"))

    assert len(at_once) == 2
    assert len(files) < 20
    assert sorted(before.scan("p/s").column("x").to_pylist()) == list(range(41))
    assert not any(before.append("p/s", rows_at([1], x=[1]), batch=f"b{number}") for number in range(41))


def test_a_table_of_an_earlier_version_lets_go_as_soon(tmp_path, monkeypatch):
    """The next time that its files are joined it is told for how long to keep what was replaced."""
    today = lake_module._CONFIGURATION
    lake = DeltaLake(tmp_path)
    with monkeypatch.context() as earlier:
        earlier.setattr(lake_module, "_CONFIGURATION", {"delta.checkpointInterval": "50"})
        lake.append("p/s", rows_at([1], x=[1]), batch="b1")
    lake.compact("p/s")

    assert lake._held("p/s").metadata().configuration == today
    assert lake.scan("p/s").num_rows == 1


def test_a_table_that_was_idle_is_compacted(tmp_path):
    """A month later the last commit may live in the checkpoint alone."""
    lake = DeltaLake(tmp_path)
    lake.append("p/s", rows_at([1], x=[1]), batch="b1")
    lake._held("p/s").create_checkpoint()
    (tmp_path / "p" / "s" / "_delta_log" / f"{0:020}.json").unlink()

    DeltaLake(tmp_path).compact("p/s")
    assert DeltaLake(tmp_path).scan("p/s").num_rows == 1


def test_an_append_of_ten_thousand_rows_is_quick(tmp_path):
    """The loop ingests in batches; one of 10,000 rows and 12 columns takes tens of milliseconds."""
    lake = DeltaLake(tmp_path)
    columns = {f"x{number}": np.random.default_rng(number).random(10_000) for number in range(9)}
    rows = rows_at([1] * 10_000, **columns)
    took = []
    for number in range(6):
        start = time.perf_counter()
        lake.append("p/s", rows, batch=f"b{number}")
        took.append(time.perf_counter() - start)

    assert min(took) < 0.15


def test_two_processes_append_to_one_table(tmp_path):
    """Writers of one table wait for each other; nothing is lost."""
    writers = [_writer(tmp_path, name, count=15, size=3) for name in ("one", "two")]
    for writer in writers:
        _, errors = writer.communicate(timeout=50)
        assert writer.returncode == 0, errors

    lake = DeltaLake(tmp_path)
    assert lake.scan("p/s").num_rows == 90
    assert len(lake.batches("p/s")) == 30


def test_threads_append_to_one_table(tmp_path):
    """One lake serves many threads."""
    lake = DeltaLake(tmp_path)
    threads = [
        threading.Thread(target=lake.append, args=("p/s", rows_at([n], x=[n])), kwargs={"batch": str(n)})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert lake.scan("p/s").num_rows == 8


def test_a_kill_in_the_middle_leaves_whole_batches_only(tmp_path):
    """SIGKILL at any moment: each batch is there whole or not at all, and may be sent again."""
    for delay in (0.01, 0.03, 0.08):
        root = tmp_path / str(delay)
        writer = _writer(root, "killed", count=100_000, size=500)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate(timeout=20)

        lake = DeltaLake(root, busy_timeout_s=1)
        whole = len(lake.batches("p/s"))
        assert lake.scan("p/s").num_rows == 500 * whole
        assert lake.append("p/s", rows_at([1], x=[1]), batch="afterwards")
        assert lake.scan("p/s").num_rows == 500 * whole + 1


def test_a_table_that_is_being_written_says_so(tmp_path):
    """A lock that another process keeps is a reason to try again, not a crash; readers go on."""
    lake = DeltaLake(tmp_path, busy_timeout_s=0.05)
    lake.append("p/s", rows_at([1], x=[1]), batch="b1")
    other = DeltaLake(tmp_path)
    with other._writing("p/s"), pytest.raises(WorkspaceBusy) as told:
        lake.append("p/s", rows_at([2], x=[2]), batch="b2")

    assert told.value.exit_code == 75
    assert lake.scan("p/s").num_rows == 1


@pytest.mark.parametrize("damage", ["log", "rows", "lost"])
def test_a_damaged_table_is_said_and_never_read_as_empty(tmp_path, damage):
    """Broken files are an error that names the table; silence would read as "no data"."""
    DeltaLake(tmp_path).append("p/s", rows_at([1], x=[1]), batch="b1")
    (log,) = (tmp_path / "p" / "s" / "_delta_log").glob("*.json")
    (rows,) = (tmp_path / "p" / "s").glob("*.parquet")
    match damage:
        case "log":
            log.write_text('{"metaData": 1}\nhalf a li')
        case "rows":
            rows.write_bytes(rows.read_bytes()[:100])
        case "lost":
            rows.unlink()

    with pytest.raises(LakeUnreadable) as told:
        DeltaLake(tmp_path).scan("p/s")
    assert "p/s" in str(told.value)


def test_a_full_disk_is_said_and_nothing_is_appended(tmp_path):
    """A file that cannot grow refuses the append; the table stays as it was."""
    DeltaLake(tmp_path).append("p/s", rows_at([1], x=[1.0]), batch="b1")
    script = (
        "import resource, sys, numpy\n"
        "from geartrain.adapters.lake import DeltaLake\n"
        "from geartrain.errors import DiskFull\n"
        "from geartrain.testing.lake import rows_at\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "x = numpy.random.default_rng(0).random(20_000)\n"
        "try:\n"
        "    DeltaLake(sys.argv[1]).append('p/s', rows_at([1] * 20_000, x=x), batch='b2')\n"
        "except DiskFull as error:\n"
        "    print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=50
    )

    assert done.stdout == "disk.full\n", done.stderr
    assert DeltaLake(tmp_path).batches("p/s") == {"b1"}
    assert DeltaLake(tmp_path).append("p/s", rows_at([2], x=[2.0]), batch="b2")


def test_a_real_full_disk_is_said(tmp_path):
    """The same on a file system that is really full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        lake = DeltaLake(disk)
        lake.append("p/s", rows_at([1], x=[1.0]), batch="b1")
        with pytest.raises(DiskFull):
            lake.append("p/s", rows_at([1] * 90_000, x=np.random.default_rng(0).random(90_000)), batch="b2")
        assert lake.scan("p/s").num_rows == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_erased_rows_leave_no_bytes_behind(tmp_path):
    """Neither the table's files nor its history hold the person any more, also after files were joined."""
    lake = DeltaLake(tmp_path)
    for number in range(4):
        rows = rows_at([1, 2], who=["Maria-Kowalska-7731", f"other-{number}"])
        lake.append("p/s", rows, batch=f"b{number}")
    lake.compact("p/s")

    assert lake.erase("p/s", "who", ["Maria-Kowalska-7731"]) == 4

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"Maria-Kowalska-7731" in path.read_bytes()]
    assert lake.scan("p/s").num_rows == 4

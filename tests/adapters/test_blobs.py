import itertools
import subprocess
import sys

import pytest

from geartrain.adapters.blobs import FileBlobs
from geartrain.errors import BundleTampered
from geartrain.testing.blobs import MemoryBlobs, check_blobs


def test_files_keep_the_promises_of_the_port(tmp_path):
    """The default store passes the suite that every adapter passes."""
    numbers = itertools.count()
    check_blobs(lambda: FileBlobs(tmp_path / str(next(numbers))))


def test_the_fake_keeps_the_promises_of_the_port():
    """And so does the fake."""
    check_blobs(MemoryBlobs)


def test_a_changed_byte_is_never_handed_out(tmp_path):
    """Bytes that do not have their name are an error, and putting them again repairs it."""
    blobs = FileBlobs(tmp_path)
    name = blobs.put(b"the model")
    (tmp_path / name[:2] / name).write_bytes(b"the m0del")

    with pytest.raises(BundleTampered):
        blobs.get(name)
    blobs.put(b"the model")
    assert blobs.get(name) == b"the model"


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """A put that fails leaves no half of a file under any name."""
    script = (
        "import resource, sys\n"
        "from geartrain.adapters.blobs import FileBlobs\n"
        "from geartrain.errors import DiskFull\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    FileBlobs(sys.argv[1]).put(b'x' * 5000)\n"
        "except DiskFull as error:\n"
        "    print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=50
    )

    assert done.stdout == "disk.full\n", done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

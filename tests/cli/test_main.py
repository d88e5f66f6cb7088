"""The command line as a process: what it chooses before anything is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from geartrain.cli.main import keep_memory_flat

_PROGRAM = """
import sys
sys.argv = ["geartrain", "--version"]
from geartrain.cli.main import main
assert "pyarrow" not in sys.modules
try:
    main()
except SystemExit:
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(("chosen", "used"), [("", "system"), ("mimalloc", "mimalloc")])
def test_arrow_takes_memory_from_the_system_unless_somebody_chose(chosen, used):
    """A server's memory stays flat; who knows better sets Arrow's own variable."""
    environment = {name: text for name, text in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    if chosen:
        environment["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.split()[-1] == used


def test_a_server_has_few_arenas_and_other_commands_have_what_they_had():
    """Threads of a server share memory that they let go of; who knows better sets glibc's own variable."""
    told: list[dict[str, str]] = [{}, {}, {"MALLOC_ARENA_MAX": "5"}]
    for environment, serves in zip(told, (True, False, True), strict=True):
        keep_memory_flat(environment, serves=serves)

    assert [one.get("MALLOC_ARENA_MAX") for one in told] == ["2", None, "5"]


_INTERRUPTED = """
import threading, time
import geartrain.cli.main as m

def work(**_given):
    threading.Thread(target=time.sleep, args=(60,)).start()
    raise KeyboardInterrupt

m.cli.main = work
m.main(["train", "--json"])
"""


def test_whoever_interrupts_is_answered_at_once():
    """One document that says so and the shell's code; work in another thread is not waited for."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, check=False)

    assert time.monotonic() - began < 30
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")
    assert json.loads(done.stdout)["error"]["code"] == "interrupted"

"""Several processes that serve the same products: started together, counted together.

Each worker holds the port with SO_REUSEPORT, so the kernel spreads new connections over
them. Each writes once a second what it has counted; whoever Prometheus asks adds up.
What a worker that has ended had counted stays in the sums, so counters never fall.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Final, Protocol

import msgspec

from geartrain.api.metrics import SUMMED, Counted

#: How often a worker tells what it has counted.
PUBLISH_S: Final = 1.0
_LOOK_S: Final = 0.1
#: A worker that ends sooner than this after its start is not started again at once.
_TOO_SOON_S: Final = 5.0

_Cells = dict[str, list[tuple[tuple[str, ...], list[float]]]]


class SharedCounts:
    """What the processes of one fleet have counted, one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}.json"
        folder.mkdir(parents=True, exist_ok=True)

    def publish(self, counted: Counted) -> None:
        """Let the others read what this process has counted."""
        part = self._own.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(counted))
        part.replace(self._own)

    def counted(self) -> Sequence[Counted]:
        """What the others had counted when they last published; of ended ones no gauges."""
        found: list[Counted] = []
        for path in sorted(self._folder.glob("*.json")):
            if path == self._own:
                continue
            try:
                cells = msgspec.json.decode(path.read_bytes(), type=_Cells)
            except (OSError, msgspec.DecodeError):
                continue
            if not _lives(int(path.stem)):
                cells = {name: held for name, held in cells.items() if name not in SUMMED}
            found.append(cells)
        return found


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Worker(Protocol):
    """A process, as `multiprocessing` has it."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    @property
    def exitcode(self) -> int | None:
        """How it ended, None while it lives."""

    def start(self) -> None:
        """Begin."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""


def supervise(
    start: Callable[[int], Worker], workers: int, *, stopping: Event, most_failures: int = 5
) -> bool:
    """Keep *workers* processes alive until *stopping*; then ask them to end and wait for it.

    *start* gives the process for a place; it is started again where it ends by itself.

    Returns:
        False where workers kept ending right after their start, which nobody can repair here.
    """
    living: dict[int, tuple[Worker, float]] = {}
    failures = 0
    while not stopping.is_set() and failures < most_failures:
        for place in range(workers):
            held = living.get(place)
            if held is not None and held[0].exitcode is None:
                continue
            if held is not None:
                failures = failures + 1 if time.monotonic() - held[1] < _TOO_SOON_S else 0
            worker = start(place)
            worker.start()
            living[place] = (worker, time.monotonic())
        stopping.wait(_LOOK_S)
    for worker, _ in living.values():
        if worker.exitcode is None and worker.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
    for worker, _ in living.values():
        worker.join()
    return failures < most_failures

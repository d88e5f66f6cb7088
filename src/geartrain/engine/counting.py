"""What takes long to count is counted once, in the background, and kept beside what it was counted from.

A count lies in a small file of the workspace, under the key of everything that it depends on.
Where the key has changed it is made again, one count at a time in this process, and whoever
waits no longer gets the older one. A count that took long is not made again at once: it would
keep the machine busy for as long as rows arrive. A count can always be made again: a file that cannot be
read is no loss.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from geartrain.domain.digest import digest_bytes

#: The folder of counts, below the workspace's root.
FOLDER = "counts"
#: A look waits so long for its count: then the first says that it is being made, a later one shows the older count.
WAIT_S = 0.08
#: A count that took longer than this rests for so many times as long before it is made again.
LONG_S, REST = 1.0, 20.0

_making: dict[tuple[Path, str], Future[bytes]] = {}
_lock = Lock()
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="counting")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    key: str
    took_s: float
    made_at: float
    content: bytes


def counted(file: Path, key: str, make: Callable[[], bytes]) -> tuple[bytes | None, bool]:
    """The latest count in *file*, and whether it is the one called *key*; None while the first is being made."""
    held = _held(file)
    if held is not None and held.key == key:
        return held.content, True
    if held is not None and held.took_s > LONG_S and time.time() - held.made_at < REST * held.took_s:
        return held.content, False
    try:
        return _begun(file, key, make).result(timeout=WAIT_S), True
    except TooSlow:
        return (held.content if held else None), False


def _held(file: Path) -> _Count | None:
    try:
        head, _, content = file.read_bytes().partition(b"\n")
        made_at = file.stat().st_mtime
    except FileNotFoundError:
        return None
    key, took, sealed = (*head.decode("ascii", errors="replace").split(" "), "", "", "")[:3]
    if sealed != digest_bytes(content):
        return None
    return _Count(key=key, took_s=float(took), made_at=made_at, content=content)


def _begun(file: Path, key: str, make: Callable[[], bytes]) -> Future[bytes]:
    def made() -> bytes:
        try:
            begun = time.monotonic()
            content = make()
            _keep(file, f"{key} {time.monotonic() - begun:.3f}", content)
            return content
        finally:
            with _lock:
                _making.pop((file, key), None)

    with _lock:
        if (file, key) not in _making:
            _making[file, key] = _worker.submit(made)
        return _making[file, key]


def _keep(file: Path, head: str, content: bytes) -> None:
    """Written whole or not at all; it need not survive a loss of power."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_bytes(f"{head} {digest_bytes(content)}\n".encode("ascii") + content)
    partial.replace(file)

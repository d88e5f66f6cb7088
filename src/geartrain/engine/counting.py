"""What takes long to count is counted once, in the background, and kept beside what it was counted from.

A count lies in a small file of the workspace, under the key of everything that it depends on.
Where the key has changed it is made again, one count at a time in this process, and whoever
waits no longer gets the older one. A count can always be made again: a file that cannot be
read is no loss.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from pathlib import Path
from threading import Lock

from geartrain.domain.digest import digest_bytes

#: The folder of counts, below the workspace's root.
FOLDER = "counts"
#: The first look waits so long for its count, a later one so long before it shows the older count.
FIRST_WAIT_S, LATER_WAIT_S = 4.0, 0.08

_making: dict[tuple[Path, str], Future[bytes]] = {}
_lock = Lock()
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="counting")


def counted(file: Path, key: str, make: Callable[[], bytes]) -> tuple[bytes | None, bool]:
    """The latest count in *file*, and whether it is the one called *key*; None while the first is being made."""
    held = _held(file)
    if held is not None and held[0] == key:
        return held[1], True
    try:
        return _begun(file, key, make).result(timeout=FIRST_WAIT_S if held is None else LATER_WAIT_S), True
    except TooSlow:
        return (held[1] if held else None), False


def _held(file: Path) -> tuple[str, bytes] | None:
    try:
        head, _, content = file.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    key, _, sealed = head.decode("ascii", errors="replace").partition(" ")
    return (key, content) if sealed == digest_bytes(content) else None


def _begun(file: Path, key: str, make: Callable[[], bytes]) -> Future[bytes]:
    def made() -> bytes:
        try:
            content = make()
            _keep(file, key, content)
            return content
        finally:
            with _lock:
                _making.pop((file, key), None)

    with _lock:
        if (file, key) not in _making:
            _making[file, key] = _worker.submit(made)
        return _making[file, key]


def _keep(file: Path, key: str, content: bytes) -> None:
    """Written whole or not at all; it need not survive a loss of power."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_bytes(f"{key} {digest_bytes(content)}\n".encode("ascii") + content)
    partial.replace(file)

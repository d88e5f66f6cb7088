"""The prediction log's journal: segments of framed records that survive a crash.

A record is `length (4 bytes) | CRC-32 (4 bytes) | MessagePack`. A torn record at a
segment's end was never acknowledged and is left out when the segment is read; bytes that
a disk changed cost the records that they are in and no other. The
process that writes a segment holds a lock on it; what nobody holds was left by a crash.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from geartrain.domain.clause import Scalar
from geartrain.domain.prediction import Decision
from geartrain.errors import DiskFull

_HEAD: Final = struct.Struct("<II")
_SUFFIX: Final = ".journal"
#: What is appended to the name of a segment that cannot be read whole.
_DAMAGED: Final = ".damaged"
#: As much as is written to see whether writing works.
_TRIED_BYTES: Final = 64 * 1024
#: How features stand in a record.
FEATURE_DTYPE: Final = np.dtype("<f4")


class LoggedDecision(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A decision with all that it was made from.

    Row and features are kept as bytes: nobody reads them before the record is in the lake, and a
    server holds thousands of records.

    Attributes:
        at: The time that the features are about; usually the time of the decision.
        row: The row as it was sent, as JSON; nested values as JSON text (`geartrain.serving.columns.logged_row`).
        features: The model's input, in the order of the release's columns, as little-endian float32.
        shadow: Whether nobody was answered with it.
        latency_ms: From the request's arrival in the server until its decision was handed to the log;
            None where nobody waited for it, and in records of earlier versions. Writing the
            log and the answer comes on top.
    """

    decision: Decision
    at: datetime
    row: bytes
    features: bytes
    shadow: bool = False
    latency_ms: float | None = None

    @property
    def identity(self) -> tuple[str, str, bool]:
        """What makes it the same record: product, decision id, and whether it is the shadow's."""
        return self.decision.product, self.decision.id, self.shadow

    def sent(self) -> Mapping[str, Scalar]:
        """The row as it was sent, by name."""
        return _ROW.decode(self.row)

    def inputs(self) -> NDArray[np.float32]:
        """The model's input, shape (columns,)."""
        return np.frombuffer(self.features, dtype=FEATURE_DTYPE)


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was written while fields had names: a process that was killed then may have left some."""

    decision: dict[str, Any]
    at: datetime
    row: tuple[tuple[str, Scalar], ...]
    features: tuple[float, ...]
    shadow: bool = False
    latency_ms: float | None = None

    def today(self) -> LoggedDecision:
        told = (self.decision[name] for name in Decision.__struct_fields__)
        return LoggedDecision(
            decision=msgspec.convert(tuple(told), Decision),
            at=self.at,
            row=msgspec.json.encode(dict(self.row)),
            features=np.asarray(self.features, dtype=FEATURE_DTYPE).tobytes(),
            shadow=self.shadow,
            latency_ms=self.latency_ms,
        )


_ROW = msgspec.json.Decoder(dict[str, Scalar])
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LoggedDecision).decode
_decode_named = msgspec.msgpack.Decoder(_Named).decode
#: The first bytes of MessagePack's lists of up to 15 parts.
_LIST: Final = range(0x90, 0xA0)


def framed(records: Sequence[LoggedDecision]) -> bytes:
    """The bytes of *records* as a segment holds them."""
    parts: list[bytes] = []
    for record in records:
        content = _encode(record)
        parts += (_HEAD.pack(len(content), zlib.crc32(content)), content)
    return b"".join(parts)


def read_records(path: Path) -> tuple[LoggedDecision, ...]:
    """The records of a segment in order, as far as they can be read."""
    return read_segment(path)[0]


def read_segment(path: Path) -> tuple[tuple[LoggedDecision, ...], int]:
    """The same, and how many bytes hold what was written whole and cannot be read any more.

    After bytes that are no record the next whole one is looked for. A torn end is no damage: what it was a part of had
    not been written yet.
    """
    content = path.read_bytes()
    records: list[LoggedDecision] = []
    place = damaged = 0
    while place < len(content):
        end = _end_of(content, place)
        if end is None:
            found = next((one for one in range(place + 1, len(content)) if _end_of(content, one)), None)
            if found is None:
                return tuple(records), damaged + (0 if _is_torn(content, place) else len(content) - place)
            damaged, place = damaged + found - place, found
            continue
        record = content[place + _HEAD.size : end]
        records.append(_decode(record) if record[0] in _LIST else _decode_named(record).today())
        place = end
    return tuple(records), damaged


def _end_of(content: bytes, place: int) -> int | None:
    """Where the record at *place* ends; None where none stands there."""
    if place + _HEAD.size > len(content):
        return None
    length, checksum = _HEAD.unpack_from(content, place)
    start = place + _HEAD.size
    if not 0 < length <= len(content) - start:
        return None
    is_whole = zlib.crc32(memoryview(content)[start : start + length]) == checksum
    return start + length if is_whole else None


def _is_torn(content: bytes, place: int) -> bool:
    """Whether what begins at *place* was cut off, or made room for and never written."""
    if place + _HEAD.size > len(content):
        return True
    length, _ = _HEAD.unpack_from(content, place)
    return bool(length > len(content) - place - _HEAD.size) or not any(content[place:])


def damaged_segments(folder: Path) -> tuple[Path, ...]:
    """The segments in *folder* that lie aside because a part of them cannot be read."""
    return tuple(sorted(folder.glob(f"*{_DAMAGED}")))


def set_aside(path: Path) -> Path:
    """Keep a damaged segment for people: under another name, so that nobody takes it for one to deliver."""
    kept = path.with_name(path.name + _DAMAGED)
    path.rename(kept)
    return kept


def is_writable(folder: Path, session: str) -> bool:
    """Whether *folder* takes bytes now, tried with some."""
    tried = folder / f"{session}.try"
    try:
        with tried.open("wb") as file:
            file.write(bytes(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    finally:
        with suppress(OSError):
            tried.unlink(missing_ok=True)
    return True


class Segment:
    """One append-only file, locked by the process that writes it.

    Raises:
        DiskFull: The file cannot be made.
    """

    def __init__(self, folder: Path, name: str, *, fsync: bool) -> None:
        self.path = folder / f"{name}{_SUFFIX}"
        self.size = 0
        self._fsync = fsync
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError as error:
            raise _not_written(self.path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if fsync:
                _fsync_folder(folder)
        except OSError as error:
            self.drop()
            raise _not_written(self.path, error) from error

    def append(self, frames: bytes) -> None:
        """Take all of *frames*: into the operating system's hands and, with fsync, onto the disk.

        Raises:
            DiskFull: The segment may end in a torn record now and must not be written again.
        """
        try:
            written = 0
            while written < len(frames):
                written += os.write(self._file, frames[written:])
            if self._fsync:
                os.fsync(self._file)
        except OSError as error:
            raise _not_written(self.path, error) from error
        self.size += len(frames)

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._file)

    def drop(self) -> None:
        """Let go of a file that holds nothing whole."""
        self.close()
        # A disk that takes nothing may not let go either; the file is empty for whoever reads it.
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def left_behind(folder: Path) -> tuple[Path, ...]:
    """The segments in *folder* that no living process writes, oldest first."""
    return tuple(path for path in sorted(folder.glob(f"*{_SUFFIX}")) if not _is_locked(path))


def _is_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True  # whoever held it has just delivered it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def _fsync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _not_written(path: Path, error: OSError) -> DiskFull:
    return DiskFull(
        "the prediction log cannot be written, so no decision is answered",
        where=path.name,
        found=error.strerror or type(error).__name__,
        hint="free disk space or repair the folder's permissions; requests are answered again at once",
    )

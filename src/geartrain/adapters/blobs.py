"""Blobs as files named by their digest, written aside and renamed into place."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from geartrain.adapters.full_disk import disk_full, took_no_more
from geartrain.domain.digest import digest_bytes
from geartrain.errors import BundleTampered, ReleaseUnknown

_DIGEST = re.compile(r"[0-9a-f]{64}")


class FileBlobs:
    """`Blobs` under *root*, two characters of the digest a folder."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)

    def put(self, content: bytes) -> str:
        """Keep *content* and return its digest; see the port.

        A file that is there already is compared, so that putting again repairs damage.
        """
        name = digest_bytes(content)
        path = self._path(name)
        try:
            if not (path.is_file() and path.read_bytes() == content):
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_whole(path, content)
        except OSError as error:
            if took_no_more(error):
                raise disk_full(str(self._root), error) from error
            raise
        return name

    def get(self, digest: str) -> bytes:
        """The bytes named *digest*, checked against it; see the port."""
        if not _DIGEST.fullmatch(digest):
            raise ReleaseUnknown("this is not a digest", where=str(self._root), found=digest)
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError as error:
            raise ReleaseUnknown("no bytes have this digest", where=str(self._root), found=digest) from error
        if digest_bytes(content) != digest:
            raise BundleTampered(
                "the bytes are not the ones that were kept",
                where=str(self._path(digest)),
                found=f"bytes with the digest {digest_bytes(content)}",
                hint="restore the file from a copy; nothing was loaded from it",
            )
        return content

    def has(self, digest: str) -> bool:
        """Whether the bytes are here."""
        return bool(_DIGEST.fullmatch(digest)) and self._path(digest).is_file()

    def digests(self) -> Iterator[str]:
        """The names of all bytes that are here, sorted."""
        return iter(sorted(path.name for path in self._root.glob("??/*") if _DIGEST.fullmatch(path.name)))

    def erase(self, digest: str) -> bool:
        """Remove the bytes named *digest* for good; see the port."""
        if not self.has(digest):
            return False
        self._path(digest).unlink(missing_ok=True)
        return True

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

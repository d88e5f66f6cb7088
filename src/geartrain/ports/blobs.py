"""Blobs: bytes by their digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Blobs(Protocol):
    """Immutable bytes, named by their SHA-256. A put is atomic and may be repeated."""

    def put(self, content: bytes) -> str:
        """Keep *content* and return its digest.

        Raises:
            DiskFull: Nothing was kept.
        """

    def get(self, digest: str) -> bytes:
        """The bytes named *digest*, checked against it.

        Raises:
            BundleTampered: The bytes there do not have that digest.
            ReleaseUnknown: There are none.
        """

    def has(self, digest: str) -> bool:
        """Whether the bytes are here."""

    def digests(self) -> Iterator[str]:
        """The names of all bytes that are here, sorted."""

    def erase(self, digest: str) -> bool:
        """Remove the bytes named *digest* for good; False if there are none."""

"""What every blob store must do, and one in memory that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from geartrain.domain.digest import digest_bytes
from geartrain.errors import BundleTampered, ReleaseUnknown
from geartrain.ports.blobs import Blobs


class MemoryBlobs:
    """`Blobs` that live as long as the process."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Keep *content* and return its digest."""
        name = digest_bytes(content)
        self.kept[name] = bytes(content)
        return name

    def get(self, digest: str) -> bytes:
        """The bytes named *digest*, checked against it; see the port."""
        if digest not in self.kept:
            raise ReleaseUnknown("no bytes have this digest", where="memory", found=digest)
        content = self.kept[digest]
        if digest_bytes(content) != digest:
            raise BundleTampered("the bytes are not the ones that were kept", where="memory", found=digest)
        return content

    def has(self, digest: str) -> bool:
        """Whether the bytes are here."""
        return digest in self.kept

    def digests(self) -> Iterator[str]:
        """The names of all bytes that are here, sorted."""
        return iter(sorted(self.kept))

    def erase(self, digest: str) -> bool:
        """Remove the bytes named *digest* for good; see the port."""
        return self.kept.pop(digest, None) is not None


def check_blobs(make: Callable[[], Blobs]) -> None:
    """Hold a blob store to its port; *make* opens an empty one.

    Raises:
        AssertionError: With the promise that was not kept.
    """
    blobs = make()
    for content in (b"", b"one", bytes(range(256)) * 1000):
        name = blobs.put(content)
        assert name == digest_bytes(content), "bytes are named by their SHA-256"
        assert blobs.put(content) == name, "a put may be repeated"
        assert blobs.get(name) == content, "what was put comes back byte for byte"
        assert blobs.has(name), "what was put is there"
    erased, kept = blobs.put(b"to go"), blobs.put(b"to stay")
    assert {erased, kept} <= set(blobs.digests()), "what is here is listed"
    assert (blobs.erase(erased), blobs.erase(erased)) == (True, False), "bytes are erased once"
    assert not blobs.has(erased), "and are gone"
    assert blobs.has(kept), "others stay"
    for unknown in ("0" * 64, "../../etc/passwd", "", "A" * 64):
        assert not blobs.has(unknown), "what was not put is not there"
        try:
            blobs.get(unknown)
        except ReleaseUnknown:
            continue
        raise AssertionError(f"bytes that were not put are unknown: {unknown!r}")

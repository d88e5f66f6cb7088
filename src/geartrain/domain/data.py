"""Data nouns: batches at the door, snapshots as known at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from geartrain.domain.digest import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What happened to one delivery of rows; its id is the digest of the delivered bytes.

    Attributes:
        id: The same delivery again has the same id and is not taken twice.
        duplicates: Rows whose key was known already; they change nothing.
    """

    id: str
    product: str
    source: str
    rows: int
    accepted: int
    quarantined: int
    duplicates: int
    arrived_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceVersion:
    """How far into a source's table a snapshot looks."""

    source: str
    rows: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An immutable view of the lake as known at `known_at`, named by its content.

    Attributes:
        known_at: Rows that arrived later are not in it, whatever their event time.
        sources: The rows of each source and the digest of their content.
        since: The earliest event time taken, or None for all.
    """

    product: str
    known_at: datetime
    sources: tuple[SourceVersion, ...]
    since: datetime | None = None

    @property
    def id(self) -> str:
        """The digest of what it holds; the time it was asked for is not part of it."""
        return digest((self.product, self.sources))

    @property
    def rows(self) -> int:
        """Rows over all sources."""
        return sum(version.rows for version in self.sources)

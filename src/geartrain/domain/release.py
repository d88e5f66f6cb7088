"""Release nouns: what is signed, who signed it, and what is live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from geartrain.domain.digest import digest
from geartrain.domain.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One file of a bundle, by its path, size and digest."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What the roles sign: the exact contract, snapshot, model and evidence.

    Attributes:
        bundle: The files; together with the ids above them they are the release's identity.
        evidence: The digest of the findings that the gates judged.
    """

    product: str
    contract: str
    snapshot: str
    model: str
    evidence: str
    bundle: tuple[BundleFile, ...]

    @property
    def id(self) -> str:
        """The digest that every sign-off names; any changed byte gives another."""
        return digest(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """One role's yes to one exact release."""

    release: str
    role: Role
    person: str
    signed_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Permission to release although one clause is not kept: by whom, why, until when."""

    release: str
    clause: str
    reason: str
    role: Role
    person: str
    granted_at: datetime
    expires_at: datetime


class ReleaseStage(StrEnum):
    """Where a release stands."""

    PROPOSED = "proposed"
    SUPERSEDED = "superseded"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"


CHAMPION = "champion"
CHALLENGER = "challenger"

"""People who may enter the room, and the secrets that let them; only digests of secrets are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What the holder of a token may do; a session of a signed-in person may do all of it."""

    READ = "read"
    DECIDE = "decide"
    OUTCOMES = "outcomes"
    EVENTS = "events"
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who may sign in.

    Which roles the person holds is not said here: each product's contract says it, by name.

    Attributes:
        person: The name by which contracts know them; unique.
        password: The Argon2id hash, or empty where they sign in elsewhere.
        keeper: Whether they may let others in and close accounts.
        subject: `issuer subject` of the OpenID provider that knows them, or None.
        closed_at: Since when they may not enter any more.
    """

    person: str
    password: str
    keeper: bool
    opened_at: datetime
    subject: str | None = None
    closed_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the person may enter."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that somebody has signed in from.

    Attributes:
        digest: SHA-256 of the cookie's secret, hex.
        proof: What every form of this session must bring back (against forged requests).
        expires_at: When it ends by itself.
    """

    digest: str
    person: str
    proof: str
    began_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link that opens one account, once."""

    digest: str
    person: str
    keeper: bool
    invited_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A program's right to ask in a person's name, within scopes.

    Attributes:
        digest: SHA-256 of the secret, hex.
        name: What it is for, unique for its person.
        expires_at: None where it holds until it is revoked.
    """

    digest: str
    person: str
    name: str
    scopes: tuple[Scope, ...]
    issued_at: datetime
    expires_at: datetime | None = None

    def allows(self, scope: Scope, *, now: datetime) -> bool:
        """Whether it may be used for *scope* at *now*."""
        return scope in self.scopes and (self.expires_at is None or now < self.expires_at)

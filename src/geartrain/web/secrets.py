"""Secrets of people: passwords kept as Argon2id hashes, everything else as SHA-256 digests.

A session's or token's secret has 256 bits of chance, so a plain digest is enough to
keep it useless to whoever reads the database; a password has not, so it is hashed with
RFC 9106's second recommended setting, which costs an attacker memory and time.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 1024


def digest_of(secret: str) -> str:
    """What is kept of a secret, hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def objection(password: str, *, person: str) -> str | None:
    """Why *password* may not be used, or None (NIST SP 800-63B: length, not recipes).

    >>> objection("correct horse battery staple", person="Ada") is None
    True
    >>> objection("short", person="Ada")
    'a password has at least 12 characters; a short sentence is easy to remember'
    """
    if len(password) < SHORTEST:
        return f"a password has at least {SHORTEST} characters; a short sentence is easy to remember"
    if len(password) > LONGEST:
        return f"a password has at most {LONGEST:,} characters"
    if len(set(password)) < 5:
        return "a password of so few different characters is guessed at once"
    if person and person.casefold() in password.casefold() and len(password) < len(person) + SHORTEST:
        return "a password that is mostly your name is guessed at once"
    return None


def hashed(password: str) -> str:
    """The Argon2id hash of *password*, with its salt and parameters."""
    return _hasher().hash(password)


def matches(password: str, hash_: str) -> bool:
    """Whether *password* is the one behind *hash_*.

    An empty hash (an account without a password, or no account) takes as long as a
    wrong one and never matches: an answer's time must not tell who has an account.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(hash_ or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(hash_)


@cache
def _nobodys() -> str:
    return _hasher().hash("the password of nobody")


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()

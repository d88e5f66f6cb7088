"""Which arm answers for a key: a stable hash, so an entity meets one arm for a whole rollout.

The salt is the candidate release's id: every rollout draws other keys, and a share
that grows keeps the keys it had.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

_RESOLUTION = 2**64


class Arm(StrEnum):
    """Who answers. Shadow decides beside the champion and nobody acts on it."""

    CHAMPION = "champion"
    CANARY = "canary"
    SHADOW = "shadow"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much traffic the candidate arms see, as fractions of one."""

    canary: float = 0.0
    shadow: float = 0.0


def place_of(key: str, *, salt: str) -> float:
    """Where *key* stands in [0, 1), the same for ever for one *salt*.

    >>> place_of("card-7", salt="release-1") == place_of("card-7", salt="release-1")
    True
    """
    content = hashlib.blake2b(key.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(content, "big") / _RESOLUTION


def arm_of(key: str, *, share: float, salt: str) -> Arm:
    """The arm that answers for *key* when the canary has *share* of the traffic."""
    return Arm.CANARY if share > 0 and place_of(key, salt=salt) < share else Arm.CHAMPION


def is_shadowed(key: str, *, share: float, salt: str) -> bool:
    """Whether the shadow release decides about *key* too."""
    return share > 0 and place_of(key, salt=salt) < share

"""Texts that are nearly the same: MinHash to find them quickly, exact Jaccard to be sure.

MinHash (Broder 1997, "On the resemblance and containment of documents"): the smallest
hash of a set under a random permutation is the same for two sets with probability J, their
Jaccard similarity. Bands of several such minima make pairs meet that are alike (Leskovec,
Rajaraman & Ullman, "Mining of massive datasets", section 3.4). What meets is compared
exactly, so nothing is called alike that is not; a pair at J = .8 is missed with
probability (1 - .8^4)^32 < 1e-7.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BANDS, ROWS = 32, 4
SHINGLE = 5
#: A bucket of a common phrase is not searched beyond this; each pair meets in several.
MOST_IN_BUCKET = 200

_PRIME = np.uint64((1 << 61) - 1)


def shingles(text: str, *, length: int = SHINGLE) -> frozenset[int]:
    """The runs of *length* characters of *text*, as hashes; case and spacing do not count.

    >>> shingles("Free  ENTRY!") == shingles("free entry!")
    True
    """
    plain = " ".join(text.lower().split())
    if len(plain) <= length:
        return frozenset({zlib.crc32(plain.encode())}) if plain else frozenset()
    coded = [plain[start : start + length].encode() for start in range(len(plain) - length + 1)]
    return frozenset(zlib.crc32(piece) for piece in coded)


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """|A and B| / |A or B|; two empty sets are alike.

    >>> jaccard(frozenset({1, 2, 3}), frozenset({2, 3, 4}))
    0.5
    """
    return len(one & other) / len(one | other) if one or other else 1.0


def signature(items: frozenset[int], *, seed: int = 0, size: int = BANDS * ROWS) -> NDArray[np.uint64]:
    """The minima of *size* random hash functions over the set, shape (size,); all ones for an empty set."""
    if not items:
        return np.full(size, np.iinfo(np.uint64).max, dtype=np.uint64)
    chance = np.random.default_rng(seed)
    # 32-bit items times 29-bit factors stay below 2^61: the sum cannot wrap around.
    factor = chance.integers(1, 1 << 29, size=size, dtype=np.uint64)
    shift = chance.integers(0, 1 << 60, size=size, dtype=np.uint64)
    values = np.fromiter(items, dtype=np.uint64, count=len(items))
    mixed = (values[:, None] * factor + shift) % _PRIME
    # Without this multiplication the order would follow the items' own for small factors.
    scattered = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(scattered.min(axis=0))


def alike(judged: Sequence[str], known: Sequence[str], *, threshold: float = 0.8) -> NDArray[np.int64]:
    """For each of *judged* the position of one of *known* that is at least so alike, -1 for none; shape (n,)."""
    sets = [shingles(text) for text in known]
    first = {one: place for place, one in reversed(list(enumerate(sets)))}
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    for one, place in first.items():
        for bucket in _buckets(one):
            if len(buckets[bucket]) < MOST_IN_BUCKET:
                buckets[bucket].append(place)
    found = np.full(len(judged), -1, dtype=np.int64)
    for row, text in enumerate(judged):
        asked = shingles(text)
        if not asked:
            continue
        if asked in first:
            found[row] = first[asked]
            continue
        met = dict.fromkeys(place for bucket in _buckets(asked) for place in buckets.get(bucket, ()))
        found[row] = next((place for place in met if jaccard(asked, sets[place]) >= threshold), -1)
    return found


def _buckets(items: frozenset[int]) -> list[tuple[int, bytes]]:
    minima = signature(items).reshape(BANDS, ROWS)
    return [(band, minima[band].tobytes()) for band in range(BANDS)]

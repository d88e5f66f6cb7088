"""Which keys a source may hold already, in eight bytes a key.

A door that has taken ten million rows must tell of every new row whether its key was
there before. Fingerprints say "never" for certain and at once; "perhaps" is rare, and whoever asks
looks the few keys up in the lake.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: A run is merged with the one before it once that is at most so many times as long.
_MERGE_UP_TO: Final = 2


class KnownKeys:
    """Fingerprints of keys, in sorted runs of growing length; as many of them as the logarithm of their number.

    >>> known = KnownKeys()
    >>> known.add(pl.Series(["a", "b"]))
    >>> known.perhaps(pl.Series(["b", "c"])).to_list()
    ['b']
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, keys: pl.Series) -> None:
        """Know *keys* from now on; a key that stands there twice does no harm."""
        run = np.sort(_prints(_texts(keys)))
        while self._runs and len(self._runs[-1]) <= _MERGE_UP_TO * len(run):
            # A stable sort merges two sorted runs in one pass.
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)

    def perhaps(self, keys: pl.Series) -> pl.Series:
        """Those of *keys* that may have been added, as text: every one that was, and hardly ever another."""
        texts = _texts(keys)
        prints = _prints(texts)
        there = np.zeros(len(prints), dtype=bool)
        for run in self._runs:
            place = np.searchsorted(run, prints)
            there |= run[np.minimum(place, len(run) - 1)] == prints
        return texts.filter(pl.Series(there, dtype=pl.Boolean))


def _texts(keys: pl.Series) -> pl.Series:
    return keys.cast(pl.String).drop_nulls()


def _prints(texts: pl.Series) -> NDArray[np.uint64]:
    return texts.hash(seed=0).to_numpy()

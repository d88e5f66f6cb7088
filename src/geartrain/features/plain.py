"""Rows whose features are all numbers of the request itself, encoded as one table.

It says bit for bit what reading and encoding feature by feature says, or nothing; of
such a product nearly every row is one that it speaks of.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import cells_of, packed_numbers
from geartrain.domain.features import Encoding, FeatureType, RequestFeature

_NUMBERS: Final = frozenset((float, int))
_LARGEST: Final = float(np.finfo(np.float32).max)


class PlainNumbers:
    """The encoding of a model that reads nothing but numbers which the request carries."""

    def __init__(self, columns: Sequence[str], places: Sequence[int], width: int) -> None:
        self._values = cells_of(columns)
        self._places = list(places)
        self._width = width

    @classmethod
    def of(cls, encoding: Encoding) -> PlainNumbers | None:
        """What is said for *encoding*; None where any feature is more than a number of the request."""
        columns: list[str] = []
        places: list[int] = []
        width = 0
        for one in encoding.feature_set.features:
            if (
                not isinstance(one, RequestFeature)
                or one.type is not FeatureType.NUMBER
                or one.expression in encoding.feature_set.made_before(one)
            ):
                return None
            columns.append(one.expression)
            places.append(width)
            width += 2 if one.missing_is_signal else 1
        return cls(columns, places, width)

    def encode(self, rows: Sequence[Mapping[str, object]]) -> NDArray[np.float32] | None:
        """Float32 (n, columns of the encoding), or None where a value is missing or no plain number."""
        try:
            cells = [value for row in rows for value in self._values(row)]
        except KeyError:
            return None
        if not set(map(type, cells)) <= _NUMBERS:
            return None
        try:
            exact = packed_numbers(cells, "d")
        except struct.error:  # an integer that no float can hold
            return None
        if not np.isfinite(exact).all():
            return None
        table = np.zeros((len(rows), self._width), dtype=np.float32)
        exact = np.clip(exact, -_LARGEST, _LARGEST) + 0.0
        table[:, self._places] = exact.reshape(len(rows), len(self._places))
        return table

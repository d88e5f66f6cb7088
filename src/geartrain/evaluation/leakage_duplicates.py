"""Copies: judged rows that were also learned from, whole, as nearly the same text or the same image."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, texts
from geartrain.domain.expression import Columns, Values
from geartrain.domain.finding import Measurement
from geartrain.stats.image_hash import alike_images
from geartrain.stats.minhash import alike

Rows = NDArray[np.int64]

#: A column that nobody declared is read as text where its values are so long and so various.
FEWEST_WORDS = 3.0
FEWEST_DIFFERENT = 0.3
#: So many rows are put together from shuffled columns at least, to say what meets by chance.
FEWEST_SHUFFLED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Copies:
    """Judged rows that equal one that was learned from.

    Attributes:
        judged: The judged rows that do, as positions in the table.
        known: For each the row that it equals.
        measurement: Their share of all judged rows.
    """

    judged: Rows
    known: Rows
    measurement: Measurement


def repeated_rows(columns: Columns, *, judged: Rows, known: Rows) -> Copies:
    """Judged rows that equal a known one in every one of *columns*; missing equals missing.

    The share is a fact about these rows, so it has no interval. What it cannot say is
    whether two equal rows are one row twice or two people who are alike: the note gives the
    number that would meet by chance if the columns had nothing to do with each other.
    """
    coded = np.column_stack([_codes(values) for values in columns.values()]).astype(np.int32)
    place: dict[bytes, int] = {}
    for row in known[::-1]:
        place[coded[row].tobytes()] = int(row)
    met = np.array([place.get(coded[row].tobytes(), -1) for row in judged], dtype=np.int64)
    found = int((met >= 0).sum())
    note = f"{found:,} of {len(judged):,} judged rows equal one that was learned from, label and all"
    if found:
        chance = meeting_by_chance(coded[np.concatenate([judged, known])], judged=len(judged))
        note += f"; by chance about {chance:,.1f}"
    return Copies(judged=judged[met >= 0], known=met[met >= 0], measurement=_share(met, judged, note))


def meeting_by_chance(coded: Rows, *, judged: int) -> float:
    """How many judged rows would equal a known one if the columns had nothing to do with each other.

    That is: if each column were shuffled by itself. A judged row whose value in column j stands in n_j of
    the n rows shares it with n_j - 1 of the n - 1 others, so that one known row equals it with
    the chance q = prod_j (n_j - 1)/(n - 1). Over all rows the mean of q is prod_j sum_i n_i (n_i - 1)/(n (n - 1)):
    columns without a repeated value meet never. What counts is not the mean of q but
    the chance of at least one equal row, and that depends on the row: where one value is frequent,
    the pairs are many and meet at few rows. With m the least of all n_j - 1 and of the k known rows, each
    of those m others is equal and known with the chance r = q k/m, and none is with (1 - r)^m. The
    expected number is the mean of 1 - (1 - r)^m over rows of shuffled columns, times the judged rows.
    It is exact for one column where its values stand at most twice, or all other rows are known.

    Args:
        coded: Values as 0, 1, ... of the judged and the known rows, shape (n, d).
        judged: How many of the rows are judged.

    >>> meeting_by_chance(np.array([[0], [0], [1], [2]]), judged=1)
    0.5
    """
    rows, known = len(coded), len(coded) - judged
    if not judged or not known:
        return 0.0
    others = np.column_stack([np.bincount(column)[column] - 1 for column in coded.T])
    chance = np.random.default_rng(0)
    means = []
    for _ in range(max(1, FEWEST_SHUFFLED // rows)):
        drawn = np.column_stack([chance.permuted(others, axis=0), np.full(rows, known)])
        least = drawn.min(axis=1)
        equal = np.sort(drawn, axis=1)[:, 1:] / (rows - 1)
        means.append(float((1 - (1 - equal.prod(axis=1)) ** least).mean()))
    return judged * float(np.mean(means))


def nearly_repeated_rows(
    columns: Columns, *, judged: Rows, known: Rows, declared: Collection[str] = ()
) -> Copies:
    """Judged rows with a text of Jaccard similarity >= .8, or nearly the same image, to a known row.

    Texts are the columns *declared* as such and those that plainly are; images are columns
    of bytes of one length that is a square (grey, 8 bits). Without either it is 0, and said so.
    """
    met = np.full(len(judged), -1, dtype=np.int64)
    looked = []
    for name, values in columns.items():
        if values.dtype != object:
            continue
        if (side := _side(values)) is not None:
            images = np.stack([np.frombuffer(one, dtype=np.uint8).reshape(side, side) for one in values])
            found = alike_images(images[judged], images[known])
        elif name in declared or _is_text(values):
            told = ["" if one is None else str(one) for one in texts(values)]
            found = alike([told[row] for row in judged], [told[row] for row in known])
        else:
            continue
        looked.append(name)
        met = np.where(met >= 0, met, np.where(found >= 0, known[found], -1))
    if not looked:
        nothing = np.zeros(0, dtype=np.int64)
        note = "no column holds a text or an image"
        return Copies(
            judged=nothing, known=nothing, measurement=Measurement.exact(0.0, rows=len(judged), note=note)
        )
    note = f"{int((met >= 0).sum()):,} of {len(judged):,} judged rows, by {', '.join(f'`{one}`' for one in looked)}"
    return Copies(judged=judged[met >= 0], known=met[met >= 0], measurement=_share(met, judged, note))


def _share(met: Rows, judged: Rows, note: str) -> Measurement:
    return Measurement.exact(float((met >= 0).mean()) if len(judged) else 0.0, rows=len(judged), note=note)


def _codes(values: Values) -> Rows:
    told = np.array(["" if one is None else f"={one}" for one in texts(values)], dtype=str)
    if values.dtype != object:
        return np.unique(numbers(values), return_inverse=True)[1].reshape(-1)
    return np.unique(told, return_inverse=True)[1].reshape(-1)


def _is_text(values: Values) -> bool:
    known = [one for one in values.tolist() if isinstance(one, str)]
    if len(known) < len(values) / 2:
        return False
    words = sum(len(one.split()) for one in known) / len(known)
    return words >= FEWEST_WORDS and len(set(known)) >= FEWEST_DIFFERENT * len(known)


def _side(values: Values) -> int | None:
    """The side of square grey images, None where the values are none."""
    first = values[0] if len(values) else None
    if not isinstance(first, bytes):
        return None
    side = round(len(first) ** 0.5)
    whole = side * side == len(first) and side >= 8
    return (
        side if whole and all(isinstance(one, bytes) and len(one) == len(first) for one in values) else None
    )

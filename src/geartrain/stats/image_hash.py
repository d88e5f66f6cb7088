"""Images that are nearly the same: the difference hash, 64 bits of "is it darker to the right?".

Krawetz (2013), "Kind of like that": shrink to 9 x 8 grey values, note for each of the 8 x 8
neighbours whether the right one is brighter. Scaling and a change of brightness or contrast
leave the bits alone; two images are alike where few of the 64 differ. X-rays of one
kind are alike by nature, so what the hash finds is looked at once more, pixel by pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats

SIDE = 8
_CHUNK = 256


def dhash(images: NDArray[np.generic]) -> NDArray[np.uint64]:
    """The hash of each grey image, shape (n, height, width) to (n,).

    Raises:
        ValueError: The images are not of shape (n, height, width), or smaller than 2 x 2.
    """
    if images.ndim != 3 or min(images.shape[1:]) < 2:
        raise ValueError(f"grey images have the shape (n, height, width), not {images.shape}")
    rows, columns = _averages(images.shape[1], SIDE), _averages(images.shape[2], SIDE + 1)
    small = np.einsum("ah,nhw,bw->nab", rows, images.astype(np.float64), columns)
    # Rounded: an average of equal pixels must not be brighter than itself by a last bit.
    small = small.round(6)
    bits = (small[:, :, 1:] > small[:, :, :-1]).reshape(len(images), -1)
    return np.asarray(np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1))


def hamming(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits differ, for arrays that broadcast.

    >>> hamming(np.array([0b1011], dtype=np.uint64), np.array([0b0010], dtype=np.uint64))
    array([2])
    """
    return np.asarray(np.bitwise_count(one ^ other), dtype=np.int64)


def alike_images(
    judged: NDArray[np.generic],
    known: NDArray[np.generic],
    *,
    most_bits: int = 4,
    most_difference: float = 0.02,
) -> NDArray[np.int64]:
    """For each of *judged* the position of one of *known* that is nearly the same image, -1 for none.

    At most *most_bits* of the hash differ, and the pixels by at most *most_difference* of the
    range from black to white on average. Shapes (n, height, width) and (m, height, width).

    Raises:
        ValueError: The two are not of one size.
    """
    if judged.shape[1:] != known.shape[1:]:
        raise ValueError(f"images of {judged.shape[1:]} and {known.shape[1:]} cannot be compared")
    found = np.full(len(judged), -1, dtype=np.int64)
    if len(judged) == 0 or len(known) == 0:
        return found
    ours, theirs = dhash(judged), dhash(known)
    largest = float(max(judged.max(), known.max(), 1))
    for start in range(0, len(judged), _CHUNK):
        near = hamming(ours[start : start + _CHUNK, None], theirs[None, :]) <= most_bits
        for row, place in np.argwhere(near):
            if found[start + row] < 0:
                apart = np.abs(judged[start + row].astype(np.float64) - known[place].astype(np.float64))
                if apart.mean() <= most_difference * largest:
                    found[start + row] = place
    return found


def _averages(length: int, parts: int) -> Floats:
    """Weights that average *length* pixels to *parts* areas of equal size, shape (parts, length)."""
    edges = np.linspace(0, length, parts + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(length)[None, :]
    covered = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True))

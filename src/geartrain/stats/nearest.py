"""What the nearest neighbours say about the best that any model could do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.deciding import Indices
from geartrain.stats.label_noise import single_error

Matrix = NDArray[np.floating[Any]]


def nearest_truth(taught: Matrix, truth: Indices, asked: Matrix) -> Indices:
    """The class of the nearest of the *taught* rows, shape (n, d), for each asked row, shape (m, d) -> (m,).

    Columns are set to mean 0 and deviation 1 of the taught rows; what is missing lies in
    the middle. A column without spread has no say.
    """
    from sklearn.neighbors import NearestNeighbors

    known = np.isfinite(taught)
    counts = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, taught, 0.0).sum(axis=0) / counts
    spread = np.sqrt((np.where(known, taught - middle, 0.0) ** 2).sum(axis=0) / counts)
    scale = np.where(spread > 0, spread, np.inf)

    def placed(matrix: Matrix) -> Floats:
        return np.asarray(np.nan_to_num((matrix - middle) / scale, nan=0.0, posinf=0.0, neginf=0.0))

    neighbours = NearestNeighbors(n_neighbors=1).fit(placed(taught.astype(np.float64)))
    found = neighbours.kneighbors(placed(asked.astype(np.float64)), return_distance=False)[:, 0]
    return np.asarray(truth[found], dtype=np.int64)


def bayes_bracket(error: Measurement, *, classes: int) -> tuple[float, float]:
    """Between what the least possible error R* lies, from the 1-nearest-neighbour error R of many rows.

    (k-1)/k (1 - sqrt(1 - k/(k-1) R)) <= R* <= R (Cover & Hart 1967, theorem 1), taken at
    the good end of R's interval below and at the bad end above. It holds in the limit of many
    rows; with few, R is too large and the lower end with it.

    >>> seen = Measurement(value=0.18, low=0.18, high=0.18)
    >>> [round(end, 4) for end in bayes_bracket(seen, classes=2)]
    [0.1, 0.18]
    """
    return single_error(error.low, classes), min(error.high, (classes - 1) / classes)

"""How much one thing says about another: entropy, mutual information, information gained by answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats

Codes = NDArray[np.int64]

#: Probabilities are kept this far from 0 and 1: one sure error must not outweigh a thousand rows.
_EDGE = 1e-3


def entropy(codes: NDArray[Any]) -> float:
    """H(X) = -sum p log p in nats, of values of shape (n,).

    >>> round(entropy(np.array([0, 1, 0, 1])), 4)
    0.6931
    """
    _, counts = np.unique(codes, return_counts=True)
    shares = counts / len(codes) if len(codes) else counts.astype(np.float64)
    return float(-(shares * np.log(shares)).sum()) + 0.0


def mutual_information(one: NDArray[Any], other: NDArray[Any]) -> float:
    """I(X; Y) = H(X) + H(Y) - H(X, Y) in nats, from counts; both of shape (n,).

    The estimate from counts is biased upwards by about (kx - 1)(ky - 1) / 2n (Miller 1955),
    so it is for few values and many rows.

    >>> round(mutual_information(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7])), 4)
    0.6931
    """
    _, first = np.unique(one, return_inverse=True)
    values, second = np.unique(other, return_inverse=True)
    joint = first.reshape(-1) * len(values) + second.reshape(-1)
    return max(0.0, entropy(first) + entropy(second) - entropy(joint))


def normalised_mutual_information(one: NDArray[Any], other: NDArray[Any]) -> float:
    """I(X; Y) / max(H(X), H(Y)): 1 where each tells the other, 0 where neither says anything.

    The normalisation by the larger entropy: a column that is a coarse copy of another is
    not called its twin. 0 where one of the two is constant.

    >>> normalised_mutual_information(np.array([0, 0, 1, 1]), np.array([3, 3, 3, 3]))
    0.0
    """
    largest = max(entropy(one), entropy(other))
    return min(1.0, mutual_information(one, other) / largest) if largest > 0 else 0.0


def information_gained(probabilities: Floats, truth: Codes) -> Floats:
    """What answers say about the truth of each row beyond the classes' shares, in nats, shape (n,).

    log p(row's class) - log share(row's class), with *probabilities* of shape (n, k). Its mean
    is the mutual information that the answers realise; below 0 where they mislead.
    """
    shares = np.bincount(truth, minlength=probabilities.shape[1]) / max(len(truth), 1)
    told = np.clip(probabilities[np.arange(len(truth)), truth], _EDGE, 1 - _EDGE)
    return np.asarray(np.log(told) - np.log(np.clip(shares[truth], _EDGE, 1 - _EDGE)))

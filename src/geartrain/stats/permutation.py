"""Whether there is any signal: what the same work would have found in labels that mean nothing."""

from __future__ import annotations

from geartrain.domain.prediction import Floats


def permutation_p(observed: float, permuted: Floats) -> float:
    """The p-value (1 + #{permuted >= observed}) / (1 + B), valid for any score where more is better.

    *permuted*, shape (B,), are scores of the whole work done again on shuffled labels. The
    one in numerator and denominator is the observed order itself, so p is never 0 (Phipson
    & Smyth 2010, "Permutation p-values should never be zero").

    >>> import numpy as np
    >>> permutation_p(0.9, np.array([0.5, 0.6, 0.4]))
    0.25
    """
    return (1 + int((permuted >= observed).sum())) / (1 + len(permuted))

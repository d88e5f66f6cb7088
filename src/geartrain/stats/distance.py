"""How far two histograms are apart, and what a distance is worth: null laws, e-values, e-BH.

In: counts over the same bins. Out: distances with p-values from their null laws, never
a folk rule: "PSI above 0.1" rings falsely for 83 of 100 unchanged samples of 100 rows.

    >>> import numpy as np
    >>> round(psi(np.array([50, 50]), np.array([80, 20])), 3)
    0.406
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Bins with fewer rows in both samples together are joined: the null laws need a few.
FEWEST_PER_BIN = 10
#: A p-value below this counts as this: no approximation is believed further out.
LEAST_P = 1e-16
#: So many resampled pairs that lie as far apart settle a p-value; they are drawn so many at once.
_FAR_ENOUGH = 10
_DRAWN_AT_ONCE = 50
#: Below this a tail is bounded: one minus a distribution function has lost half its digits there.
_SMALL_TAIL = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """The distances between a reference and a current sample, with their p-values.

    Attributes:
        psi: Population stability index (symmetrised Kullback-Leibler divergence, nats).
        jensen_shannon: Jensen-Shannon divergence, in bits.
        ks: The largest gap between the cumulative shares; None for unordered bins.
        p_changed: Of PSI under "nothing has changed".
        p_jensen_shannon: Of the Jensen-Shannon divergence under the same.
        p_ks: Of KS under the same; conservative, because bins hide part of the gap.
        bins: The bins left after thin ones were joined.
    """

    psi: float
    jensen_shannon: float
    ks: float | None
    p_changed: float
    p_jensen_shannon: float
    p_ks: float | None
    bins: int
    reference_rows: int
    current_rows: int


def distances(reference: Counts, current: Counts, *, ordered: bool, worth: float = 1.0) -> Distances:
    """Every distance that counts alone can give; bins empty in both samples do not count.

    Each row counts as *worth* independent ones in the p-values (`effective_share`).
    """
    first, second = join_thin(reference, current, ordered=ordered)
    n, m = int(first.sum()), int(second.sum())
    if not n or not m:
        return Distances(
            psi=0.0,
            jensen_shannon=0.0,
            ks=None,
            p_changed=1.0,
            p_jensen_shannon=1.0,
            p_ks=None,
            bins=len(first),
            reference_rows=n,
            current_rows=m,
        )
    gap = psi(first, second)
    apart = jensen_shannon(first, second)
    largest = ks(reference, current) if ordered else None
    return Distances(
        psi=gap,
        jensen_shannon=apart,
        ks=largest,
        p_changed=p_changed(gap, bins=len(first), n=worth * n, m=worth * m),
        p_jensen_shannon=p_jensen_shannon(apart, bins=len(first), n=worth * n, m=worth * m),
        p_ks=None if largest is None else p_ks(largest, n=worth * n, m=worth * m),
        bins=len(first),
        reference_rows=n,
        current_rows=m,
    )


def shares(counts: Counts) -> Floats:
    """Smoothed shares: half a row is added to each bin, so an empty bin is rare, not impossible."""
    smoothed: Floats = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return smoothed


def psi(reference: Counts, current: Counts) -> float:
    """The population stability index, sum (q - p) ln(q / p)."""
    p, q = shares(reference), shares(current)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(reference: Counts, current: Counts) -> float:
    """The Jensen-Shannon divergence in bits, between 0 and 1."""
    p, q = shares(reference), shares(current)
    middle = (p + q) / 2
    return float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2)


def ks(reference: Counts, current: Counts) -> float:
    """The largest gap between the two cumulative shares at the bins' edges."""
    gaps = np.cumsum(reference) / max(1, reference.sum()) - np.cumsum(current) / max(1, current.sum())
    return float(np.abs(gaps).max(initial=0.0))


def wasserstein(reference: Counts, current: Counts, edges: Floats) -> float:
    """The Wasserstein-1 distance of binned samples, in the column's unit: the area between the CDFs.

    *edges* are the bins' outer and inner edges, shape (bins + 1,). Within a bin both
    CDFs are taken as straight lines.
    """
    return float(_areas(reference[None], current[None], edges)[0])


def p_wasserstein(
    reference: Counts, current: Counts, edges: Floats, *, seed: int, draws: int = 499, worth: float = 1.0
) -> float:
    """The p-value of `wasserstein` under "nothing has changed", from at most *draws* resampled pairs.

    Each row counts as *worth* independent ones: so many fewer are drawn, at least one of each sample.
    Drawing ends when ten pairs lay as far apart (Besag and Clifford 1991, "Sequential Monte Carlo
    p-values"): nobody needs three digits of a p-value that is large, and nearly all are.
    """
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return 1.0
    pooled = (reference + current) / (n + m)
    random = np.random.default_rng(seed)
    seen, far = wasserstein(reference, current, edges), 0
    for done in range(0, draws, _DRAWN_AT_ONCE):
        pairs = min(_DRAWN_AT_ONCE, draws - done)
        first, second = (random.multinomial(max(1, round(worth * size)), pooled, pairs) for size in (n, m))
        beyond = np.flatnonzero(_areas(first, second, edges) >= seen)
        if far + beyond.size >= _FAR_ENOUGH:
            return _FAR_ENOUGH / (done + int(beyond[_FAR_ENOUGH - far - 1]) + 1)
        far += beyond.size
    return (1 + far) / (1 + draws)


def _areas(reference: Counts, current: Counts, edges: Floats) -> Floats:
    """The area between the CDFs of each pair of rows, counts of shape (pairs, bins)."""
    gaps = np.cumsum(reference, axis=1) / np.maximum(1, reference.sum(axis=1, keepdims=True))
    gaps -= np.cumsum(current, axis=1) / np.maximum(1, current.sum(axis=1, keepdims=True))
    left, right = np.pad(gaps[:, :-1], ((0, 0), (1, 0))), gaps
    crossing = left * right < 0
    apart = np.abs(left) + np.abs(right)
    # Two lines that cross enclose two triangles; lines that do not, one trapezium.
    share = np.where(crossing, (left**2 + right**2) / (2 * np.where(apart == 0, 1, apart)), apart / 2)
    areas: Floats = share @ np.diff(edges)
    return areas


def p_changed(gap: float, *, bins: int, n: float, m: float) -> float:
    """The chance of a PSI this large while nothing has changed: PSI/(1/n + 1/m) is chi-squared(bins - 1).

    *n* and *m* are row counts, or effective ones where rows are autocorrelated.
    """
    from scipy.special import chdtrc

    return 1.0 if bins < 2 else float(chdtrc(bins - 1, gap / (1 / n + 1 / m)))


def p_larger(
    gap: Floats | float, *, smallest: Floats | float, bins: Counts | int, n: Floats | float, m: Floats | float
) -> Floats:
    """The chance of a PSI this large while the true one is at most *smallest* (noncentral chi-squared).

    With *n* infinite the reference sample itself is what the change is measured from.
    Arrays, one entry a column, are answered in one go. One bin has nothing to tell: 1.
    """
    unit = 1 / np.asarray(n, dtype=np.float64) + 1 / np.asarray(m, dtype=np.float64)
    freedom = np.maximum(np.asarray(bins) - 1, 1)
    p = _noncentral_tail(gap / unit, freedom, smallest / unit)
    return np.where((np.asarray(bins) < 2) | ~np.isfinite(p), 1.0, p)


def _noncentral_tail(value: Floats, freedom: Counts, noncentrality: Floats) -> Floats:
    """P(chi-squared(freedom, noncentrality) > value); below 1e-8 Chernoff's bound on it, which is never too small.

    The bound is the least of E exp(t X) / exp(t value) over t, in closed form with s = 1 - 2t; it is
    twenty to thirty times the tail down to 1e-16, where p-values end, and one that is too large promises nothing false. SciPy's `ncx2`
    has the tail exactly, and with it 60 MB that a process would hold for this one call.
    """
    from scipy.special import chndtr

    tail: Floats = 1.0 - chndtr(value, freedom, noncentrality)
    small = np.maximum(value, 1e-200)
    # Where s is 1 or more the value lies below what is expected, and the tail is no small one.
    s = np.minimum((freedom + np.sqrt(freedom**2 + 4 * noncentrality * small)) / (2 * small), 1.0)
    bound = -(1 - s) * small / 2 - freedom / 2 * np.log(s) + noncentrality * (1 - s) / (2 * s)
    return np.where(tail > _SMALL_TAIL, tail, np.where(s < 1, np.exp(np.minimum(bound, 0.0)), tail))


def p_jensen_shannon(divergence: float, *, bins: int, n: float, m: float) -> float:
    """The same for a Jensen-Shannon divergence in bits: close to zero it is PSI / (8 ln 2)."""
    return p_changed(divergence * 8 * math.log(2), bins=bins, n=n, m=m)


def p_ks(gap: float, *, n: float, m: float) -> float:
    """The chance of a KS gap this large while nothing has changed; conservative on bins."""
    from scipy.special import kolmogorov

    return float(kolmogorov(math.sqrt(n * m / (n + m)) * gap))


def reference_error(*, bins: Counts | int, n: Floats | float, alpha: float) -> Floats:
    """How far, in PSI, a reference sample of *n* rows lies from its population, but for *alpha*."""
    from scipy.special import chdtri

    freedom = np.maximum(np.asarray(bins) - 1, 1)
    return np.where(np.asarray(bins) < 2, 0.0, chdtri(freedom, alpha) / n)


def join_thin(reference: Counts, current: Counts, *, ordered: bool) -> tuple[Counts, Counts]:
    """Join bins in which both samples together have fewer than `FEWEST_PER_BIN` rows.

    Ordered bins join their neighbour, unordered ones each other.
    """
    together = reference + current
    if ordered:
        groups = np.zeros(len(together), dtype=np.int64)
        group, held = 0, 0
        for index, count in enumerate(together):
            if held >= FEWEST_PER_BIN:
                group, held = group + 1, 0
            groups[index] = group
            held += int(count)
        if group and held < FEWEST_PER_BIN:
            groups[groups == group] = group - 1
    else:
        thin = together < FEWEST_PER_BIN
        groups = np.where(thin, 0, np.cumsum(~thin) - (0 if thin.any() else 1))
    size = int(groups.max(initial=0)) + 1
    joined = (np.bincount(groups, weights=side, minlength=size) for side in (reference, current))
    first, second = (np.asarray(side, dtype=np.int64) for side in joined)
    return first, second


def effective_share(values: Floats) -> float:
    """How much of a row one autocorrelated row is worth: 1 / (1 + 2 sum rho_k), in (0, 1].

    The sum stops at the first autocorrelation that is no longer positive (Geyer 1992,
    shortened). Without this every p-value of a slow series lies.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = known.size
    if n < 3 or float(known.std()) == 0:
        return 1.0
    centred = known - known.mean()
    # Most columns end at the first autocorrelation, which needs no transform.
    if float(centred[1:] @ centred[:-1]) < 2 / math.sqrt(n) * float(centred @ centred):
        return 1.0
    power = np.abs(np.fft.rfft(centred, 1 << (2 * n - 1).bit_length())) ** 2
    rho = np.fft.irfft(power)[: n // 2]
    rho = rho / rho[0]
    ends = np.flatnonzero(rho[1:] < 2 / math.sqrt(n))
    last = int(ends[0]) if ends.size else len(rho) - 1
    return float(1 / (1 + 2 * rho[1 : 1 + last].sum()))


def e_value(p: float) -> float:
    """The e-value of a p-value: p^(-1/2) / 2, whose mean is at most 1 while the null is true.

    E-values of different looks may be multiplied and those of any columns averaged,
    which p-values may not. (Vovk and Wang 2021, "E-values: calibration, combination".)
    """
    return 0.5 / math.sqrt(min(1.0, max(p, LEAST_P)))


def e_bh(evidence: Floats, *, alpha: float) -> NDArray[np.bool_]:
    """Which hypotheses fall: of those named, a share of at most *alpha* falsely, under any dependence.

    The k largest fall for the largest k with e_(k) >= d / (k alpha) (Wang and Ramdas
    2022, "False discovery rate control with e-values", JRSSB).
    """
    values = np.asarray(evidence, dtype=np.float64)
    size = values.size
    if not size:
        return np.zeros(0, dtype=np.bool_)
    order = np.argsort(-values, kind="stable")
    enough = values[order] >= size / (np.arange(1, size + 1) * alpha)
    count = int(np.flatnonzero(enough)[-1]) + 1 if enough.any() else 0
    fallen = np.zeros(size, dtype=np.bool_)
    fallen[order[:count]] = True
    return fallen

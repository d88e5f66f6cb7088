"""Champion against canary on keys that a hash has split, with evidence that may be looked at any time.

The two answer about different keys, so nothing can be paired. But who answers was drawn: a key is the
canary's with the probability of its share s, whatever the row is like. So (Z - s)(c - m), with Z = 1 where the
canary was to answer, c the row's cost and m the mean cost of the rows before, has the expectation
s (1 - s) (what the canary costs more on this row): a bounded value to bet on. It does not
matter that costs move with time or come in spells, since both arms live in the same days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.stats.bounded import Scale, over_time
from geartrain.stats.eprocess import Purse, bet

Floats = NDArray[np.float64]

#: The probability with which a canary that is no dearer is ever called dearer.
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What a split says now.

    Attributes:
        champion: What a decision costs on the champion's keys; None before the first. Both arms' intervals
            hold together, at all times.
        canary: The same on the canary's keys.
        dearer: The evidence that the canary costs more, as it stands.
        cheaper: The evidence that it costs less; nothing is done about that.
        capped: Rows whose cost was beyond the scale and counted as its end.
        alpha: What is proven is proven at 1 / alpha.
    """

    champion: Measurement | None
    canary: Measurement | None
    dearer: float
    cheaper: float
    capped: int = 0
    alpha: float = ALPHA

    @property
    def is_dearer(self) -> bool:
        """Whether the canary is proven to cost more."""
        return self.dearer >= 1 / self.alpha

    @property
    def reason(self) -> str:
        """The comparison in one sentence."""
        mine, theirs = self.canary, self.champion
        if mine is None or theirs is None:
            return "what a decision costs is not known on both arms' keys yet"
        told, other = (
            f"{seen.value:.4g} ({seen.low:.4g} to {seen.high:.4g}) on {seen.rows:,} keys"
            for seen in (mine, theirs)
        )
        bar = 1 / self.alpha
        said = (
            f"proven dearer (e = {self.dearer:.3g} of {bar:.3g})"
            if self.is_dearer
            else f"proven cheaper (e = {self.cheaper:.3g} of {bar:.3g})"
            if self.cheaper >= bar
            else f"neither is proven dearer (e = {max(self.dearer, self.cheaper):.3g} of {bar:.3g})"
        )
        cut = f"; {self.capped:,} costs beyond the scale counted as its end" if self.capped else ""
        return f"a decision cost {told}, the champion's {other}: {said}{cut}"


def split_of(
    costs: Floats,
    canary: NDArray[np.bool_],
    shares: Floats,
    *,
    scale: Scale,
    margin: float = 0.0,
    alpha: float = ALPHA,
) -> Split:
    """Compare the arms of rows in the order in which their truth became known, shape (n,) each.

    *canary* says whose each row was by the draw (not who answered in the end), *shares* with which probability
    it was the canary's. While the canary costs at most *margin* more on each row, given the rows before,
    it is ever proven dearer with a probability of at most *alpha*. Costs are cut at the ends of *scale*.

    Raises:
        ValueError: A share is not in (0, 1), or the margin is negative.

    >>> chance = np.random.default_rng(1)
    >>> mine = chance.uniform(size=2000) < 0.2
    >>> costs = (chance.uniform(size=2000) < np.where(mine, 0.4, 0.2)).astype(float)
    >>> split_of(costs, mine, np.full(2000, 0.2), scale=Scale()).is_dearer
    True
    """
    costs = np.asarray(costs, dtype=np.float64)
    if not ((shares > 0) & (shares < 1)).all() or margin < 0:
        raise ValueError("a split needs shares between 0 and 1 and a margin that is not negative")
    known = np.isfinite(costs)
    costs, canary, shares = costs[known], canary[known], shares[known]
    cut = np.clip(costs, scale.low, scale.high)
    gains = gains_of(cut - margin * canary, canary, shares, width=scale.width + margin)
    both, bound = gains_of(cut, canary, shares, width=scale.width), 1 / alpha
    level = 1 - alpha / 2
    return Split(
        champion=over_time(cut[~canary], confidence=level, scale=scale) if (~canary).any() else None,
        canary=over_time(cut[canary], confidence=level, scale=scale) if canary.any() else None,
        dearer=bet(Purse(), gains, bound=bound).standing,
        cheaper=bet(Purse(), -both, bound=bound).standing,
        capped=scale.beyond(costs),
        alpha=alpha,
    )


def gains_of(costs: Floats, canary: NDArray[np.bool_], shares: Floats, *, width: float) -> Floats:
    """(Z - s)(c - m) / *width* of each row, in [-1, 1], m being the mean of the rows before; of the first row 0.

    >>> gains_of(np.array([1.0, 3.0]), np.array([True, True]), np.array([0.5, 0.25]), width=4.0).tolist()
    [0.0, 0.375]
    """
    if not costs.size:
        return np.zeros(0)
    before = np.concatenate([costs[:1], np.cumsum(costs)[:-1] / np.arange(1, costs.size)])
    gains: Floats = np.clip((canary - shares) * (costs - before) / width, -1.0, 1.0)
    return gains

"""Do the decisions still rest on the same features? Shares of attribution, live against the reference.

A feature's share in one decision is the size of its exact contribution (TreeSHAP) among those of all features; its
share in many is the mean of that. Each row's share lies in [0, 1], so the mean has an interval that needs no
model of the rows (Waudby-Smith and Ramdas 2023). A feature is named where the two means are apart by more than
`SMALLEST`, whatever the truth within both intervals.

Guarantee: while no share differs from the reference's by more than that, the chance that any feature
is *ever* named is at most alpha: alpha is divided among features and blocks of decisions.

A model that is not changed attributes by the inputs alone, so a share that moved says that inputs moved in a way that
this model heeds, also where no single column looks changed. It says nothing about the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.incident import Signal
from geartrain.domain.prediction import Floats
from geartrain.stats.bounded import over_time
from geartrain.stats.gaps import apart

#: A share that moved by less does not matter: one twentieth of the whole.
SMALLEST = 0.05
#: Under so many rows on either side nothing is said.
FEWEST = 100
KIND = "attribution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One feature's share, then and now.

    Attributes:
        difference: How far the shares are apart, with an interval.
        named: Whether they are proven to be apart by more than `SMALLEST`.
    """

    feature: str
    reference: float
    live: float
    difference: Measurement
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What the decisions rest on, live against the reference.

    Attributes:
        features: All of them, by their live share; empty where there is a *reason*.
        rows: Live rows that were explained, and of the *reference* how many.
        alpha: The probability of ever naming any feature while none moved by more than matters.
        since: When the first of the live rows was decided.
    """

    features: tuple[Moved, ...] = ()
    rows: int = 0
    reference: int = 0
    alpha: float = 0.0
    since: datetime | None = None
    message: str = ""
    reason: str = ""


def shares_of(contributions: Floats, groups: NDArray[np.int64]) -> Floats:
    """Each row's shares, shape (n, features), of contributions of shape (n, columns), where *groups* names each column's feature.

    A row whose contributions are all 0 rests on none of them and is left out.

    >>> shares_of(np.array([[3.0, -1.0, 0.0], [0.0, 0.0, 0.0]]), np.array([0, 1, 1])).tolist()
    [[0.75, 0.25]]
    """
    sizes = np.zeros((len(contributions), int(groups.max()) + 1))
    np.add.at(sizes.T, groups, np.abs(contributions).T)
    whole = sizes.sum(axis=1)
    found: Floats = sizes[whole > 0] / whole[whole > 0, None]
    return found


def attribution(
    live: Floats,
    reference: Floats,
    names: tuple[str, ...],
    *,
    alpha: float,
    part: float = 1.0,
    since: datetime | None = None,
) -> Attribution:
    """Hold the *live* shares, shape (n, features), against those of the *reference*, shape (m, features).

    *part* is what this block of rows may spend of *alpha*; the parts of all blocks sum to one.
    """
    if min(len(live), len(reference)) < FEWEST:
        few = f"{len(live)} live and {len(reference)} reference rows were explained"
        return Attribution(reason=f"{few}, at least {FEWEST} of each are needed")
    confidence = 1 - alpha * part / (2 * len(names))
    found = []
    for place, name in enumerate(names):
        now, then = (over_time(rows[:, place], confidence=confidence) for rows in (live, reference))
        difference = apart(now, then)
        found.append(
            Moved(
                feature=name,
                reference=then.value,
                live=now.value,
                difference=difference,
                named=difference.low > SMALLEST,
            )
        )
    ranked = tuple(sorted(found, key=lambda one: (-one.live, one.feature)))
    return Attribution(
        features=ranked,
        rows=len(live),
        reference=len(reference),
        alpha=alpha,
        since=since,
        message=_sentence(ranked, alpha),
    )


def attribution_signals(seen: Attribution) -> tuple[Signal, ...]:
    """A signal for each named feature."""
    return tuple(
        Signal(
            kind=KIND,
            about=one.feature,
            measure="difference of shares of attribution",
            size=one.difference.value,
            evidence=1 / seen.alpha,
            since=seen.since,
            rows=seen.rows,
            message=_moved(one),
        )
        for one in seen.features
        if one.named
    )


def _moved(one: Moved) -> str:
    low, high = one.difference.low, one.difference.high
    return (
        f"decisions rest on `{one.feature}` for {one.live:.0%}, on the reference for {one.reference:.0%}"
        f" (apart by {low:.0%} to {high:.0%})"
    )


def _sentence(ranked: tuple[Moved, ...], alpha: float) -> str:
    named = [one for one in ranked if one.named]
    most = ranked[0]
    says = (
        "; ".join(_moved(one) for one in named)
        if named
        else f"no share of attribution is proven to have moved by more than {SMALLEST:.0%}; most has"
        f" `{most.feature}`, {most.live:.0%} (reference {most.reference:.0%})"
    )
    return f"{says} [P(any ever named while none moved by that much) <= {alpha:g}]"

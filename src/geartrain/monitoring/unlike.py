"""Are the rows of today like those that the release was judged on? Asked of values alone, without labels.

For each column, and for what the model says, a conformal test martingale bets that values are not
exchangeable with the reference (`stats.exchangeable`). Each column's highest wealth becomes an
e-value, and e-BH names columns.

Guarantee: while the rows are exchangeable with the reference, the chance that any column is *ever*
named is at most alpha; at any look the expected share of falsely named ones is at most alpha,
however columns depend on each other. Nothing is estimated, and no distribution is assumed.

What it does not know is size: with enough rows the smallest difference is named. So it is evidence
beside an alarm and calls nobody by itself. Rows of one day are put in random order first, so that the
hours of a day are no news; a season is. Rows after a change join the comparison, so a slow change
may stay unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.incident import Signal
from geartrain.domain.prediction import Floats
from geartrain.monitoring.triage import UNLIKE
from geartrain.stats.distance import e_bh
from geartrain.stats.eprocess import restart_weight
from geartrain.stats.exchangeable import evidence_of, ranks_of, rises

Times = NDArray[np.int64]

#: Rows of an epoch; the latest one to two times as many are compared, with their share of alpha.
EPOCH = 5_000
#: More columns than this are not columns of a table but pixels.
MOST_COLUMNS = 200
#: Under so many rows of whole days nothing is said.
FEWEST = 100
#: What the model says, among the columns.
SCORE = "score"
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnUnlike:
    """One column's evidence that its values are not exchangeable.

    Attributes:
        reference: Rows of the reference that it is compared with, besides the rows before.
        since: The day on which the evidence began to rise to its highest.
    """

    name: str
    evidence: float
    named: bool
    reference: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """What values alone say about the rows of a release.

    Attributes:
        columns: All columns, strongest evidence first; empty where there is a *reason*.
        alpha: The probability of ever naming any while all is well.
        rows: The rows compared, of whole days.
    """

    columns: tuple[ColumnUnlike, ...] = ()
    alpha: float = 0.0
    rows: int = 0
    message: str = ""
    reason: str = ""


def unlike(
    read: Callable[[NDArray[np.int64]], Mapping[str, Floats]],
    reference: Mapping[str, Floats],
    at_us: Times,
    *,
    now: datetime,
    alpha: float,
    seed: int = 0,
) -> Unlike:
    """Compare the columns of rows that came at *at_us*, shape (n,) in order, with the *reference*'s of the same name.

    *read* gives the columns of the rows at some places, in that order: at most the last two `EPOCH` are asked for, however
    long the log is. NaN is a missing value and is passed over. A column without a reference is compared with its own
    earlier rows alone. Only days that have ended count: their order is drawn with *seed*.
    """
    today = round((now - _EPOCH) / timedelta(microseconds=1)) // _DAY_US
    days = at_us // _DAY_US
    whole = int(np.searchsorted(days, today))
    if whole < FEWEST:
        return Unlike(reason=f"{whole} decisions of days that have ended, at least {FEWEST} are needed")
    order = _shuffled(days[:whole], seed)
    number = max(1, -(-whole // EPOCH))
    rows = order[max(0, number - 2) * EPOCH :]
    live = read(rows)
    if len(live) > MOST_COLUMNS:
        return Unlike(reason=f"{len(live)} columns are too many to be compared one by one")
    ranks = np.full((len(rows), len(live)), np.nan)
    for place, (name, values) in enumerate(live.items()):
        before = reference.get(name, np.zeros(0))
        known = np.isfinite(values)
        ranks[known, place] = ranks_of(
            values[known], before=before[np.isfinite(before)], seed=seed + place + 1
        )
    risen = rises(ranks)
    evidence = np.array([evidence_of(one.peak) for one in risen])
    named = e_bh(evidence, alpha=alpha * restart_weight(number))
    found = sorted(
        (
            ColumnUnlike(
                name=name,
                evidence=float(evidence[place]),
                named=bool(named[place]),
                reference=int(np.isfinite(reference[name]).sum()) if name in reference else 0,
                since=_EPOCH + timedelta(days=int(days[rows[min(risen[place].since, len(rows) - 1)]])),
            )
            for place, name in enumerate(live)
        ),
        key=lambda one: (-one.evidence, one.name),
    )
    return Unlike(
        columns=tuple(found), alpha=alpha, rows=len(rows), message=_sentence(found, alpha, len(rows))
    )


def supporting(seen: Unlike) -> tuple[Signal, ...]:
    """The named columns as signals that join an incident and open none."""
    return tuple(
        Signal(
            kind=UNLIKE,
            about=one.name,
            measure="e-value against exchangeability",
            size=one.evidence,
            evidence=one.evidence,
            since=one.since,
            rows=seen.rows,
            message=_named(one),
        )
        for one in seen.columns
        if one.named
    )


def _shuffled(days: Times, seed: int) -> NDArray[np.int64]:
    """The places of rows, those of each day in an order drawn for that day."""
    found: list[NDArray[np.int64]] = []
    firsts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    for first, last in zip(firsts, [*firsts[1:], len(days)], strict=True):
        chance = np.random.default_rng((seed, int(days[first])))
        found.append(first + chance.permutation(last - first))
    return np.concatenate(found)


def _named(one: ColumnUnlike) -> str:
    against = "the reference and the rows before" if one.reference else "the rows before"
    return (
        f"values of `{one.name}` are not exchangeable with {against}, since about {one.since:%Y-%m-%d}"
        f" (evidence {one.evidence:.3g}, no labels needed)"
    )


def _sentence(found: list[ColumnUnlike], alpha: float, rows: int) -> str:
    named = [one for one in found if one.named]
    asked = f"values of {len(found)} columns over {rows:,} rows"
    says = (
        "; ".join(_named(one) for one in named)
        if named
        else f"no evidence in {asked} that they are unlike the reference"
    )
    return f"{says} [P(any ever named while exchangeable) <= {alpha:g}; says nothing about size]"

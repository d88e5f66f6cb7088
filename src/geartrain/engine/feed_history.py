"""How the feeds have behaved so far: the only thing that can be said of a feed before the product is live."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.data.feeds import is_feed_clause
from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.columns import microseconds_of
from geartrain.domain.contract import Contract
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.rows import data_of, read_table
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME

DAY_US = 86_400_000_000
FEWEST_DAYS = 3
ONE_DELIVERY = "its rows came in one delivery, which shows nothing of how they will come"

Times = NDArray[np.int64]


def feed_history(
    workspace: Workspace, contract: Contract, *, now: datetime
) -> tuple[tuple[str, Measurement | str], ...]:
    """For each clause about a feed what its whole days so far show, or why they show nothing.

    The value is that of the 95th day in a hundred, from good to bad; the ends are the middle
    day's and the worst day's: a promise that the worst day keeps was always kept, one that
    the middle day breaks was mostly broken.
    """
    found: list[tuple[str, Measurement | str]] = []
    for source in data_of(contract).sources:
        clauses = [
            one
            for one in contract.clauses
            if is_feed_clause(one) and one.path.startswith(f"data.{source.name}.")
        ]
        if not clauses:
            continue
        good, bad = (
            _arrivals(read_table(workspace, contract.product.name, name, known_at=now))
            for name in (source.name, source.name + QUARANTINE)
        )
        found += [(one.path, _seen(one, good, bad)) for one in clauses]
    return tuple(found)


def _seen(clause: Clause, good: Times, bad: Times) -> Measurement | str:
    if not len(good):
        return "no good row of it has ever arrived"
    first, last = int(good.min()) // DAY_US + 1, int(good.max()) // DAY_US
    if last - first < FEWEST_DAYS:
        return ONE_DELIVERY if np.ptp(good) < DAY_US else "fewer than three whole days of it are known"
    # A bad row whose own time cannot be read arrived when it was delivered to us, which is no day of the feed.
    dated = bad[(bad >= good.min()) & (bad <= good.max())]
    edges = np.arange(first, last + 1) * DAY_US
    came, poor = np.histogram(good, bins=edges)[0], np.histogram(dated, bins=edges)[0]
    match clause.metric:
        case "freshness":
            both = np.sort(np.concatenate([good, dated]))
            silences = _silences(both, edges[:-1] // DAY_US)
            return _by_day(clause, silences, "the longest silence of a day was", _in_hours)
        case "rows_per_day":
            return _by_day(clause, came.astype(np.float64), "good rows a day were", lambda one: f"{one:,.0f}")
    if len(dated) < len(bad):
        share = len(bad) / (len(bad) + len(good))
        return Measurement.exact(
            share,
            rows=len(bad) + len(good),
            method="share of all rows so far",
            note=f"{share:.2%} of all rows were bad",
        )
    total = came + poor
    return _by_day(
        clause, poor[total > 0] / total[total > 0], "bad among a day's rows were", lambda one: f"{one:.1%}"
    )


def _by_day(clause: Clause, days: Floats, what: str, told: Callable[[float], str]) -> Measurement:
    at_least = clause.comparison is Comparison.AT_LEAST
    worst = float(days.min() if at_least else days.max())
    middle = float(np.median(days))
    rare = float(np.quantile(days, 0.05 if at_least else 0.95))
    broken = int((days < clause.bound).sum() if at_least else (days > clause.bound).sum())
    return Measurement(
        value=rare,
        low=min(worst, middle),
        high=max(worst, middle),
        rows=len(days),
        method="whole days so far",
        note=(
            f"{what} {told(middle)} in the middle and {told(worst)} at worst,"
            f" and {broken:,} of {len(days):,} days broke the promise"
        ),
    )


def _silences(arrivals: Times, days: Times) -> Floats:
    """The longest time without a row that ends within each day, in seconds."""
    gaps = np.diff(arrivals)
    ends = arrivals[1:] // DAY_US
    longest = np.zeros(len(days))
    inside = (ends >= days[0]) & (ends <= days[-1])
    np.maximum.at(longest, ends[inside] - days[0], gaps[inside] / 1e6)
    # A day without any arrival was silent all day.
    silent = ~np.isin(days, arrivals // DAY_US)
    longest[silent] = np.maximum(longest[silent], DAY_US / 1e6)
    return longest


def _in_hours(seconds: float) -> str:
    return f"{seconds / 3600:,.3g} h" if seconds >= 3600 else f"{seconds / 60:,.3g} min"


def _arrivals(rows: pl.DataFrame) -> Times:
    if not rows.height:
        return np.zeros(0, dtype=np.int64)
    return microseconds_of(rows.get_column(ARRIVAL_TIME).drop_nulls()).to_numpy().astype(np.int64)

"""What the decisions cost over time, beside what others would have cost: the product's performance is a function of time.

The costs of a span are read from the counted sums. A day is left out while its labels are
not due, or where far fewer of them came than usual: those that come first are not like the
rest (a fraud that is noticed at once, a patient who comes back early).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import polars as pl

from geartrain.domain.contract import Contract
from geartrain.engine.costs_counted import Counted
from geartrain.engine.policies import NEVER, PRODUCT
from geartrain.evaluation.baselines import ALWAYS
from geartrain.stats.intervals import normal_quantile, ratio

CONFIDENCE = 0.95
#: A day of which fewer labels are known than this share of what is usual is not drawn.
FEWEST_OF_USUAL = 0.5
#: Under so many days the days themselves say nothing of how days differ.
FEWEST_DAYS = 8
#: A mean of fewer rows has no band: its spread is not known.
FEWEST_ROWS = 5
#: Above so many days a week is a point.
MOST_DAYS = 100
_DAY = timedelta(days=1)


class Step(StrEnum):
    """What one point of the line stands for."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """One policy in one day or week.

    Attributes:
        cost: Of 1000 decisions; None where no truth is known.
        low: The band's lower end; None where there are too few rows.
        rows: The decisions behind it, of which every policy's cost is known.
    """

    at: datetime
    cost: float | None
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """What 1000 decisions cost, or cost more, on average.

    Attributes:
        low: The interval's lower end; None under eight days, which say nothing of how days differ.
    """

    value: float
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCosts:
    """One way of deciding over the whole span.

    Attributes:
        name: `geartrain` for what was really done.
        kind: `product`, `never`, `trivial` or `own` (a baseline that the contract names).
        cost: The mean of 1000 decisions; None where nothing is known.
        saved: What 1000 decisions of the product cost less than these, on the same rows; None for the product.
        points: One for each day or week that is drawn.
    """

    name: str
    kind: str
    total: float
    cost: Mean | None
    saved: Mean | None
    points: tuple[CostPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ripeness:
    """How much of a day's truth is known.

    Attributes:
        drawn: Whether its costs are on the line.
        due: Whether the contract's label delay has passed.
    """

    day: datetime
    decisions: int
    labelled: int
    due: bool
    drawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsOverTime:
    """A span of the product's life in costs.

    Attributes:
        first: The first day of which there is a decision, in this slice.
        last: The last one.
        since: The span begins with this day.
        until: It ends before this one.
        rows: The decisions that the costs are of.
        policies: The product, never retraining, then the others, cheapest first.
        days: Every day of the span with decisions, and how much of its truth is known.
        method: How the bands and the intervals were made.
    """

    first: datetime
    last: datetime
    since: datetime
    until: datetime
    step: Step
    decisions: int
    labelled: int
    rows: int
    policies: tuple[PolicyCosts, ...]
    days: tuple[Ripeness, ...]
    method: str


def costs_over_time(
    counted: Counted,
    contract: Contract,
    *,
    slice_key: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    step: Step | None = None,
) -> CostsOverTime | None:
    """The costs of one slice from *since* to before *until*; None where it has no decision at all."""
    held = counted.days.filter(pl.col("slice") == slice_key)
    if held.height == 0:
        return None
    first, last = _as_time(held["day"].min()), _as_time(held["day"].max())
    begins = max(since, first) if since is not None else first
    ends = min(until, last + _DAY) if until is not None else last + _DAY
    if ends <= begins:
        begins, ends = first, last + _DAY
    chosen = step or (Step.WEEK if (ends - begins) / _DAY > MOST_DAYS else Step.DAY)
    days = _ripeness(held, contract, now=now)
    span = held.filter(pl.col("day") >= begins, pl.col("day") < ends)
    inside = tuple(one for one in days if begins <= one.day < ends)
    drawn = span.join(pl.DataFrame({"day": [one.day for one in inside if one.drawn]}, schema=_DAYS), on="day")
    policies = tuple(_policy(drawn, name, contract, chosen) for name in counted.policies)
    own = drawn.filter(pl.col("policy") == PRODUCT)
    return CostsOverTime(
        first=first,
        last=last,
        since=begins,
        until=ends,
        step=chosen,
        decisions=sum(one.decisions for one in inside),
        labelled=sum(one.labelled for one in inside),
        rows=int(own["rows"].sum()),
        policies=_in_order(policies),
        days=inside,
        method=(
            f"band: normal, {CONFIDENCE:.0%}, over the decisions of the {chosen}, as if they were independent; "
            f"totals: {CONFIDENCE:.0%} bootstrap that draws whole days"
        ),
    )


_DAYS = {"day": pl.Datetime("us", "UTC")}


def _ripeness(held: pl.DataFrame, contract: Contract, *, now: datetime) -> tuple[Ripeness, ...]:
    own = held.filter(pl.col("policy") == PRODUCT).sort("day")
    delay = timedelta(seconds=contract.decision.label_delay_s)
    rows = [
        (_as_time(day), int(decisions), int(labelled))
        for day, decisions, labelled in own.select("day", "decisions", "labelled").iter_rows()
    ]
    settled = sorted(
        labelled / decisions for day, decisions, labelled in rows if day + _DAY + delay <= now and decisions
    )
    usual = settled[len(settled) // 2] if settled else 0.0
    return tuple(
        Ripeness(
            day=day,
            decisions=decisions,
            labelled=labelled,
            due=day + _DAY + delay <= now,
            drawn=day + _DAY + delay <= now
            and labelled > 0
            and labelled >= FEWEST_OF_USUAL * usual * decisions,
        )
        for day, decisions, labelled in rows
    )


def _policy(drawn: pl.DataFrame, name: str, contract: Contract, step: Step) -> PolicyCosts:
    mine = drawn.filter(pl.col("policy") == name, pl.col("rows") > 0).sort("day")
    own = drawn.filter(pl.col("policy") == PRODUCT, pl.col("rows") > 0).sort("day")
    return PolicyCosts(
        name=name,
        kind=_kind(name, contract),
        total=float(mine["cost"].sum()) if mine.height else 0.0,
        cost=_mean(mine["cost"], mine["rows"]),
        saved=None if name == PRODUCT else _mean(mine["cost"] - own["cost"], mine["rows"]),
        points=_points(mine, step),
    )


def _mean(cost: pl.Series, rows: pl.Series) -> Mean | None:
    """The mean of 1000 decisions; whole days are drawn, so decisions of a day need not be independent."""
    if len(rows) == 0 or int(rows.sum()) == 0:
        return None
    count = int(rows.sum())
    if len(rows) < FEWEST_DAYS:
        return Mean(value=1000.0 * float(cost.sum()) / count, low=None, high=None, rows=count)
    seen = ratio(1000.0 * cost.to_numpy(), rows.to_numpy().astype(float), seed=0, confidence=CONFIDENCE)
    return Mean(value=seen.value, low=seen.low, high=seen.high, rows=count)


def _points(mine: pl.DataFrame, step: Step) -> tuple[CostPoint, ...]:
    every = "1d" if step is Step.DAY else "1w"
    grouped = (
        mine.group_by(pl.col("day").dt.truncate(every).alias("at"))
        .agg(pl.col("rows").sum(), pl.col("cost").sum(), pl.col("square").sum(), pl.col("least").min())
        .sort("at")
    )
    return tuple(_point(_as_time(at), *sums) for at, *sums in grouped.iter_rows())


def _point(at: datetime, rows: int, cost: float, square: float, least: float) -> CostPoint:
    mean = cost / rows
    low = high = None
    if rows >= FEWEST_ROWS:
        variance = max(0.0, square / rows - mean**2) * rows / (rows - 1)
        half = normal_quantile(0.5 + CONFIDENCE / 2) * math.sqrt(variance / rows)
        # A mean below the least cost that was ever seen is no mean to believe in.
        low = 1000 * max(least, mean - half)
        high = 1000 * (mean + half)
    return CostPoint(at=at, cost=1000 * mean, low=low, high=high, rows=rows)


def _kind(name: str, contract: Contract) -> str:
    if name == PRODUCT:
        return "product"
    if name == NEVER:
        return "never"
    return "own" if any(one.name == name and one.rule for one in contract.baselines) else "trivial"


def _in_order(policies: tuple[PolicyCosts, ...]) -> tuple[PolicyCosts, ...]:
    first = {"product": 0, "never": 1}
    return tuple(
        sorted(
            policies,
            key=lambda one: (first.get(one.kind, 2), one.cost.value if one.cost else math.inf, one.name),
        )
    )


def on_the_line(costs: CostsOverTime) -> tuple[PolicyCosts, ...]:
    """The policies worth a line: the product, never retraining, the team's own, and the cheapest trivial one."""
    trivial = [one for one in costs.policies if one.kind == "trivial" and one.cost is not None]
    return tuple(
        one
        for one in costs.policies
        if one.cost is not None and (one.kind != "trivial" or one is trivial[0] or len(costs.policies) <= 4)
    )


def policy_in_words(name: str) -> str:
    """What a policy does, in words.

    >>> policy_in_words("always-follow-up"), policy_in_words("last-label")
    ('always "follow up"', 'what came last')
    """
    if name.startswith(ALWAYS):
        return f'always "{name.removeprefix(ALWAYS).replace("-", " ")}"'
    return {
        PRODUCT: "the product",
        NEVER: "never retrained",
        "last-label": "what came last",
        "most-frequent": "what comes most often",
        "mean": "the mean of what came",
    }.get(name, name.replace("-", " ").replace("_", " "))


def _as_time(day: object) -> datetime:
    assert isinstance(day, datetime)
    return day.astimezone(UTC)

"""Choose the smallest variant that is proven as good as the reference, and say why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geartrain.domain.expression import Columns
from geartrain.domain.finding import Finding, Status
from geartrain.domain.model import Parity, Speed
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.stats.deciding import cost_tensor
from geartrain.stats.noninferiority import noninferior

#: How far from kept; a variant must not be further for any clause that blocks.
DISTANCE = {Status.KEPT: 0, Status.UNPROVEN: 1, Status.NOT_MEASURED: 1, Status.BROKEN: 2}

#: A median is called slower from this ratio on: two timings of one model differ that much by themselves.
SLOWER = 1.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """All that is known about one variant.

    Attributes:
        costs: What its decisions cost on the rows of `select`, row by row.
        findings: Every clause that the variant was judged on, the budget's included.
    """

    name: str
    speed: Speed
    parity: Parity
    costs: Floats
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One row of the Pareto table.

    Attributes:
        mean_cost: Of a decision.
        rise: The relative rise of cost against the reference; None where that costs nothing.
        rise_at_most: The one-sided upper bound of the same.
        not_worse: Whether the bound is within the margin.
        on_front: Whether no other variant is at least as good in size, p99 and cost and
            better in one.
        reason: Why it was chosen or not, in plain words.
    """

    name: str
    speed: Speed
    parity: Parity
    mean_cost: float
    rise: float | None
    rise_at_most: float | None
    not_worse: bool
    on_front: bool
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen variant and the table that it was chosen from, the reference first."""

    chosen: str
    margin: float
    rows: tuple[Judged, ...]


def choose(
    measured: Sequence[Measured],
    *,
    seed: int,
    margin: float = 0.05,
    confidence: float = 0.95,
    worst: float | None = None,
    most_bytes: int | None = None,
    positives: int = 0,
) -> Choice:
    """Choose among *measured*, of which the first is the reference.

    A variant may be chosen if its decisions are proven not to cost more than *margin* of
    the reference's cost more, and if no blocking clause is further from kept than under
    the reference. One that is slower than the reference gains nothing by being smaller,
    unless it fits a size budget that the reference does not. Of these the one that breaks fewest
    clauses wins, then the smallest.
    With a size budget *most_bytes* a variant that fits it comes before one that does not,
    and of those that fit the surest wins, whose cost may rise least: to be smaller than
    the budget buys nothing. *positives* among the rows make "how many more" speak of them.
    *worst* is the most that one changed decision can cost (see `worst_change`): without
    it, decisions that never differed count as proven equal. The confidence is not
    adjusted for the number of variants; the one chosen is judged again on `verdict`.

    Raises:
        ValueError: Nothing was measured.
    """
    if not measured:
        raise ValueError("nothing to choose from")
    reference = measured[0]
    tested = {
        one.name: _compared(
            one, reference, seed=seed, margin=margin, confidence=confidence, worst=worst, positives=positives
        )
        for one in measured[1:]
    }
    fit = [
        one
        for one in measured[1:]
        if tested[one.name].proven
        and not _worse_clauses(one, reference)
        and (not _slower(one, reference) or _needs_size(one, reference, most_bytes))
    ]

    def order(one: Measured) -> tuple[float, ...]:
        size = one.speed.size_bytes
        if most_bytes is None or size > most_bytes:
            return (_broken(one), most_bytes is not None, size, 0.0)
        return (_broken(one), False, tested[one.name].upper if one is not reference else 0.0, size)

    best = min([reference, *fit], key=order)
    rows = tuple(
        Judged(
            name=one.name,
            speed=one.speed,
            parity=one.parity,
            mean_cost=float(one.costs.mean()),
            rise=_relative(float((one.costs - reference.costs).mean()), reference),
            rise_at_most=_relative(tested[one.name].upper, reference) if one is not reference else 0.0,
            not_worse=one is reference or tested[one.name].proven,
            on_front=not any(_dominates(other, one) for other in measured),
            chosen=one is best,
            reason=_reason(one, reference, best, tested.get(one.name), margin, most_bytes),
        )
        for one in measured
    )
    return Choice(chosen=best.name, margin=margin, rows=rows)


def worst_change(rule: DecisionRule, columns: Columns, rows: int) -> float | None:
    """The most that one changed decision can cost more on these *rows*; None for a regression."""
    if not rule.task.has_classes:
        return None
    tensor = cost_tensor(rule.costs, actions=rule.actions, classes=rule.classes, columns=columns, rows=rows)
    return float(np.nanmax(np.nanmax(tensor, axis=1) - np.nanmin(tensor, axis=1)))


def table(choice: Choice) -> tuple[tuple[str, ...], ...]:
    """The Pareto table as text, a header and one row for each variant; nothing is printed."""
    head = (
        "variant",
        "kB",
        "p50 us",
        "p99 us",
        "rows/s",
        "same decisions",
        "cost",
        "rise, at most",
        "front",
        "why",
    )
    body = (
        (
            ("* " if row.chosen else "  ") + row.name,
            f"{row.speed.size_bytes / 1e3:.1f}",
            f"{row.speed.p50_us:.0f}",
            f"{row.speed.p99_us:.0f}",
            f"{row.speed.rows_per_s:,.0f}",
            f"{row.parity.decisions_agree:.2%}",
            f"{row.mean_cost:.4g}",
            f"{_percent(row.rise)}, {_percent(row.rise_at_most)}",
            "yes" if row.on_front else "",
            row.reason,
        )
        for row in choice.rows
    )
    return (head, *body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    upper: float
    proven: bool
    words: str


def _compared(
    one: Measured,
    reference: Measured,
    *,
    seed: int,
    margin: float,
    confidence: float,
    worst: float | None,
    positives: int,
) -> _Test:
    allowed = margin * abs(float(reference.costs.mean()))
    found = noninferior(
        one.costs, reference.costs, margin=allowed, seed=seed, confidence=confidence, worst=worst
    )
    needed = ""
    if found.rows_needed:
        needed = f"; about {found.rows_needed:,} rows in all would prove it"
        if positives:
            needed += f", {found.rows_needed * positives / found.rows:,.0f} of them positive"
    if found.differing == 0:
        words = f"the same cost on all {found.rows} rows, but these cannot exclude a rise above {margin:.0%}{needed}"
    else:
        words = f"cost may rise by more than {margin:.0%}: not proven on {found.rows} rows{needed}"
    return _Test(upper=found.upper, proven=found.proven, words="" if found.proven else words)


def _worse_clauses(one: Measured, reference: Measured) -> tuple[str, ...]:
    before = {finding.clause: finding for finding in reference.findings}
    return tuple(
        f"{finding.clause} is {finding.status}"
        for finding in one.findings
        if finding.blocks
        and finding.clause in before
        and DISTANCE[finding.status] > DISTANCE[before[finding.clause].status]
    )


def _slower(one: Measured, reference: Measured) -> bool:
    """Whether a row surely takes longer: the intervals of the medians lie apart, by more than a tick of noise."""
    low, high = one.speed.p50_low_us, reference.speed.p50_high_us
    return low is not None and high is not None and low > SLOWER * high


def _needs_size(one: Measured, reference: Measured, most_bytes: int | None) -> bool:
    """Whether the size is what is asked, and *one* has it where the reference has not."""
    if most_bytes is None:
        return False
    return one.speed.size_bytes <= most_bytes < reference.speed.size_bytes


def _broken(one: Measured) -> int:
    return sum(finding.status is Status.BROKEN for finding in one.findings)


def _relative(difference: float, reference: Measured) -> float | None:
    cost = abs(float(reference.costs.mean()))
    return difference / cost if cost > 0 else None


def _dominates(one: Measured, other: Measured) -> bool:
    ours, theirs = (
        (each.speed.size_bytes, each.speed.p99_us, float(each.costs.mean())) for each in (one, other)
    )
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs


def _reason(
    one: Measured,
    reference: Measured,
    best: Measured,
    test: _Test | None,
    margin: float,
    most_bytes: int | None,
) -> str:
    if test is None:
        return "the reference; no smaller variant is proven as good" if one is best else "the reference"
    if not test.proven:
        return test.words
    worse = _worse_clauses(one, reference)
    if worse:
        return "under it " + ", ".join(worse)
    if _slower(one, reference) and not _needs_size(one, reference, most_bytes):
        ratio = one.speed.p50_us / reference.speed.p50_us
        return f"does not gain: a row takes {ratio:.1f} times as long as with the reference"
    if one is best:
        smaller = 1 - one.speed.size_bytes / reference.speed.size_bytes
        return f"{smaller:.0%} smaller, cost proven to rise by at most {margin:.0%}, no clause worse"
    if _broken(one) > _broken(best):
        return f"proven as good, but {best.name} breaks fewer clauses"
    if most_bytes is not None and best.speed.size_bytes <= most_bytes:
        if one.speed.size_bytes > most_bytes:
            return f"proven as good, but larger than the {most_bytes / 1e3:,.0f} kB of the budget"
        return f"proven as good, but the cost of {best.name} is surer"
    return f"proven as good, but {best.name} is smaller"


def _percent(share: float | None) -> str:
    return "no cost to compare" if share is None else f"{share:+.1%}"

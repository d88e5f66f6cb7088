"""Which columns have drifted, from two profiles, as often as one likes to look.

For each column three hypotheses are held: its distribution, its share of nulls and its
share of unseen categories are no further from the reference than what matters
(`smallest`, in PSI) plus what the reference's own sampling error may hide. Each window
gives a p-value under the noncentral null law, that an e-value, and e-values multiply
into an e-process with fresh stakes at each look, as for a page. e-BH decides over columns.

Guarantee: while no column has changed by more than `smallest`, the chance that any is
ever named is at most `alpha`; at any look the expected share of falsely named ones is at
most `alpha`, however the columns depend on each other. Assumes: windows share no rows,
and rows within a window are independent, or `effective` says what share of one a row is worth,
in the reference as in the window (`worth.worths`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.incident import Signal
from geartrain.monitoring.breaks import swapped, unit_change
from geartrain.monitoring.profile import CategoryColumn, NumberColumn, Profile, same_bins
from geartrain.stats import distance
from geartrain.stats.eprocess import restart_weight, to_evidence

Counts = NDArray[np.int64]
#: A hypothesis: its name, the counts before and now, whether the bins have an order.
Test = tuple[str, Counts, Counts, bool]

#: A change of this PSI matters: for a bell curve a shift by a seventh of its spread.
SMALLEST = 0.02
#: A window with fewer values of a column says nothing about it.
FEWEST_ROWS = 30
#: The end of a window tells what a column has become where it has so many rows.
FEWEST_TOLD = 100
#: Evidence above what an alarm needs is kept only up to this factor, so that it can end.
_KEPT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The evidence about one hypothesis over time.

    Attributes:
        log_wealth: The logarithm of its e-process, None before the first look.
        climb: How far the evidence has risen without falling back to nothing.
        began: The start of the window in which that rise began.
    """

    about: str
    log_wealth: float | None = None
    climb: float = 0.0
    began: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftState:
    """What all looks so far have added up to; begin anew with each reference."""

    looks: int = 0
    threads: tuple[Thread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column in one window.

    Attributes:
        null_share: Of the current rows.
        p: Of its PSI under "nothing has changed" (this window alone); `p_jensen_shannon`, `p_ks`
            and `p_wasserstein` are those of the other distances, each from its own null law.
        evidence: The strongest e-process of its hypotheses.
        wasserstein: The distance in the column's unit; None for categories.
    """

    name: str
    rows: int
    null_share: float
    psi: float
    jensen_shannon: float
    ks: float | None
    wasserstein: float | None
    p: float
    p_jensen_shannon: float
    p_ks: float | None
    p_wasserstein: float | None
    evidence: float
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What one look found: signals for named columns, distances for all, the state to keep."""

    signals: tuple[Signal, ...]
    columns: tuple[ColumnDrift, ...]
    state: DriftState


def drift(
    reference: Profile,
    current: Profile,
    state: DriftState,
    *,
    started: datetime,
    alpha: float = 0.01,
    smallest: float = SMALLEST,
    effective: Mapping[str, float] | None = None,
    seed: int = 0,
    days: Mapping[str, Sequence[float]] | None = None,
    latest: Profile | None = None,
) -> Drift:
    """Look at one window of rows, which began at *started*, and name the columns that changed.

    *effective* says of each hypothesis, such as `drift:amount`, how many independent rows one row is worth; one that is not
    in it has independent rows. The reference's rows are taken to be worth as little: their order is not in its profile.
    *seed* is that of the resampled pairs behind the p-values of the Wasserstein distances.
    *days* has the medians of number columns day by day up to now, to tell a jump from a slope.
    *latest* profiles the window's end: a change that began within the window is blurred in the
    whole of it, so what a named column has become (never whether it is named) is read there.

    Raises:
        ValueError: *current* was not observed in the reference's bins, or the state
            belongs to another reference.
    """
    if not same_bins(reference, current):
        raise ValueError("the current profile must be observed in the reference's bins")
    tests = _tests(reference, current)
    known = state.threads or tuple(Thread(about=about) for about, _, _, _ in tests)
    if [thread.about for thread in known] != [about for about, _, _, _ in tests]:
        raise ValueError("the state belongs to another reference; begin a new one")
    if not tests:
        return Drift(signals=(), columns=(), state=DriftState(looks=state.looks + 1))
    # Half of the false-alarm budget pays for the reference being a sample.
    spent, most = alpha / 2 / len(tests), math.log(_KEPT * 2 * len(tests) / alpha)
    worth = np.asarray([(effective or {}).get(about, 1.0) for about, _, _, _ in tests])
    threads = tuple(
        _followed(thread, e_value, look=state.looks + 1, most=most, started=started)
        for thread, e_value in zip(
            known, _e_values(tests, smallest=smallest, spent=spent, worth=worth), strict=True
        )
    )
    wealth = {thread.about: to_evidence(thread.log_wealth or 0.0) for thread in threads}
    fallen = distance.e_bh(np.asarray(list(wealth.values())), alpha=alpha / 2)
    named = {thread.about: thread for thread, falls in zip(threads, fallen, strict=True) if falls}
    moved = {about.partition(":")[2] for about in named if about.startswith("drift:")}
    seen = current if latest is None or latest.rows < FEWEST_TOLD else latest
    pairs = [
        (a, b) for a, b in zip(reference.numbers, seen.numbers, strict=True) if a.name in moved and b.known
    ]
    places = swapped([a for a, _ in pairs], [b for _, b in pairs])
    signals = [
        *(
            signal
            for a, b in zip(reference.numbers, seen.numbers, strict=True)
            for signal in _numbers(
                a, b, named, moved, None if days is None else days.get(a.name), places.get(a.name)
            )
        ),
        *(
            signal
            for a, b in zip(reference.categories, seen.categories, strict=True)
            for signal in _categories(a, b, named)
        ),
    ]
    told = {signal.about for signal in signals}
    return Drift(
        signals=tuple(sorted(signals, key=lambda signal: -signal.evidence)),
        columns=tuple(
            _measured(a, b, wealth, told, seed=seed, worth=(effective or {}).get(f"drift:{a.name}", 1.0))
            for a, b in _pairs(reference, current)
        ),
        state=DriftState(looks=state.looks + 1, threads=threads),
    )


def _pairs(
    reference: Profile, current: Profile
) -> list[tuple[NumberColumn, NumberColumn] | tuple[CategoryColumn, CategoryColumn]]:
    return [
        *zip(reference.numbers, current.numbers, strict=True),
        *zip(reference.categories, current.categories, strict=True),
    ]


def _tests(reference: Profile, current: Profile) -> list[Test]:
    """Every hypothesis about these columns, always in the same order."""
    tests: list[Test] = []
    for before, after in _pairs(reference, current):
        ordered = isinstance(before, NumberColumn)
        tests.extend(
            (
                (f"drift:{before.name}", _counts(before), _counts(after), ordered),
                (f"nulls:{before.name}", _nulls(before), _nulls(after), False),
            )
        )
        if isinstance(before, CategoryColumn) and isinstance(after, CategoryColumn):
            tests.append((f"categories:{before.name}", _unseen(before), _unseen(after), False))
    return tests


def _counts(column: NumberColumn | CategoryColumn) -> Counts:
    more = (column.other,) if isinstance(column, CategoryColumn) else ()
    return np.asarray((*column.counts, *more), dtype=np.int64)


def _nulls(column: NumberColumn | CategoryColumn) -> Counts:
    return np.asarray((column.nulls, column.known), dtype=np.int64)


def _unseen(column: CategoryColumn) -> Counts:
    return np.asarray((column.other, column.known - column.other), dtype=np.int64)


def _e_values(tests: list[Test], *, smallest: float, spent: float, worth: NDArray[np.float64]) -> list[float]:
    """The evidence of one window about each hypothesis, given the reference sample as it is."""
    heard = [
        index
        for index, (_, before, after, _) in enumerate(tests)
        if min(before.sum(), after.sum()) * worth[index] >= FEWEST_ROWS
    ]
    values = [1.0] * len(tests)
    if not heard:
        return values
    # Two bins are a share, and a rare one must not be joined away.
    joined = [
        (before, after) if len(before) == 2 else distance.join_thin(before, after, ordered=ordered)
        for _, before, after, ordered in (tests[index] for index in heard)
    ]
    bins = np.asarray([len(before) for before, _ in joined])
    # Close to zero the root of PSI is a distance, so the two allowances add as roots.
    worth = worth[heard]
    rows = np.asarray([before.sum() for before, _ in joined], dtype=np.float64) * worth
    hidden = distance.reference_error(bins=bins, n=rows, alpha=spent)
    p_values = distance.p_larger(
        np.asarray([distance.psi(before, after) for before, after in joined]),
        smallest=(math.sqrt(smallest) + np.sqrt(hidden)) ** 2,
        bins=bins,
        n=math.inf,
        m=np.asarray([after.sum() for _, after in joined]) * worth,
    )
    for index, p in zip(heard, p_values, strict=True):
        values[index] = distance.e_value(float(p))
    return values


def _followed(thread: Thread, e_value: float, *, look: int, most: float, started: datetime) -> Thread:
    stake = math.log(restart_weight(look))
    before = stake if thread.log_wealth is None else float(np.logaddexp(thread.log_wealth, stake))
    step = math.log(e_value)
    climb = min(max(thread.climb, 0.0) + step, most)
    began = thread.began if thread.climb > 0 else started
    return replace(
        thread, log_wealth=min(before + step, most), climb=max(climb, 0.0), began=began if climb > 0 else None
    )


def _numbers(
    before: NumberColumn,
    after: NumberColumn,
    named: dict[str, Thread],
    moved: Collection[str],
    days: Sequence[float] | None,
    other: str | None,
) -> list[Signal]:
    signals = _null_signals(before, after, named)
    thread = named.get(f"drift:{before.name}")
    if thread is None:
        return signals
    gap = distance.psi(_counts(before), _counts(after))
    changed = unit_change(before, after, moved=moved, days=days) if other is None else None
    if after.constant and not before.constant:
        text = f"`{before.name}` has the one value {after.low:.6g} in all {after.known:,} rows"
        signals.append(_signal("constant", thread, measure="PSI", size=gap, rows=after.known, message=text))
    elif other is not None:
        text = f"`{before.name}` looks as `{other}` did, and the other way round: the two were swapped"
        signals.append(_signal("swap", thread, measure="PSI", size=gap, rows=after.known, message=text))
    elif changed is not None:
        text = f"`{before.name}` looks like another unit: {changed.sentence}"
        signals.append(
            _signal("unit", thread, measure="slope", size=changed.slope, rows=after.known, message=text)
        )
    elif after.known:
        text = (
            f"`{before.name}` has drifted: mean {before.mean:.4g} -> {after.mean:.4g}, PSI {gap:.3f}"
            f" over {after.known:,} rows"
        )
        signals.append(_signal("drift", thread, measure="PSI", size=gap, rows=after.known, message=text))
    return signals


def _categories(before: CategoryColumn, after: CategoryColumn, named: dict[str, Thread]) -> list[Signal]:
    signals = _null_signals(before, after, named)
    unseen, thread = named.get(f"categories:{before.name}"), named.get(f"drift:{before.name}")
    gap = distance.psi(_counts(before), _counts(after))
    if unseen is not None and after.known and after.other / after.known > before.other / max(1, before.known):
        share = after.other / after.known
        examples = ", ".join(f"`{name}`" for name in after.examples)
        text = f"{share:.1%} of `{before.name}` are categories that were rare or unknown, such as {examples}"
        gone = _vanished(before, after)
        if gone is None:
            text += "; the known ones come as before beside them"
        else:
            text += f", while `{gone}` has gone, as if renamed"
        kind = "new-category" if gone is None else "categories"
        signals.append(
            _signal(kind, unseen, measure="share unseen", size=share, rows=after.known, message=text)
        )
    elif thread is not None and after.constant and not before.constant:
        text = f"`{before.name}` has one and the same value in all {after.known:,} rows"
        signals.append(_signal("constant", thread, measure="PSI", size=gap, rows=after.known, message=text))
    elif (thread or unseen) is not None and after.known:
        found = thread or unseen
        assert found is not None
        text = f"`{before.name}` has drifted: {_largest_move(before, after)}, PSI {gap:.3f} over {after.known:,} rows"
        signals.append(_signal("drift", found, measure="PSI", size=gap, rows=after.known, message=text))
    return signals


def _vanished(before: CategoryColumn, after: CategoryColumn) -> str | None:
    """The known category that left as much room as the unseen ones take, or None where all just made room."""
    old, new = _counts(before) / max(1, before.known), _counts(after) / max(1, after.known)
    named = len(before.names)
    fallen = (old - new)[:named]
    room = new[named] - old[named]
    gone = [
        place
        for place in range(named)
        if fallen[place] >= room / 2 and new[place] < old[place] * (1 - room) / 2
    ]
    return before.names[max(gone, key=lambda place: float(fallen[place]))] if gone else None


def _largest_move(before: CategoryColumn, after: CategoryColumn) -> str:
    old, new = _counts(before) / max(1, before.known), _counts(after) / max(1, after.known)
    index = int(np.argmax(np.abs(new - old)))
    name = f"`{before.names[index]}`" if index < len(before.names) else "other categories"
    return f"{name} {old[index]:.1%} -> {new[index]:.1%}"


def _null_signals(
    before: NumberColumn | CategoryColumn, after: NumberColumn | CategoryColumn, named: dict[str, Thread]
) -> list[Signal]:
    thread = named.get(f"nulls:{before.name}")
    if thread is None or not after.rows:
        return []
    old, new = before.nulls / max(1, before.rows), after.nulls / after.rows
    text = f"`{before.name}` is missing in {new:.1%} of {after.rows:,} rows, before in {old:.1%}"
    return [_signal("nulls", thread, measure="share of nulls", size=new, rows=after.rows, message=text)]


def _signal(kind: str, thread: Thread, *, measure: str, size: float, rows: int, message: str) -> Signal:
    return Signal(
        kind=kind,
        about=thread.about.partition(":")[2],
        measure=measure,
        size=size,
        evidence=to_evidence(thread.log_wealth or 0.0),
        since=thread.began,
        rows=rows,
        message=message,
    )


def _measured(
    before: NumberColumn | CategoryColumn,
    after: NumberColumn | CategoryColumn,
    wealth: dict[str, float],
    told: set[str],
    *,
    seed: int,
    worth: float,
) -> ColumnDrift:
    first, second = _counts(before), _counts(after)
    ordered = isinstance(before, NumberColumn)
    found = distance.distances(first, second, ordered=ordered, worth=worth)
    moved = p_moved = None
    if isinstance(before, NumberColumn) and isinstance(after, NumberColumn) and before.known and after.known:
        lows = [low for low in (before.low, after.low) if low is not None]
        highs = [high for high in (before.high, after.high) if high is not None]
        outer = (min(*lows, *before.edges), *before.edges, max(*highs, *before.edges))
        moved = distance.wasserstein(first, second, np.asarray(outer))
        p_moved = distance.p_wasserstein(first, second, np.asarray(outer), seed=seed, worth=worth)
    return ColumnDrift(
        name=before.name,
        rows=after.rows,
        null_share=after.nulls / after.rows if after.rows else 0.0,
        psi=found.psi,
        jensen_shannon=found.jensen_shannon,
        ks=found.ks,
        wasserstein=moved,
        p=found.p_changed,
        p_jensen_shannon=found.p_jensen_shannon,
        p_ks=found.p_ks,
        p_wasserstein=p_moved,
        evidence=max(value for about, value in wealth.items() if about.partition(":")[2] == before.name),
        named=before.name in told,
    )

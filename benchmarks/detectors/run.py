"""How soon our page and our trigger notice a change, and how often they ring for nothing.

python benchmarks/detectors/run.py delays 101 102 103 104 105 106
python benchmarks/detectors/run.py quiet 500
python benchmarks/detectors/run.py short 200
python benchmarks/detectors/run.py runs 60

`delays` takes seeds of streams: 0/1 errors of a frozen boosted-tree model over river's SEA,
Agrawal, LED and Hyperplane, four generators with three changes each, abrupt and gradual. A
change that is missed counts with all the rows in which it might have been found. `quiet`
takes a number of stationary streams of 100,000 rows, independent and autocorrelated, for the page;
`runs` does so for the trigger that needs no level; `short` counts how many references of such streams
are said to be too short. The numbers are those of docs/detectors.md.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from detecting import DETECTORS, OURS, RIVAL, RUN_ROWS, Rung
from quiet import ALPHA, KINDS, Paged, called_short, pages, triggers
from streams import AFTER, changes, streams

#: A line of the first table: detector, kind of change.
Line = tuple[str, str]


def main(what: str, numbers: list[int]) -> None:
    """Print one table."""
    started = time.monotonic()
    table: dict[str, Callable[[list[int]], Iterable[str]]] = {
        "delays": delays,
        "quiet": stationary,
        "short": short,
        "runs": runs,
    }
    for line in table[what](numbers):
        print(line, flush=True)
    print(f"\n{time.monotonic() - started:.0f} s")


def delays(seeds: list[int]) -> Iterator[str]:
    """Delay with misses counted in full, false alarms, and paired differences to ADWIN."""
    found: dict[Line, dict[tuple[str, int, str], Rung]] = defaultdict(dict)
    errors: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    with ProcessPoolExecutor() as pool:
        for seed, told in zip(seeds, pool.map(_seed, seeds), strict=True):
            for generator, change, kind, before, after, rungs in told:
                if kind == "abrupt":
                    errors[generator, change].append((before, after))
                for name, rung in rungs.items():
                    found[name, kind][generator, seed, change] = rung
    yield "| change | error before | after |"
    yield "|---|---|---|"
    for (generator, name), pairs in errors.items():
        before, after = np.mean(pairs, axis=0)
        yield f"| {generator} {name} | {before:.3f} | {after:.3f} |"
    for kind in AFTER:
        yield ""
        yield (
            f"| {kind} | changes | missed | mean delay when found | delay, a miss counts {AFTER[kind]:,} "
            f"| minus {RIVAL}'s (± 1 se) | false alarms in 100,000 quiet rows |"
        )
        yield "|---|---|---|---|---|---|---|"
        rival = found[RIVAL, kind]
        for name in DETECTORS:
            yield _row(name, found[name, kind], rival)
    quiet = sum(one.quiet_rows for one in found[OURS[0], "abrupt"].values())
    yield f"\n{quiet:,} quiet rows, {len(seeds)} seeds"


def _seed(seed: int) -> list[tuple[str, str, str, float, float, dict[str, Rung]]]:
    return [
        (
            change.generator,
            change.name,
            stream.kind,
            float(stream.quiet.mean()),
            float(stream.changed.mean()),
            {name: detector(stream) for name, detector in DETECTORS.items()},
        )
        for change in changes()
        for stream in streams(change, seed)
    ]


def _row(name: str, rungs: dict[tuple[str, int, str], Rung], rival: dict[tuple[str, int, str], Rung]) -> str:
    delay = np.array([one.delay for one in rungs.values()])
    hit = np.array([one.found for one in rungs.values()])
    # Changes of one generator and seed share their randomness in part: they make one pair.
    paired: dict[tuple[str, int], list[float]] = defaultdict(list)
    for (generator, seed, change), one in rungs.items():
        paired[generator, seed].append(one.delay - rival[generator, seed, change].delay)
    gaps = np.array([np.mean(part) for part in paired.values()])
    error = gaps.std(ddof=1) / np.sqrt(gaps.size) if gaps.size > 1 else float("nan")
    false = sum(one.false for one in rungs.values()) / sum(one.quiet_rows for one in rungs.values()) * 1e5
    told = f"{delay[hit].mean():,.0f}" if hit.any() else ""
    against = "" if rungs is rival else f"{gaps.mean():+,.0f} ± {error:,.0f}"
    return f"| {name} | {hit.size} | {int((~hit).sum())} | {told} | {delay.mean():,.0f} | {against} | {false:,.2f} |"


def stationary(numbers: list[int]) -> Iterator[str]:
    """How many of so many stationary streams ever page, by kind of error and length of reference."""
    count = numbers[0]
    most = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / count)
    yield (
        f"| errors | reference rows | smallest change | paged of {count} | at most {most:.1%} "
        "| a row is worth (median) | control: paged without the correction |"
    )
    yield "|---|---|---|---|---|---|---|"
    wanted = [(kind, *one) for kind in range(len(KINDS)) for one in ((1_000, 0.1), (5_000, 0.0))]
    with ProcessPoolExecutor() as pool:
        for (kind, reference, smallest), found in zip(
            wanted, pool.map(partial(_paged, count=count), wanted), strict=True
        ):
            held = "kept" if found.paged / count <= most else "BROKEN"
            yield (
                f"| {KINDS[kind].name} | {reference:,} | {smallest:.0%} | {found.paged} ({found.paged / count:.1%}) "
                f"| {held} | {found.worth:.2f} | {found.naive} of {found.controls} |"
            )


def short(numbers: list[int]) -> Iterator[str]:
    """Of how many references it is said that they are too short for their own correlation."""
    yield "| errors | reference rows | called too short |"
    yield "|---|---|---|"
    for kind in KINDS:
        for reference in (1_000, 5_000):
            share = called_short(kind, numbers[0], reference=reference) / numbers[0]
            yield f"| {kind.name} | {reference:,} | {share:.0%} |"


def runs(numbers: list[int]) -> Iterator[str]:
    """False triggers on so many stationary streams; one in `RUN_ROWS` rows is promised."""
    yield f"| errors | reference rows | false triggers | rows | promised at most {1e6 / RUN_ROWS:g} in 1,000,000 |"
    yield "|---|---|---|---|---|"
    wanted = [(kind, reference) for kind in range(len(KINDS)) for reference in (1_000, 5_000)]
    with ProcessPoolExecutor() as pool:
        for (kind, reference), (false, rows) in zip(
            wanted, pool.map(partial(_triggered, count=numbers[0]), wanted), strict=True
        ):
            rate = f"{1e6 * false / rows:.2f}"
            yield f"| {KINDS[kind].name} | {reference:,} | {false} | {rows:,} | {rate} |"


def _triggered(wanted: tuple[int, int], *, count: int) -> tuple[int, int]:
    kind, reference = wanted
    return triggers(KINDS[kind], count, reference=reference, run_rows=RUN_ROWS)


def _paged(wanted: tuple[int, int, float], *, count: int) -> Paged:
    kind, reference, smallest = wanted
    return pages(KINDS[kind], count, reference=reference, smallest=smallest)


if __name__ == "__main__":
    main(sys.argv[1], [int(one) for one in sys.argv[2:]])

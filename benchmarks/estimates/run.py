"""Estimates without labels and from few labels, against the truth.

`python benchmarks/estimates/run.py [--data FOLDER] [--worlds 100] [simulated] [adult] [taiwan]`

FOLDER holds `adult.parquet` and `credit_card_default_taiwan.parquet`. For each kind of change: what a
decision really costs, what each way says, how often its 95 % interval holds the truth, and how far
that reaches to each side. The truth of an estimate without labels is the mean of these very decisions, that of
labels the mean of the population that they come from.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from worlds import PRICES, World, acted, adult, public, simulated, taiwan, worlds

from geartrain.domain.contract import CostTerms
from geartrain.domain.finding import Measurement
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.monitoring.adapting import Reference, adapt
from geartrain.monitoring.estimating import Foretold, estimate
from geartrain.monitoring.powering import Sample, expected_and_variance, from_labels
from geartrain.stats.powered import inclusion_of

RULE = DecisionRule(
    task=Task.BINARY, classes=("no", "yes"), actions=("pass", "stop"), costs=CostTerms(otherwise="1")
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = 150
CHANGES = (
    ("nothing", {"shift": 0.0, "flipped": False}),
    ("concept", {"shift": 0.0, "flipped": True}),
    ("population", {"shift": 0.8, "flipped": False}),
    ("both", {"shift": 0.8, "flipped": True}),
)
WAYS = ("CBPE", "PAPE", f"{LABELS} labels alone", f"PPI, {LABELS} at random", f"PPI, {LABELS} asked")


def told_of(world: World) -> tuple[Foretold, np.ndarray]:
    """The decisions as the monitor sees them, and what each did cost."""
    actions = acted(world.said)
    told = Foretold(
        at_us=np.zeros(len(actions), dtype=np.int64),
        probabilities=world.said,
        actions=actions,
        costs=PRICES[actions],
        realised=np.full(len(actions), np.nan),
    )
    return told, PRICES[actions, world.truth]


def answers(
    world: World, seed: int, known: dict[str, Measurement | None]
) -> dict[str, tuple[Measurement, float]]:
    """What each way says about one world, with the truth that it is about."""
    told, costs = told_of(world)
    reference = Reference(
        matrix=world.reference,
        probabilities=world.reference_said,
        truth=world.reference_truth,
        whence="reference rows",
    )
    plain = estimate(RULE, told, positive=1, now=NOW, due_s=0.0).cost
    # Neither estimate reads a truth of the current rows: worlds that differ only there share them.
    name = sha256(b"".join(one.tobytes() for one in (world.reference, world.reference_truth, world.current)))
    if (key := name.hexdigest()) not in known:
        known[key] = adapt(
            RULE, told, world.current, reference, positive=1, now=NOW, delay_s=0.0, seed=seed
        ).cost
    adapted = known[key]
    chance = np.random.default_rng(10_000 + seed)
    expected, variance = expected_and_variance(told)
    even = np.full(len(costs), LABELS / len(costs))
    found = {}
    for name, inclusion in (("at random", even), ("asked", inclusion_of(np.sqrt(variance), LABELS))):
        drawn = np.flatnonzero(chance.random(len(costs)) < inclusion)
        found[name] = from_labels(
            Sample(
                expected=expected,
                values=costs[drawn],
                there=expected[drawn],
                implied=variance[drawn],
                inclusion=inclusion[drawn],
                asked=len(drawn),
                which="answers",
            )
        )
    realised = float(costs.mean())
    seen = (
        (plain, realised),
        (adapted, realised),
        (found["at random"].labels_alone, world.mean),
        (found["at random"].cost, world.mean),
        (found["asked"].cost, world.mean),
    )
    return dict(zip(WAYS, seen, strict=True))


def table(name: str, draws: dict[str, object], count: int) -> None:
    print(f"\n{name}: {count} worlds each; a miss costs 5, a false alarm 1")
    print(f"  {'what changed':12} {'truth':>7}  " + "  ".join(f"{one:>22}" for one in WAYS))
    known: dict[str, Measurement | None] = {}
    for change, draw in draws.items():
        rows = [answers(world, seed, known) for seed, world in enumerate(worlds(draw, count))]
        cells = []
        for way in WAYS:
            told = [one[way] for one in rows if one[way][0] is not None]
            inside = np.mean([seen.low <= truth <= seen.high for seen, truth in told])
            value = np.mean([seen.value for seen, _ in told])
            half = np.mean([(seen.high - seen.low) / 2 for seen, _ in told])
            cells.append(f"{value:.3f} +-{half:.3f} {100 * inside:4.0f} %")
        truth = np.mean([one["CBPE"][1] for one in rows])
        print(f"  {change:12} {truth:7.3f}  " + "  ".join(f"{one:>22}" for one in cells), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tabular"))
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("which", nargs="*", default=["simulated", "adult", "taiwan"])
    asked = parser.parse_args()
    began = time.process_time()
    if "simulated" in asked.which:
        table("Simulated", {name: simulated(**change) for name, change in CHANGES}, asked.worlds)
    for name, read in (("adult", adult), ("taiwan", taiwan)):
        if name in asked.which:
            if not asked.data.is_dir():
                print(f"\n{name}: no folder {asked.data}; --data names it")
                continue
            rows = read(asked.data)
            table(name.capitalize(), {one: public(rows, **change) for one, change in CHANGES}, asked.worlds)
    print(f"\n{time.process_time() - began:.0f} CPU seconds")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

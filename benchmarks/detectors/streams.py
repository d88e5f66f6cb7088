"""Streams of a frozen model's 0/1 errors over a changing world, from river's generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TRAIN, REFERENCE, QUIET = 5_000, 1_000, 15_000
#: Rows over which a gradual change takes over, and rows after a change begins that count.
RAMP = 2_000
PLANE_NOISE = 0.05
AFTER = {"abrupt": 5_000, "gradual": 7_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From one concept of a generator to another: functions of a world and a seed that give its rows."""

    generator: str
    name: str
    before: Callable[[int, int], Iterator]
    after: Callable[[int, int], Iterator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The errors of one frozen model: a reference, quiet rows, and rows from a change on."""

    change: Change
    seed: int
    kind: str
    reference: Floats
    quiet: Floats
    changed: Floats


def changes() -> list[Change]:
    """Three changes of each generator; chosen by their settings alone, before anything was measured."""
    from river.datasets import synth

    def sea(variant: int):
        return lambda _, seed: synth.SEA(variant=variant, noise=0.1, seed=seed)

    def agrawal(function: int):
        return lambda _, seed: synth.Agrawal(classification_function=function, perturbation=0.05, seed=seed)

    def led(swapped: int):
        return lambda _, seed: synth.LEDDrift(
            seed=seed, noise_percentage=0.1, irrelevant_features=True, n_drift_features=swapped
        )

    def plane(moved: float):
        return lambda world, seed: _plane(world, seed, moved=moved)

    told = [("SEA", f"{a}-{b}", sea(a), sea(b)) for a, b in ((2, 3), (0, 2), (1, 3))]
    told += [("Agrawal", f"{a}-{b}", agrawal(a), agrawal(b)) for a, b in ((0, 1), (2, 3), (4, 5))]
    told += [("LED", f"0-{b}", led(0), led(b)) for b in (1, 3, 5)]
    told += [("Hyperplane", f"{moved:g}", plane(0.0), plane(moved)) for moved in (0.2, 0.4, 0.8)]
    return [Change(generator=g, name=name, before=old, after=new) for g, name, old, new in told]


def _plane(world: int, seed: int, *, moved: float) -> Iterator:
    """Rows of river's Hyperplane, labelled by the plane of *world*, moved by a share towards another one.

    river's own plane is drawn with its rows, so a changed plane with fresh rows needs the labels made here.
    """
    from river.datasets import synth

    weights = (1 - moved) * _weights(world) + moved * _weights(world + 1_000_003)
    noise = np.random.default_rng(seed)
    for x, _ in synth.Hyperplane(seed=seed, n_features=10, noise_percentage=0.0):
        label = int(float(np.dot(weights, list(x.values()))) >= weights.sum() / 2)
        yield x, label if noise.random() >= PLANE_NOISE else 1 - label


def _weights(seed: int) -> Floats:
    import random

    drawn = random.Random(seed)
    return np.array([drawn.random() for _ in range(10)])


def streams(change: Change, seed: int) -> list[Stream]:
    """One stream of each kind for *change*; both share the model, the reference and the quiet rows."""
    import lightgbm

    longest = max(AFTER.values())
    x, y = _take(change.before(seed, seed), TRAIN + REFERENCE + QUIET + longest)
    new_x, new_y = _take(change.after(seed, seed + 500_000), longest)
    model = lightgbm.LGBMClassifier(n_estimators=60, num_leaves=15, verbose=-1, n_jobs=1, seed=seed)
    model.fit(x[:TRAIN], y[:TRAIN])
    old = (model.predict(x[TRAIN:]) != y[TRAIN:]).astype(np.float64)
    new = (model.predict(new_x) != new_y).astype(np.float64)
    reference, quiet, still = np.split(old, [REFERENCE, REFERENCE + QUIET])
    share = np.minimum(1.0, np.arange(longest) / RAMP)
    mixed = np.where(np.random.default_rng(seed).random(longest) < share, new, still)
    return [
        Stream(
            change=change, seed=seed, kind=kind, reference=reference, quiet=quiet, changed=rows[: AFTER[kind]]
        )
        for kind, rows in (("abrupt", new), ("gradual", mixed))
    ]


def _take(rows: Iterator, count: int) -> tuple[Floats, NDArray[np.int64]]:
    taken = list(islice(iter(rows), count))
    x = np.array([[float(x[name]) for name in sorted(x)] for x, _ in taken])
    return x, np.array([int(y) for _, y in taken])

"""The streams: two real ones from files, and river's generators with and without drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Rows of a generated stream.
ROWS = 40_000
#: How long a gradual drift takes, in rows; an abrupt one takes none.
GRADUAL = 4_000

REAL = ("elec2", "noaa")
GENERATED = (
    "agrawal-once",
    "agrawal-gradual",
    "agrawal-abrupt",
    "agrawal-quiet",
    "sea-gradual",
    "sea-abrupt",
    "sea-quiet",
    "hyperplane",
    "led-abrupt",
    "led-quiet",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """Rows in their order: float32 of shape (n, d), class indices of shape (n,), and the classes' names."""

    name: str
    matrix: NDArray[np.float32]
    truth: NDArray[np.int64]
    classes: tuple[str, ...]


def read(folder: Path, name: str) -> Stream:
    """A real stream; dates are left out, since a tree cannot learn from a time that never comes back."""
    if name == "elec2":
        frame = pl.read_parquet(folder / "elec2.parquet")
        matrix, label = frame.drop("class", "date"), frame["class"].to_numpy() == "UP"
    else:
        frame = pl.read_parquet(folder / "noaa_weather_nebraska.parquet")
        matrix, label = frame.drop("y"), frame["y"].to_numpy() == 1
    return Stream(
        name=name,
        matrix=matrix.to_numpy().astype(np.float32),
        truth=label.astype(np.int64),
        classes=("no", "yes"),
    )


def generate(name: str, *, seed: int, rows: int = ROWS) -> Stream:
    """A generated stream: drifts at a quarter, a half and three quarters; none; or `once`, slowly, in the middle."""
    from river.datasets import synth

    kind, _, how = name.partition("-")
    if name == "agrawal-once":
        before, after = synth.Agrawal(0, seed=seed), synth.Agrawal(3, seed=seed + 1)
        slowly = synth.ConceptDriftStream(before, after, position=rows // 2, width=rows // 4, seed=seed)
        return _taken(name, slowly.take(rows))
    changes = ("first",) if how == "quiet" else ("first", "second", "third", "fourth")
    match kind:
        case "agrawal":
            parts = [synth.Agrawal(number, seed=seed + number) for number in range(len(changes))]
        case "sea":
            order = (0, 1, 2, 3)[: len(changes)]
            parts = [synth.SEA(number, noise=0.1, seed=seed + place) for place, number in enumerate(order)]
        case "led":
            parts = [
                synth.LEDDrift(
                    seed=seed + number, noise_percentage=0.1, irrelevant_features=True, n_drift_features=drift
                )
                for number, drift in enumerate((0, 3, 5, 7)[: len(changes)])
            ]
        case "hyperplane":
            parts = [synth.Hyperplane(seed=seed, n_features=10, n_drift_features=5, mag_change=0.001)]
        case _:
            raise ValueError(f"there is no stream {name}")
    if how == "abrupt":
        shares = [islice(iter(part), rows // len(parts)) for part in parts]
        return _taken(name, chain.from_iterable(shares))
    stream: Any = parts[0]
    for number, part in enumerate(parts[1:], start=1):
        stream = synth.ConceptDriftStream(
            stream,
            part,
            position=number * rows // 4,
            width=GRADUAL,
            seed=seed + 10 * number,
        )
    return _taken(name, stream.take(rows))


def _taken(name: str, pairs: Iterator[tuple[dict[Any, Any], Any]]) -> Stream:
    values, truth = [], []
    for row, label in pairs:
        values.append([float(one) for one in row.values()])
        truth.append(int(label))
    labels = np.array(truth, dtype=np.int64)
    return Stream(
        name=name,
        matrix=np.array(values, dtype=np.float32),
        truth=labels,
        classes=tuple(str(one) for one in range(int(labels.max()) + 1)),
    )

"""How small a net for chest pictures can be: `python benchmarks/compression/pneumonia.py DATA [PICTURES]`.

DATA is the folder with `images/pneumoniamnist_28.parquet`. A missed pneumonia costs 10, a false alarm 1.
Needs the extra `[torch]`. The teacher is a convolutional net of four layers; what is smaller is a
narrower net that it teaches, the same net without half of its channels, and each in other number formats.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from study import CLASSES, Candidate, Rows, judged, rule_with, show

from data import PNEUMONIA, moved, pneumonia
from geartrain.compression.distilling import lesson_of
from geartrain.compression.export import to_onnx
from geartrain.compression.pruning import narrowed
from geartrain.compression.quantizing import Format, reformatted
from geartrain.compression.variants import REFERENCE
from geartrain.domain.task import Task
from geartrain.errors import ModelNotExportable
from geartrain.stats.fitted import Fitted
from geartrain.training.neural import Build, Network

RULE = rule_with(missed="10", false_alarm="1")
EPOCHS = 14
#: How often each picture is shown moved.
MOVED = 3
#: The share of channels that pruning takes away: what is left weighs less than an eighth.
PRUNED = 0.75


def convolutional(*channels: int) -> Build:
    """Four convolutions with normalising and ReLU, two of them halving the picture, and one linear layer."""

    def build(width: int, outputs: int) -> Any:
        from torch import nn

        side = int(width**0.5)
        found: list[Any] = [nn.Unflatten(1, (1, side, side))]
        before = 1
        for place, after in enumerate(channels):
            found += [
                nn.Conv2d(before, after, 3, stride=2 if place in {1, 2} else 1, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
            before = after
        return nn.Sequential(*found, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(before, outputs))

    return build


def network(build: Build, epochs: int, seed: int) -> Network:
    return Network(
        build=build, epochs=epochs, learning_rate=0.004, batch=64, scaling="whole", random_state=seed
    )


def named(estimator: Network) -> Fitted:
    """The net as the export takes it."""
    return Fitted(
        task=Task.BINARY, classes=CLASSES, algorithm="torch", settings=(), params=(), seed=1, code="",
        estimator=estimator,
    )  # fmt: skip


def candidates(rows: Rows, *, epochs: int = EPOCHS, seed: int = 1) -> Iterator[Candidate]:
    """The teacher first, then everything smaller."""
    columns = tuple(f"x{i}" for i in range(rows.search.matrix.shape[1]))
    matrix, truth = rows.search.matrix, rows.search.truth
    teacher = network(convolutional(32, 48, 64, 96), epochs, seed).fit(matrix, truth)
    bases = {REFERENCE: teacher}
    # Students see the pictures and, with nobody's label, the same pictures moved; pruned nets too.
    shown = np.concatenate([matrix, *(moved(matrix, seed + one) for one in range(MOVED))])
    lesson = lesson_of(shown, named(teacher).predict(shown))
    taught, told = np.concatenate([lesson.matrix, matrix]), np.concatenate([lesson.truth, truth])
    weight = np.concatenate([lesson.weight, np.ones(len(matrix))])
    for channels in ((4, 12, 20, 36), (6, 8, 16, 32)):
        name = "distilled-" + "-".join(map(str, channels))
        bases[name] = network(convolutional(*channels), epochs, seed).fit(taught, told, weight)
    small = narrowed(teacher.inner_, PRUNED)
    bases[f"pruned-{PRUNED:.0%}"] = teacher.taught_on(small, taught, told, epochs=epochs // 2, weight=weight)
    for name, estimator in bases.items():
        content = to_onnx(named(estimator), columns)
        yield Candidate(name=name, onnx=content)
        for form in (Format.FLOAT16, Format.INT8_DYNAMIC, Format.INT8_STATIC):
            if name == REFERENCE or (form is Format.INT8_STATIC):
                try:
                    yield Candidate(name=f"{name}+{form}", onnx=reformatted(content, form, matrix))
                except ModelNotExportable as error:
                    print(f"{name} has no form in {form}: {error}")


def main(arguments: list[str]) -> int:
    if not arguments or not (Path(arguments[0]) / PNEUMONIA).exists():
        print(__doc__)
        return 2
    began = time.perf_counter()
    rows = pneumonia(Path(arguments[0]))
    made = list(candidates(rows))
    print(f"{len(made)} variants made in {time.perf_counter() - began:.0f} s")
    found = judged(made, rows, RULE, margin=0.05, seed=1, at_least=8.0, faster=4.0)
    picture = Path(arguments[1]) / "pneumonia.html" if len(arguments) > 1 else None
    show("PneumoniaMNIST at 10 : 1, at least 8 times smaller and 4 times faster", found, picture=picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

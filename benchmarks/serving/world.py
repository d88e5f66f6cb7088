"""What every contender serves: one LightGBM classifier of 30 features, and rows to ask about.

`python world.py FOLDER` trains it once (300 trees of 31 leaves) and writes it as ONNX and
in LightGBM's own text, with 512 distinct one-row bodies for each protocol.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

WIDTH = 30
COLUMNS = tuple(f"f{i}" for i in range(WIDTH))
BODIES = 512


def make(folder: Path) -> None:
    """Train, export, write the bodies; a folder that has them is left alone."""
    if (folder / "done").exists():
        return
    import lightgbm

    from geartrain.compression.export import to_onnx
    from geartrain.domain.task import Task
    from geartrain.stats.fitted import Fitted

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(20_000, WIDTH)).astype(np.float32)
    score = rows[:, 0] * rows[:, 1] + np.sin(3 * rows[:, 2]) + rows[:, 3:9].sum(axis=1) / 2
    truth = (score + rng.normal(size=len(rows)) > 0).astype(int)
    model = lightgbm.LGBMClassifier(n_estimators=300, num_leaves=31, n_jobs=1, verbose=-1, random_state=7)
    model.fit(rows, truth)
    fitted = Fitted(
        task=Task.BINARY,
        classes=("no", "yes"),
        algorithm="lightgbm",
        settings=(),
        params=(),
        seed=7,
        code="",
        estimator=model,
    )
    (folder / "model.onnx").write_bytes(to_onnx(fitted, COLUMNS))
    model.booster_.save_model(str(folder / "model.txt"))
    asked = rng.normal(size=(BODIES + 100, WIDTH)).round(4).tolist()
    one = [[row] for row in asked[:BODIES]]
    many = [asked[i : i + 100] for i in range(0, BODIES, 8)]
    for name, groups in (("1", one), ("100", many)):
        _write(folder / f"infer-{name}.txt", [_infer(group) for group in groups])
        _write(folder / f"rows-{name}.txt", [{"rows": group} for group in groups])
        _write(folder / f"frame-{name}.txt", [_frame(group) for group in groups])
        _write(folder / f"decide-{name}.txt", [_decide(group) for group in groups])
    (folder / "done").touch()


def _infer(rows: list[list[float]]) -> object:
    flat = [value for row in rows for value in row]
    return {"inputs": [{"name": "features", "shape": [len(rows), WIDTH], "datatype": "FP32", "data": flat}]}


def _frame(rows: list[list[float]]) -> object:
    return {"inputs": {"features": rows}}


def _decide(rows: list[list[float]]) -> object:
    return {"rows": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}


def _write(path: Path, bodies: list[object]) -> None:
    path.write_text("\n".join(json.dumps(body, separators=(",", ":")) for body in bodies) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))

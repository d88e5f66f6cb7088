"""The room as a neighbour sees it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "sklearn",
    "lightgbm",
    "scipy",
    "onnx",
    "polars",
    "pyarrow",
    "optuna",
    "fastapi",
    "deltalake",
    "jsonschema",
)


def test_importing_the_room_brings_no_heavy_library() -> None:
    """Pydantic, YAML and numpy are all that reading a contract needs."""
    code = (
        "import sys, geartrain.contract.parsing, geartrain.contract.diff, geartrain.contract.scaffolding;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"

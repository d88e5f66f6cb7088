"""The example products that come with geartrain, wherever it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from geartrain.engine.products import CONTRACT_FILE, FEATURES_FILE, MODEL_FILE
from geartrain.errors import ProductCodeBroken, ProductUnknown

DATA_FILE = "data.py"
#: The story comes along, so that the folder explains itself where only the package is installed.
STORY_FILE = "README.md"
FILES = (STORY_FILE, CONTRACT_FILE, FEATURES_FILE, MODEL_FILE, DATA_FILE)
#: Beside the package where it was installed, beside `src` where it is worked on.
_PLACES = (Path(__file__).parents[1] / "examples", Path(__file__).parents[3] / "examples")


def example_names() -> tuple[str, ...]:
    """The examples that can be had."""
    found = {file.parent.name for place in _PLACES for file in place.glob(f"*/{CONTRACT_FILE}")}
    return tuple(sorted(found))


def example_folder(name: str) -> Path:
    """Where the example *name* lies.

    Raises:
        ProductUnknown: There is none of that name.
    """
    for place in _PLACES:
        if (place / name / CONTRACT_FILE).is_file():
            return place / name
    raise ProductUnknown(
        f"there is no example `{name}`",
        found=", ".join(example_names()) or "no examples are installed here",
        hint="name one of these",
    )


def example_files(name: str) -> dict[str, str]:
    """The texts of an example's files, by name."""
    folder = example_folder(name)
    return {one: (folder / one).read_text(encoding="utf-8") for one in FILES if (folder / one).is_file()}


def write_example_data(name: str, target: Path, *, seed: int = 7) -> dict[str, Path]:
    """Let the example write its rows into *target*; source name to file."""
    path = example_folder(name) / DATA_FILE
    spec = importlib.util.spec_from_file_location(f"geartrain_example_{name.replace('-', '_')}", path)
    if spec is None or spec.loader is None:
        raise ProductCodeBroken("this example's data cannot be made", where=str(path))
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    written: dict[str, Path] = module.write(target, seed=seed)
    return written

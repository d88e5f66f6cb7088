"""What runs left behind for the next command: a small file a product, on this machine.

The results themselves lie in the blob store and the ledger. The file only says which of
them the next command goes on with, what was begun and not yet ended, and which run made
which release. Written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geartrain.engine.bench import Document
from geartrain.engine.plans import BUILD, COMPRESS, PROPOSE, TRAIN
from geartrain.errors import ReleaseRefused

FOLDER = "runs"
#: A later stage's document belongs to the one before it: a new one of that makes it stale.
_ORDER = (TRAIN, COMPRESS, PROPOSE)
_COMMAND = {TRAIN: "train", COMPRESS: "compress", PROPOSE: "evaluate"}


def remember_run(root: Path, product: str, stage: str, document: Document) -> None:
    """Keep what the latest run of *stage* left; later stages of an older run are forgotten."""
    told = _read(root, product)
    kept = _ORDER[: _ORDER.index(stage)] if stage in _ORDER else ()
    # A build has gone through every stage, so it is the latest of each.
    stages = dict.fromkeys(_ORDER, document) if stage == BUILD else {}
    stages |= {name: told["stages"][name] for name in kept if name in told["stages"]}
    told["stages"] = stages if stage == BUILD else {**stages, stage: document}
    if "release" in document:
        told["releases"][document["release"]] = document
    told["begun"].pop(stage, None)
    _write(root, product, told)


def latest_run(root: Path, product: str, stage: str) -> Document:
    """What the latest run of *stage* left.

    Raises:
        ReleaseRefused: There was none, or an earlier stage has been run since.
    """
    stages: dict[str, Document] = _read(root, product)["stages"]
    if stage in stages:
        return stages[stage]
    upto = _ORDER[: _ORDER.index(stage) + 1]
    first = next(one for one in upto if one not in stages)
    since = "" if first == _ORDER[0] else " since the last run of the stage before it"
    raise ReleaseRefused(
        f"there is nothing to go on with: `{_COMMAND[first]}` has not been run{since}",
        where=f"product {product}",
        hint=f"run `geartrain {_COMMAND[first]}` first",
    )


def run_of_release(root: Path, product: str, release: str) -> Document | None:
    """The document of the run that made *release*; None where it was made elsewhere."""
    found: Document | None = _read(root, product)["releases"].get(release)
    return found


def begin_run(root: Path, product: str, stage: str, run: str, ordered: Document) -> None:
    """Note that a run begins, so that a killed command can be recognised when it is given again."""
    told = _read(root, product)
    told["begun"][stage] = {"run": run, "order": ordered}
    _write(root, product, told)


def begun_run(root: Path, product: str, stage: str) -> tuple[str, Document] | None:
    """The run of *stage* that began and was not seen to end: its id and what was ordered."""
    found = _read(root, product)["begun"].get(stage)
    return None if found is None else (found["run"], found["order"])


def end_run(root: Path, product: str, stage: str) -> None:
    """Forget what was begun: it ended without a result, and the next command begins anew."""
    told = _read(root, product)
    told["begun"].pop(stage, None)
    _write(root, product, told)


def note(root: Path, product: str, name: str, value: object) -> None:
    """Keep one small thing between two commands, such as since when an incident is quiet."""
    told = _read(root, product)
    told["notes"][name] = value
    _write(root, product, told)


def noted(root: Path, product: str, name: str) -> Any:
    """What `note` kept, or None."""
    return _read(root, product)["notes"].get(name)


def _read(root: Path, product: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"stages": {}, "releases": {}, "begun": {}, "notes": {}}
    file = _file(root, product)
    return {**empty, **json.loads(file.read_text(encoding="utf-8"))} if file.exists() else empty


def _write(root: Path, product: str, told: Mapping[str, object]) -> None:
    file = _file(root, product)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(file)


def _file(root: Path, product: str) -> Path:
    return root / FOLDER / f"{product}.json"

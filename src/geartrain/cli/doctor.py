"""`geartrain doctor`: whether this machine, and this workspace, are fit to work."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import settings, workspace_option
from geartrain.errors import GeartrainError
from geartrain.wiring import Settings

_NEEDED = ("deltalake", "lightgbm", "onnxruntime", "polars", "scikit-learn", "dbos", "fastapi")
_LITTLE_DISK = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    well: bool
    found: str
    hint: str = ""


@click.command()
@workspace_option
@answering
def doctor(workspace: Path | None) -> Answer:
    """Check this machine and this workspace; nothing is changed."""
    checks = [_python(), *_packages(), _cores(), *_workspace(workspace)]
    lines = [
        f"{'ok  ' if check.well else 'NOT '} {check.name}: {check.found}"
        + (f"\n     hint: {check.hint}" if check.hint and not check.well else "")
        for check in checks
    ]
    well = all(check.well for check in checks)
    return Answer(
        schema="doctor/1",
        ok=well,
        result={"checks": checks},
        text="\n".join([*lines, "", "everything is well" if well else "something needs attention"]),
    )


def _python() -> Check:
    return Check(
        name="Python",
        well=sys.version_info >= (3, 11),
        found=sys.version.split()[0],
        hint="geartrain needs Python 3.11 or newer",
    )


def _packages() -> list[Check]:
    checks = []
    for name in _NEEDED:
        try:
            checks.append(Check(name=name, well=True, found=version(name)))
        except PackageNotFoundError:
            checks.append(
                Check(
                    name=name,
                    well=False,
                    found="not installed",
                    hint="run `make setup`, or pip install geartrain",
                )
            )
    return checks


def _cores() -> Check:
    return Check(name="cores", well=True, found=str(len(os.sched_getaffinity(0))))


def _workspace(given: Path | None) -> list[Check]:
    from geartrain.wiring import open_workspace

    where = settings(given)
    folder = where.root if where.root.is_dir() else where.root.parent
    free = shutil.disk_usage(folder).free
    disk = Check(
        name="free disk",
        well=free > _LITTLE_DISK,
        found=f"{free / 1e9:.1f} GB at {folder}",
        hint="less than 1 GB is left; decisions are refused when the prediction log cannot be written",
    )
    if not where.root.is_dir():
        return [disk, Check(name="workspace", well=True, found=f"none yet at {where.root}")]
    try:
        space = open_workspace(where, create=False)
    except GeartrainError as error:
        told = f"{error.message}: {error.found}" if error.found else error.message
        return [disk, _journal(where.root), Check(name="workspace", well=False, found=told, hint=error.hint)]
    return [
        disk,
        _looked("ledger", lambda: f"the chain of {space.ledger.verify()} events holds"),
        _looked("lake", lambda: f"{len(list(space.lake.tables()))} tables"),
        _looked("bundles", lambda: _bundles(where.root)),
        _journal(where.root),
        _looked("event bus", lambda: _bus(where)),
        _looked("online features", lambda: _online(where)),
    ]


def _looked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, well=True, found=look())
    except GeartrainError as error:
        return Check(name=name, well=False, found=error.message, hint=error.hint)


def _bus(where: Settings) -> str:
    from geartrain.wiring import open_bus

    bus = open_bus(where)
    if bus is None:
        return "nobody has published to it; events come by `geartrain ingest` and POST /events"
    try:
        bus.ends("geartrain.doctor")
    finally:
        bus.close()
    return f"{_address(where.bus_url)} answers" if where.bus_url else "bus.db of the workspace answers"


def _online(where: Settings) -> str:
    from geartrain.domain.features import FeatureSet
    from geartrain.wiring import open_shared

    opened = open_shared(where)
    if opened is None:
        return "in each server's own memory (GEARTRAIN_ONLINE_URL names a Redis that replicas share)"
    store = opened(FeatureSet(features=()), {}, "geartrain.doctor")
    try:
        store.open(0)
    finally:
        store.close()
    return f"{_address(where.online_url)} answers"


def _address(url: str | None) -> str:
    """An address without user and password."""
    kind, _, rest = (url or "").partition("://")
    return f"{kind}://{rest.rpartition('@')[2]}"


def _journal(root: Path) -> Check:
    from geartrain.engine.living import JOURNAL
    from geartrain.serving.journal import damaged_segments

    damaged = [path.name for path in damaged_segments(root / JOURNAL)]
    return Check(
        name="prediction log",
        well=not damaged,
        found=f"cannot be read whole: {', '.join(damaged)}" if damaged else "no damaged segment",
        hint="decisions that were answered are lost with these bytes; check the disk, and delete the files when nobody needs them any more",
    )


def _bundles(root: Path) -> str:
    from geartrain.engine.bundles import FOLDER
    from geartrain.release.bundle import verify
    from geartrain.release.directory import read_directory

    folders = sorted((root / FOLDER).glob("[0-9a-f]*")) if (root / FOLDER).is_dir() else []
    for folder in folders:
        verify(read_directory(folder))
    return f"{len(folders)} releases, each byte for byte as signed"

"""Bundles in the workspace: one folder a release, written whole, checked whenever it is read."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import distributions

from geartrain.domain.release import Release
from geartrain.engine.workspace import Workspace
from geartrain.errors import BundleTampered, ReleaseUnknown
from geartrain.release.bundle import read, trusted_key
from geartrain.release.bundle_nouns import Environment, Loaded, Package
from geartrain.release.directory import read_directory, write_directory

FOLDER = "bundles"


def keep_bundle(workspace: Workspace, release: Release, files: Mapping[str, bytes]) -> None:
    """Keep the bundle of *release*; keeping it twice changes nothing."""
    write_directory(workspace.root / FOLDER / release.id, files)


def bundle_files(workspace: Workspace, release: str) -> dict[str, bytes]:
    """The files of *release* as they lie on disk, not yet checked.

    Raises:
        ReleaseUnknown: There is no bundle of that id.
        BundleTampered: The folder holds something that no bundle has.
    """
    folder = workspace.root / FOLDER / release
    if not folder.exists():
        raise ReleaseUnknown(
            "there is no bundle of this release",
            where=str(folder),
            hint="`geartrain release list` names the releases of a product",
        )
    return read_directory(folder)


def load_bundle(workspace: Workspace, release: str) -> Loaded:
    """The release as nouns and bytes, after every byte and the signature were checked.

    Raises:
        BundleTampered: A byte, a file or the signature is not what was signed here.
    """
    loaded = read(bundle_files(workspace, release), trusted_keys={trusted_key(workspace.signing_key())})
    if loaded.release.id != release:
        raise BundleTampered(
            "the bundle is another release than its folder says",
            where=f"{FOLDER}/{release}",
            found=loaded.release.id,
            hint="restore the folder from a backup; nothing was served from it",
        )
    return loaded


def environment() -> Environment:
    """The interpreter and every package that is installed beside it."""
    # Each look at an installed package's metadata reads its file again.
    told = [one.metadata for one in distributions()]
    packages = {(str(one["Name"]).lower(), str(one["Version"])) for one in told if one["Name"]}
    return Environment(
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        packages=tuple(Package(name=name, version=version) for name, version in sorted(packages)),
    )

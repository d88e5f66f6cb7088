"""Bundles on disk: a flat directory of plain files, written whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from geartrain.errors import BundleTampered

#: No separators, no leading dot: such a name cannot point outside its directory.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
#: A file above this is no bundle file that anybody wrote; reading it would only fill memory.
MOST_BYTES = 2 * 1024**3


def write_directory(target: Path, files: Mapping[str, bytes]) -> Path:
    """Write *files* to the directory *target*, which appears complete or not at all.

    Writing the same files again changes nothing.

    Raises:
        BundleTampered: A name would leave the directory, or *target* holds something else.
    """
    for name in files:
        _check_name(name, target)
    if target.exists() or target.is_symlink():
        if target.is_dir() and read_directory(target) == dict(files):
            return target
        raise BundleTampered(
            "another bundle stands in the way",
            where=str(target),
            hint="a release never changes; move the directory away, or write to another",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.half")
    if half.exists():
        shutil.rmtree(half)
    half.mkdir()
    for name, content in files.items():
        with (half / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    half.rename(target)
    return target


def read_directory(source: Path) -> dict[str, bytes]:
    """Read every file of the bundle at *source*.

    Raises:
        BundleTampered: The directory is missing, or holds a link, a folder, a special
            file or a name that no bundle has. Links are refused because what they show
            can change after it was checked.
    """
    if source.is_symlink() or not source.is_dir():
        raise BundleTampered(
            "there is no bundle directory", where=str(source), hint="name the bundle's folder"
        )
    files: dict[str, bytes] = {}
    for entry in sorted(source.iterdir()):
        _check_name(entry.name, source)
        if entry.is_symlink() or not entry.is_file():
            raise BundleTampered(
                "the bundle holds something that is not a plain file",
                where=str(entry),
                hint="a bundle is flat: no folders, links or devices",
            )
        files[entry.name] = _read_plain(entry)
    return files


def _read_plain(path: Path) -> bytes:
    # The link test above and this opening are two moments; O_NOFOLLOW closes the gap.
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise BundleTampered(
            "a file of the bundle cannot be read", where=str(path), found=str(error)
        ) from error
    with os.fdopen(handle, "rb") as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise BundleTampered("a file is too large for a bundle", where=str(path))
        return file.read()


def _check_name(name: str, place: Path) -> None:
    if not _NAME.fullmatch(name):
        raise BundleTampered(
            "a file's name would not stay inside the bundle",
            where=str(place),
            found=repr(name),
            hint="names are letters, digits, `_`, `-` and `.`, and do not begin with a dot",
        )

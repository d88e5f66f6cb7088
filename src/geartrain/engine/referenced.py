"""Images and documents by reference: a row names a file, and its digest says which file was meant."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from geartrain.domain.contract import SourceTerms

_PIECE = 1 << 20


def with_files(
    source: SourceTerms, frame: pl.DataFrame, *, beside: Path
) -> tuple[pl.DataFrame, dict[str, str | None]]:
    """The rows, and the SHA-256 of every file that they name by a path below *beside*.

    Where the sender gave no digest, the one that was found is written into its column, so
    that the row keeps saying which bytes it meant. A URI, or a path that leads elsewhere, is
    not followed: there the sender's own digest is the only word. None stands for a file that is not there.
    """
    found: dict[str, str | None] = {}
    for terms in source.fields:
        if terms.file_digest is None or terms.name not in frame.columns:
            continue
        named = frame[terms.name].cast(pl.String)
        for place in named.drop_nulls().unique().to_list():
            if place not in found and (path := _below(beside, place)) is not None:
                found[place] = _sha256(path)
        digests = named.replace_strict(
            list(found), list(found.values()), default=None, return_dtype=pl.String
        ).alias(terms.file_digest)
        if terms.file_digest in frame.columns:
            digests = frame[terms.file_digest].cast(pl.String).fill_null(digests)
        frame = frame.with_columns(digests)
    return frame, found


def _below(folder: Path, place: str) -> Path | None:
    """The path of a file below *folder*; None for a URI or a place outside of it."""
    if "://" in place or not place.strip() or "\x00" in place:
        return None
    path = (folder / place).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _sha256(path: Path) -> str | None:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                hasher.update(piece)
    except OSError:
        return None
    return hasher.hexdigest()

"""Before a delivery is taken: how a file would be read, what the door would say, what has changed in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from geartrain.data.batches import batch_id
from geartrain.data.checks import Surroundings
from geartrain.data.describing import ColumnSummary, describe_columns
from geartrain.data.door import check_rows, differing_columns
from geartrain.data.reading import Form, understand
from geartrain.domain.contract import CsvTerms, SourceTerms
from geartrain.engine.ingesting import with_row_names
from geartrain.engine.referenced import with_files
from geartrain.errors import ColumnMissing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preview:
    """What was understood of a file; nothing was taken.

    Attributes:
        doubts: What it leaves open, each with its readings.
        matters: Whether one of them must be settled before rows can be taken.
        columns: What each column holds.
        unknown: Columns that the contract does not name.
        lacking: Columns of the contract that no row has.
        good: How many rows would pass; None where no contract was given or a required column lacks.
        reasons: Why others would not, the most frequent first. Other sources are not asked here.
    """

    form: Form
    rows: pl.DataFrame
    doubts: tuple[str, ...]
    matters: bool
    columns: tuple[ColumnSummary, ...]
    unknown: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    good: int | None = None
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def clear(self) -> bool:
        """Whether there are rows, every one can be read in one way only, and would pass."""
        if self.matters or self.reasons or self.rows.is_empty():
            return False
        return self.good is not None or not self.lacking


def preview(
    path: Path,
    *,
    source: SourceTerms | None = None,
    label: str | None = None,
    csv: CsvTerms | None = None,
    now: datetime,
) -> Preview:
    """Read the file as the door would, and say what would happen to its rows.

    *label* is the column of the truth, where it belongs into the rows of *source*.

    Raises:
        SourceUnreadable: It cannot be read at all.
    """
    found = understand(path, source=source, csv=csv)
    rows = found.rows
    doubts, matters = tuple(str(one) for one in found.doubts), any(not one.settles for one in found.doubts)
    columns = describe_columns(rows)
    if source is None:
        return Preview(form=found.form, rows=rows, doubts=doubts, matters=matters, columns=columns)
    rows, files = with_files(source, rows, beside=path.parent)
    # The door names rows that nothing names, so their names are not lacking here either.
    named = with_row_names(source, rows, batch_id("", source.name, path.read_bytes()))
    differing = differing_columns(source, named, label=label)
    good: int | None = None
    reasons: tuple[tuple[str, int], ...] = ()
    try:
        checked = check_rows(source, named, now=now, around=Surroundings(files=files))
        good, reasons = checked.good.height, checked.reasons
    except ColumnMissing as error:
        reasons = ((error.message, rows.height),)
    return Preview(
        form=found.form,
        rows=rows,
        doubts=doubts,
        matters=matters,
        columns=columns,
        unknown=differing.unknown,
        lacking=differing.lacking,
        good=good,
        reasons=reasons,
    )

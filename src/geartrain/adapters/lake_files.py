"""The files of a Delta table as one dataset, each opened once.

A file of the lake never changes and many looks ask for a few rows by name. Making the
dataset anew for every look would read every file's footer again, which takes longer than
reading the rows; so what is known of a file is kept as long as the table has it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME

#: The columns that the table's log has the bounds of, file by file; none of them is ever null.
KEYS = (EVENT_TIME, ARRIVAL_TIME, BATCH)
_FILE = "__filename"
_CUT = timedelta(milliseconds=1)
#: Tables of a later version of the protocol may have rows that their files do not tell about.
_PLAIN_READER = 1


class TableFiles:
    """The files of the Delta table in *folder*; for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        from pyarrow import dataset, fs

        self._filesystem = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
        options = dataset.ParquetFragmentScanOptions(pre_buffer=True)
        self._format = dataset.ParquetFileFormat(default_fragment_scan_options=options)
        self._fragments: dict[str, Any] = {}

    def dataset(self, held: Any) -> Any:
        """The rows of the Delta table *held* at its version."""
        from pyarrow import dataset

        if held.protocol().min_reader_version > _PLAIN_READER:
            return held.to_pyarrow_dataset()
        files = pa.table(held.get_add_actions(flatten=True))
        bounds = [name for name in files.column_names if name.startswith(("min.", "max."))]
        told = dict(zip(files.column("path").to_pylist(), files.select(bounds).to_pylist(), strict=True))
        self._fragments = {
            path: self._fragments.get(path) or self._opened(path, known) for path, known in told.items()
        }
        schema = pa.schema(held.schema().to_arrow())
        return dataset.FileSystemDataset(
            list(self._fragments.values()), schema, self._format, self._filesystem
        )

    def _opened(self, path: str, bounds: dict[str, Any]) -> Any:
        from pyarrow import dataset

        within = dataset.scalar(value=True)
        for name in KEYS:
            low, high = bounds.get(f"min.{name}"), bounds.get(f"max.{name}")
            if low is None or high is None:
                continue
            # Delta's log cuts times to whole milliseconds: the last row of a file is up to one later than it says.
            below = (
                dataset.field(name) < high + _CUT
                if isinstance(high, datetime)
                else dataset.field(name) <= high
            )
            within = within & (dataset.field(name) >= low) & below
        return self._format.make_fragment(unquote(path), self._filesystem, partition_expression=within)


def files_with(source: Any, condition: Any) -> Any:
    """Those files of the dataset *source* that have a row of *condition*.

    To find out, only the columns of the condition are read; whoever asks for a few rows with many
    columns would read all columns of every file that may have one.
    """
    from pyarrow import dataset

    named = set(source.to_table(columns=[_FILE], filter=condition).column(_FILE).unique().to_pylist())
    found = [one for one in source.get_fragments(filter=condition) if one.path in named]
    return dataset.FileSystemDataset(found, source.schema, source.format, source.filesystem)

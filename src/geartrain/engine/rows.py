"""Rows to learn from: the lake as known at a time, with features and labels as known then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from geartrain.data.labels import LABEL, LABEL_TIME, MATURE, label_rows
from geartrain.data.snapshots import content_digest, take_snapshot
from geartrain.domain.columns import columns_of, microseconds_of, numbers, texts_of, values_of
from geartrain.domain.contract import Contract, DataTerms, SourceTerms
from geartrain.domain.data import Snapshot, SourceVersion
from geartrain.domain.expression import Values
from geartrain.domain.features import FeatureSet
from geartrain.domain.task import Task
from geartrain.engine.workspace import Workspace
from geartrain.errors import ProductUnknown, SnapshotEmpty, TrainingImpossible
from geartrain.features.offline import point_in_time
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME

#: The lake table of outcomes that were sent in one by one: `key`, `label`, `decision`, the clocks.
OUTCOMES = "outcomes"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Decision rows with what was known of them.

    Attributes:
        raw: The decision source's own columns, the two clocks, and `_label` (null: not known).
        features: One column a feature, row for row beside `raw`.
    """

    raw: pl.DataFrame
    features: pl.DataFrame

    def __len__(self) -> int:
        return self.raw.height

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """The rows at these positions, in that order."""
        return Rows(raw=self.raw[rows], features=self.features[rows])

    @property
    def columns(self) -> dict[str, Values]:
        """Raw columns and features by name, for costs, slices and rules; a raw column wins."""
        return {**columns_of(self.features), **columns_of(self.raw)}

    @property
    def times_us(self) -> NDArray[np.int64]:
        """When each row happened."""
        return microseconds_of(self.raw.get_column(EVENT_TIME)).to_numpy().astype(np.int64)

    def texts(self, column: str) -> list[str | None]:
        """A raw column as text."""
        return cast("list[str | None]", texts_of(self.raw.get_column(column)).to_list())


def data_of(contract: Contract) -> DataTerms:
    """The contract's data section.

    Raises:
        TrainingImpossible: The team has not said yet what its data is.
    """
    if contract.data is None:
        raise TrainingImpossible(
            "the contract does not say what the data is",
            where="product.yaml: data",
            hint="add a data section with one source of kind `decisions`",
        )
    return contract.data


def source_of(contract: Contract, name: str) -> SourceTerms:
    """The source *name* of the contract.

    Raises:
        ProductUnknown: The contract knows no such source.
    """
    data = data_of(contract)
    terms = data.source(name)
    if terms is None:
        raise ProductUnknown(
            f"the contract knows no source `{name}`",
            where="data.sources",
            found=", ".join(one.name for one in data.sources),
            hint="name one of these, or add the source to the contract",
        )
    return terms


def label_in(contract: Contract, source: SourceTerms) -> str | None:
    """The column of the truth where it belongs into the rows of *source*; None where it comes with others."""
    data = data_of(contract)
    return contract.decision.label if source.name == (data.labels or data.decisions).name else None


def keys_of(contract: Contract) -> dict[str, str]:
    """The column that names a row, for each source."""
    return {source.name: source.key for source in data_of(contract).sources}


def table_of(product: str, source: str) -> str:
    """The lake table that holds a source's rows."""
    return f"{product}/{source}"


def frame_of(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a frame, without copying."""
    return cast("pl.DataFrame", pl.from_arrow(table))


def read_sources(workspace: Workspace, contract: Contract, *, known_at: datetime) -> dict[str, pl.DataFrame]:
    """Every source of the contract as it was known at *known_at*."""
    return {
        source.name: read_table(workspace, contract.product.name, source.name, known_at=known_at)
        for source in data_of(contract).sources
    }


def read_table(
    workspace: Workspace, product: str, name: str, *, known_at: datetime, batch: str | None = None
) -> pl.DataFrame:
    """The rows of a product's table that had arrived at *known_at*, those of one *batch* or all; no columns if there is no table."""
    among = None if batch is None else (BATCH, (batch,))
    return frame_of(workspace.lake.scan(table_of(product, name), arrived_by=known_at, among=among))


def take_rows(
    workspace: Workspace,
    contract: Contract,
    features: FeatureSet,
    *,
    known_at: datetime,
    since: datetime | None = None,
) -> tuple[Snapshot, Rows]:
    """Snapshot the lake and compute every feature of every decision row, point in time.

    Decision rows begin at *since*; the events that their windows look back at begin where
    they begin.

    Raises:
        SnapshotEmpty: No decision row was known by then.
    """
    data = data_of(contract)
    tables = read_sources(workspace, contract, known_at=known_at)
    snapshot, frames = take_snapshot(tables, contract, known_at=known_at, since=since)
    decisions = frames[data.decisions.name]
    if decisions.height == 0:
        raise SnapshotEmpty(
            "no row to decide about was known at that time",
            where=table_of(contract.product.name, data.decisions.name),
            found=f"0 rows known at {known_at:%Y-%m-%d %H:%M} UTC",
            hint="`geartrain ingest` takes rows in; see also its quarantine",
        )
    labels = frames[data.labels.name] if data.labels else None
    labelled = label_rows(decisions, labels, contract, known_at=known_at)
    outcomes = read_table(workspace, contract.product.name, OUTCOMES, known_at=known_at)
    if outcomes.height:
        version = SourceVersion(
            source=OUTCOMES,
            rows=outcomes.height,
            content=content_digest(outcomes.drop("_batch").sort("key", ARRIVAL_TIME, "label")),
        )
        snapshot = replace(snapshot, sources=(*snapshot.sources, version))
        labelled = _with_outcomes(labelled, outcomes, data.decisions.key)
    labelled = labelled.sort(EVENT_TIME, data.decisions.key, maintain_order=True)
    keys = keys_of(contract)
    computed = point_in_time(features, labelled, tables, keys=keys)
    return snapshot, Rows(raw=labelled, features=computed)


def _with_outcomes(labelled: pl.DataFrame, outcomes: pl.DataFrame, key: str) -> pl.DataFrame:
    """Labels that were sent in for single decisions; the last that arrived counts."""
    latest = (
        outcomes.sort(ARRIVAL_TIME, "label")
        .unique("key", keep="last")
        .select(
            pl.col("key").alias("_outcome_key"),
            pl.col("label").alias("_outcome"),
            pl.col(ARRIVAL_TIME).alias("_outcome_time"),
        )
    )
    joined = labelled.with_columns(texts_of(labelled.get_column(key)).alias("_outcome_key")).join(
        latest, on="_outcome_key", how="left", maintain_order="left"
    )
    newer = pl.col("_outcome").is_not_null() & (
        pl.col(LABEL_TIME).is_null() | (pl.col("_outcome_time") >= pl.col(LABEL_TIME))
    )
    kind = labelled.schema[LABEL]
    return joined.with_columns(
        pl.when(newer).then(pl.col("_outcome").cast(kind)).otherwise(pl.col(LABEL)).alias(LABEL),
        pl.when(newer).then(pl.col("_outcome_time")).otherwise(pl.col(LABEL_TIME)).alias(LABEL_TIME),
        (pl.col(MATURE) | newer).alias(MATURE),
    ).drop("_outcome_key", "_outcome", "_outcome_time")


def classes_of(contract: Contract, rows: Rows) -> tuple[str, ...]:
    """The classes in the contract's order, or as seen where it does not name them."""
    if contract.decision.task is Task.REGRESSION:
        return ()
    if contract.decision.classes:
        return contract.decision.classes
    return tuple(sorted({label for label in rows.texts(LABEL) if label is not None}))


def truth_of(contract: Contract, rows: Rows, classes: tuple[str, ...]) -> NDArray[Any]:
    """Class indices with -1 for not known, or values with NaN for not known.

    Raises:
        TrainingImpossible: A label is none of the contract's classes.
    """
    if not classes:
        return numbers(values_of(rows.raw.get_column(LABEL)))
    place = {name: index for index, name in enumerate(classes)}
    labels = rows.texts(LABEL)
    strange = sorted({label for label in labels if label is not None and label not in place})
    if strange:
        raise TrainingImpossible(
            "there are labels that the contract does not know",
            where=f"label `{contract.decision.label}`",
            found=", ".join(strange[:5]),
            hint=f"known are {', '.join(classes)}; repair the labels or add the classes to the contract",
        )
    return np.array([-1 if label is None else place[label] for label in labels], dtype=np.int64)


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """A frame as Arrow IPC bytes, for the blob store."""
    sink = BytesIO()
    frame.write_ipc(sink, compression="zstd")
    return sink.getvalue()


def frame_from(content: bytes) -> pl.DataFrame:
    """The frame that `frame_bytes` wrote."""
    return pl.read_ipc(BytesIO(content))

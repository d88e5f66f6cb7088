"""Events of a live product: through the door into the lake, and into the features of the next decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from threading import RLock

import msgspec
import polars as pl

from geartrain.data.reading import Format, read_bytes
from geartrain.domain.columns import microseconds
from geartrain.domain.contract import Contract, FieldTerms, SourceKind
from geartrain.domain.data import Batch
from geartrain.domain.features import Encoding, FeatureSet
from geartrain.engine.hosting import online_encode
from geartrain.engine.ingesting import Door
from geartrain.engine.rows import data_of, keys_of, read_table
from geartrain.engine.workspace import Workspace
from geartrain.features.online import OnlineFeatures
from geartrain.ports.lake import BATCH
from geartrain.serving.runtime import Encode, Matrix, RawRow

#: Rows that are applied before decisions get their turn again.
_AT_ONCE = 500
_SECOND_US = 1_000_000


class LiveFeatures:
    """The online features of one product, for every set of definitions that a release of it uses.

    Decisions read them in one thread while events come in by others, so each read and
    each small portion of events holds `reading`; the door is held by *books*, which
    guards everything that reads or writes the workspace's histories.
    """

    def __init__(self, workspace: Workspace, contract: Contract, *, books: RLock) -> None:
        self._workspace = workspace
        self._contract = contract
        self._door = Door(workspace, contract)
        self._books = books
        self._reading = RLock()
        self._states: dict[str, OnlineFeatures] = {}
        self._taken: set[str] = set()

    def adopt(self, contract: Contract) -> None:
        """Check events by *contract* from now on."""
        with self._books:
            if contract.id != self._contract.id:
                self._contract, self._door = contract, Door(self._workspace, contract)

    def encode_of(self, encoding: Encoding, *, fields: Sequence[FieldTerms], now: datetime) -> Encode:
        """Rows as they are sent to the model's input; the state is rebuilt from the lake where no release needed it yet.

        *fields* are those of the release's own contract.
        """
        plain = online_encode(self._state(encoding.feature_set, now=now), encoding, fields=fields)

        def encode(rows: Sequence[RawRow], at: datetime) -> Matrix:
            with self._reading:
                return plain(rows, at)

        return encode

    def take(self, source: str, rows: Sequence[RawRow], *, now: datetime) -> Batch:
        """Take rows of *source*; when this returns, the next decision sees them.

        Raises:
            ProductUnknown: The contract knows no such source.
            SourceUnreadable: The contract refuses a whole batch for one bad row.
            ColumnMissing: A required column is in no row.
        """
        content = b"\n".join(msgspec.json.encode(row) for row in rows)
        frame = read_bytes(content, Format.NDJSON, where=f"source {source}")
        with self._books:
            taken = self._door.take(source, frame, content=content, now=now)
            self._taken.add(taken.batch.id)
            self._apply(source, taken.good)
        return taken.batch

    def catch_up(self, batch: Batch, *, now: datetime) -> None:
        """Apply a delivery that another process took in."""
        with self._books:
            if batch.id in self._taken:
                return
            self._taken.add(batch.id)
            # Its keys are new to our door too.
            self._door = Door(self._workspace, self._contract)
            rows = read_table(self._workspace, batch.product, batch.source, known_at=now)
            if rows.height:
                self._apply(batch.source, rows.filter(pl.col(BATCH) == batch.id))

    def silent_s(self, now: datetime) -> float | None:
        """How long the most silent feed behind the features has been silent; None where none is read.

        Labels are late by nature, and a table that changes slowly is silent most of the time;
        their silence is no reason to doubt a decision.
        """
        data = data_of(self._contract)
        kinds = {source.name: source.kind for source in data.sources}
        seen = [
            latest
            for state in list(self._states.values())
            for source in state.feeds
            if kinds.get(source) is not SourceKind.LABELS
            and (latest := state.latest_arrival_us(source)) is not None
        ]
        return max(0.0, (microseconds(now) - min(seen)) / _SECOND_US) if seen else None

    def _state(self, features: FeatureSet, *, now: datetime) -> OnlineFeatures:
        with self._books:
            state = self._states.get(features.id)
            if state is None:
                keys = keys_of(self._contract)
                state = OnlineFeatures(features, keys=keys)
                for source in state.sources:
                    product = self._contract.product.name
                    state.apply_rows(source, read_table(self._workspace, product, source, known_at=now))
                self._states[features.id] = state
            return state

    def _apply(self, source: str, rows: pl.DataFrame) -> None:
        for state in self._states.values():
            for start in range(0, rows.height, _AT_ONCE):
                with self._reading:
                    state.apply_rows(source, rows[start : start + _AT_ONCE])

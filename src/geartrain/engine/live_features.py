"""Events of a live product: through the door into the lake, and into the features of the next decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from geartrain.engine.live_state import KeptState, LiveState, OpenShared, SharedState
from geartrain.engine.rows import data_of, keys_of, read_table
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import BATCH
from geartrain.ports.online_store import Snapshots
from geartrain.serving.runtime import Encode, Matrix, RawRow

_SECOND_US = 1_000_000


class LiveFeatures:
    """The online features of one product, for every set of definitions that a release of it uses.

    Decisions read them in one thread while events come in by others, so each read and
    each small portion of events holds `reading`; the door is held by *books*, which
    guards everything that reads or writes the workspace's histories.
    """

    def __init__(
        self,
        workspace: Workspace,
        contract: Contract,
        *,
        books: RLock,
        tell: Callable[[str], None],
        snapshots: Snapshots | None = None,
        shared: OpenShared | None = None,
    ) -> None:
        self._workspace = workspace
        self._contract = contract
        self._door = Door(workspace, contract)
        self._books = books
        self._reading = RLock()
        self._tell, self._snapshots, self._shared = tell, snapshots, shared
        self._states: dict[str, LiveState] = {}
        self._taken: set[str] = set()

    def adopt(self, contract: Contract) -> None:
        """Check events by *contract* from now on."""
        with self._books:
            if contract.id != self._contract.id:
                self._contract, self._door = contract, Door(self._workspace, contract)

    def encode_of(self, encoding: Encoding, *, fields: Sequence[FieldTerms], now: datetime) -> Encode:
        """Rows as they are sent to the model's input; the state is taken up where no release needed it yet.

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
            if not taken.known:
                self._taken.add(taken.batch.id)
            self._apply(source, taken.good)
        return taken.batch

    def catch_up(self, batch: Batch, *, now: datetime) -> None:
        """Apply a delivery that another process took in."""
        with self._books:
            if batch.id in self._taken:
                self._taken.discard(batch.id)
                return
            rows = read_table(self._workspace, batch.product, batch.source, known_at=now, batch=batch.id)
            if rows.height:
                self._door.learn(batch.source, rows)
                self._apply(batch.source, rows)

    def refresh(self, *, now: datetime) -> None:
        """Rows were repaired or erased by another process: bring the states in line with the lake."""
        with self._books:
            self._door = Door(self._workspace, self._contract)
            self._follow(now=now)

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

    def keep(self, position: int, *, now: datetime, at_once: bool = False) -> None:
        """The ledger was followed up to *position*: forget what is too old, save, follow what is shared."""
        with self._books:
            if self._shared is not None:
                self._follow(now=now)
            for state in self._states.values():
                state.keep(position, now_us=microseconds(now), at_once=at_once)

    def _state(self, features: FeatureSet, *, now: datetime) -> LiveState:
        with self._books:
            state = self._states.get(features.id)
            if state is None:
                keys, product = keys_of(self._contract), self._contract.product.name
                if self._shared is not None:
                    store = self._shared(features, keys, product)
                    state = SharedState(features, store, keys=keys, tell=self._tell)
                else:
                    state = KeptState(
                        features, keys=keys, name=product, reading=self._reading,
                        snapshots=self._snapshots, tell=self._tell,
                    )  # fmt: skip
                self._follow(now=now, only=state)
                self._states[features.id] = state
            return state

    def _follow(self, *, now: datetime, only: LiveState | None = None) -> None:
        """Bring states up to the ledger's end; each table is read once, and only if a delivery of it is new."""
        history = self._workspace.history(self._contract.product.name)
        tables: dict[str, pl.DataFrame] = {}

        def rows_of(source: str, batch: str) -> pl.DataFrame:
            if source not in tables:
                rows = read_table(self._workspace, self._contract.product.name, source, known_at=now)
                parts = rows.partition_by(BATCH, as_dict=True) if rows.height else {}
                tables.update({f"{source}/{name}": part for (name,), part in parts.items()})
                tables[source] = rows.clear()
            return tables.get(f"{source}/{batch}", tables[source])

        for state in (only,) if only is not None else self._states.values():
            state.follow(history, rows_of)

    def _apply(self, source: str, rows: pl.DataFrame) -> None:
        for state in self._states.values():
            state.apply(source, rows)

"""Deliveries through the door: good rows into the lake, bad ones into quarantine, nothing dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from geartrain.contract.scaffolding import NO_KEY
from geartrain.data.batches import Prepared, batch_id, prepare_batch
from geartrain.data.checks import Surroundings
from geartrain.data.door import Differing, differing_columns
from geartrain.data.known_keys import KnownKeys
from geartrain.data.quarantine import Repaired, repair_rows, still_open
from geartrain.data.reading import read_rows
from geartrain.domain.columns import texts_of
from geartrain.domain.contract import Contract, CsvTerms, FieldType, SourceTerms
from geartrain.domain.data import Batch
from geartrain.domain.digest import short
from geartrain.domain.events import BatchIngested, RowsRepaired
from geartrain.engine.referenced import with_files
from geartrain.engine.rows import frame_of, label_in, source_of, table_of
from geartrain.engine.workspace import MACHINE, Workspace
from geartrain.errors import SourceUnreadable
from geartrain.ports.lake import BATCH

QUARANTINE = "__quarantine"
#: Types of keys that read alike as text everywhere, so that the lake can be asked for a few of them.
_ALIKE = frozenset((FieldType.STRING, FieldType.TEXT, FieldType.INTEGER))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """What became of a delivery.

    Attributes:
        good: The rows that are in the lake now, with their clocks.
        reasons: Why rows went to quarantine, the most frequent reason first.
        known: Whether the same delivery had been taken before; then nothing was changed.
        differing: Columns that only the delivery or only the contract has; of a file.
    """

    batch: Batch
    good: pl.DataFrame
    reasons: tuple[tuple[str, int], ...] = ()
    known: bool = False
    differing: Differing = field(default_factory=Differing)


class Door:
    """Takes deliveries of one product; knows which keys came before, so that a doubled row is noticed."""

    def __init__(self, workspace: Workspace, contract: Contract) -> None:
        self._workspace = workspace
        self._contract = contract
        self._keys: dict[str, KnownKeys] = {}
        self._batches: dict[str, Batch] = {}
        self._read = 0

    def take_file(self, source: str, path: Path, *, now: datetime, csv: CsvTerms | None = None) -> Taken:
        """Take the rows of a file; files that its rows name by a relative path are looked for beside it.

        *csv* says how it is written where it leaves a doubt and the contract says nothing.

        Raises:
            SourceUnreadable: The file is empty, half-written, not what it claims, or may be read in several ways.
            ColumnMissing: A required column is in no row.
        """
        terms = self._terms(source)
        frame = read_rows(path, source=terms, csv=csv)
        frame, files = with_files(terms, frame, beside=path.parent)
        content = path.read_bytes()
        taken = self.take(source, frame, content=content, now=now, files=files)
        if taken.known:
            return taken
        # Told to whoever ingests a file; a server takes several deliveries a second and tells nobody.
        named = with_row_names(terms, frame, taken.batch.id)
        return replace(
            taken, differing=differing_columns(terms, named, label=label_in(self._contract, terms))
        )

    def take(
        self,
        source: str,
        frame: pl.DataFrame,
        *,
        content: bytes,
        now: datetime,
        files: Mapping[str, str | None] | None = None,
    ) -> Taken:
        """Take the rows of *frame*; *content* are the delivered bytes, which name the delivery.

        *files* has the digest of every file that the rows name and that was looked for.
        """
        product = self._contract.product.name
        terms = self._terms(source)
        name = batch_id(product, source, content)
        known = self._already(name)
        if known is not None:
            return Taken(batch=known, good=pl.DataFrame(), known=True)
        rows = with_row_names(terms, frame, name)
        prepared = prepare_batch(
            product,
            terms,
            rows,
            content=content,
            now=now,
            known=partial(self._held_of, terms, without=name),
            around=self._around(terms, files),
        )
        self._keep(terms, prepared, name)
        self._workspace.record_once(product, [BatchIngested(batch=prepared.batch)], now=now)
        if prepared.refused:
            raise SourceUnreadable(
                "the contract refuses a whole batch for one bad row, and this one has some",
                where=f"source {source}",
                found=", ".join(f"{reason} ({count})" for reason, count in prepared.reasons[:3]),
                hint="the rows are in quarantine; repair them and send the batch again",
            )
        return Taken(batch=prepared.batch, good=prepared.good, reasons=prepared.reasons)

    def _keep(self, terms: SourceTerms, prepared: Prepared, name: str) -> None:
        """Quarantine first: a kill in between leaves a batch that is taken again, whole, by its id."""
        table = table_of(self._contract.product.name, terms.name)
        lake = self._workspace.lake
        if prepared.bad.height:
            lake.append(table + QUARANTINE, prepared.bad.to_arrow(), batch=name)
        if prepared.good.height:
            lake.append(table, prepared.good.to_arrow(), batch=name)
            self.learn(terms.name, prepared.good)

    def learn(self, source: str, rows: pl.DataFrame) -> None:
        """Rows of *source* are in the lake, whoever took them in."""
        known = self._keys.get(source)
        if known is not None and rows.height:
            known.add(rows.get_column(self._terms(source).key))

    def _already(self, name: str) -> Batch | None:
        """The batch as it was recorded; None if the process died before it was, or nobody ever sent it."""
        history = self._workspace.history(self._contract.product.name)
        for recorded in history[self._read :]:
            if isinstance(recorded.event, BatchIngested):
                self._batches[recorded.event.batch.id] = recorded.event.batch
        self._read = len(history)
        return self._batches.get(name)

    def _around(self, terms: SourceTerms, files: Mapping[str, str | None] | None) -> Surroundings:
        """The values that other sources hold now, for the fields that refer to them."""
        references: dict[str, pl.Series] = {}
        for reference in sorted({one.refers_to for one in terms.fields if one.refers_to is not None}):
            source, _, column = reference.partition(".")
            table = table_of(self._contract.product.name, source)
            held = frame_of(self._workspace.lake.scan(table, columns=(column,)))
            references[reference] = (
                texts_of(held.get_column(column)) if held.width else pl.Series([], dtype=pl.String)
            )
        return Surroundings(references=references, files=files or {})

    def _held_of(self, terms: SourceTerms, keys: pl.Series, *, without: str = "") -> pl.Series:
        """Those of *keys* that the source's table holds; what it has of the batch *without* is about to be taken again."""
        known = self._keys.get(terms.name)
        if known is None:
            known = self._keys[terms.name] = KnownKeys()
            known.add(self._held_keys(terms))
        perhaps = known.perhaps(keys)
        if not len(perhaps):
            return perhaps
        kind = next((one.type for one in terms.fields if one.name == terms.key), FieldType.STRING)
        among = perhaps if kind in _ALIKE else None
        return self._held_keys(terms, among=among, without=without)

    def _held_keys(
        self, terms: SourceTerms, *, among: pl.Series | None = None, without: str = ""
    ) -> pl.Series:
        """The keys in the source's table as text, all of them or those *among* some."""
        table = table_of(self._contract.product.name, terms.name)
        asked = None if among is None else (terms.key, among.to_list())
        held = frame_of(self._workspace.lake.scan(table, columns=(terms.key, BATCH), among=asked))
        if not held.width:
            return pl.Series([], dtype=pl.String)
        return held.filter(pl.col(BATCH) != without).get_column(terms.key).cast(pl.String)

    def repair(
        self,
        source: str,
        repairs: Mapping[str, str],
        *,
        now: datetime,
        reason: str | None = None,
        actor: str = MACHINE,
    ) -> Repaired:
        """Mend open rows of the quarantine and send them through the door again.

        *reason* keeps to rows that are bad for it, *actor* is who did it. Good rows first, then the
        marks: a kill in between leaves rows that are mended again, into the same batch.

        Raises:
            ExpressionInvalid: A repair cannot be read.
        """
        product, lake = self._contract.product.name, self._workspace.lake
        table = table_of(product, source)
        done = self.try_repair(source, repairs, now=now, reason=reason)
        if done.batch.rows == 0:
            return done
        name = done.batch.id
        if done.good.height:
            lake.append(table, done.good.to_arrow(), batch=name)
        if done.marks.height:
            lake.append(table + QUARANTINE, done.marks.to_arrow(), batch=name)
        event = RowsRepaired(
            product=product,
            source=source,
            batch=name,
            repaired=done.marks.height,
            still_bad=done.batch.rows - done.marks.height,
        )
        self._workspace.record_once(product, [event], now=now, actor=actor)
        self._keys.pop(source, None)
        return done

    def try_repair(
        self, source: str, repairs: Mapping[str, str], *, now: datetime, reason: str | None = None
    ) -> Repaired:
        """What `repair` would do; nothing is changed.

        Raises:
            ExpressionInvalid: A repair cannot be read.
        """
        product, terms = self._contract.product.name, self._terms(source)
        quarantine = table_of(product, source) + QUARANTINE
        waiting = still_open(frame_of(self._workspace.lake.scan(quarantine)), reason=reason)
        if waiting.height == 0:
            batch = Batch(
                id="",
                product=product,
                source=source,
                rows=0,
                accepted=0,
                quarantined=0,
                duplicates=0,
                arrived_at=now,
            )
            return Repaired(batch=batch, good=pl.DataFrame(), marks=pl.DataFrame())
        return repair_rows(
            product,
            terms,
            waiting,
            repairs,
            now=now,
            known=partial(self._held_of, terms),
            around=self._around(terms, None),
        )

    def quarantined(self, source: str) -> pl.DataFrame:
        """The open rows of a source's quarantine, with their reasons."""
        table = table_of(self._contract.product.name, self._terms(source).name) + QUARANTINE
        return still_open(frame_of(self._workspace.lake.scan(table)))

    def _terms(self, source: str) -> SourceTerms:
        return source_of(self._contract, source)


def with_row_names(source: SourceTerms, frame: pl.DataFrame, batch: str) -> pl.DataFrame:
    """Name rows that nothing names: by their delivery and their place in it.

    Only where the contract's key is `row_id`, which a scaffold writes when no column
    names a row, and the delivery has no such column. The same file gives the same names;
    the same row in another file is another row, because nobody can tell.
    """
    if source.key != NO_KEY or NO_KEY in frame.columns:
        return frame
    place = pl.int_range(pl.len()).cast(pl.String)
    return frame.with_columns((pl.lit(f"{short(batch)}-") + place).alias(NO_KEY))

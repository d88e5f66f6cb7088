"""Erasure: everything that is kept about one person or thing, removed for good, and a record that says so.

What hangs on a row goes first (outcomes, labels, logged decisions, kept frames,
quarantine), the row that names the entity last: whatever was left by a kill is found
again from there, so the same command run again finishes the work. What is about to be removed is
counted once, before anything is, in a small plan that names nobody.
"""

from __future__ import annotations

import hmac
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import polars as pl

from geartrain.data.batches import ID
from geartrain.data.checks import out_of_nested
from geartrain.data.documents import read_documents
from geartrain.data.door import ROW
from geartrain.domain.columns import texts_of
from geartrain.domain.contract import Contract, DataTerms, SourceKind, SourceTerms
from geartrain.domain.events import RowsErased, SnapshotTaken
from geartrain.engine.bus_door import BUS, topic_of
from geartrain.engine.counting import FOLDER as COUNTS
from geartrain.engine.erasing_messages import Messages, Wanted, find_messages
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.logbook import DECISIONS, SHADOWS
from geartrain.engine.rows import OUTCOMES, data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import ProductUnknown, WorkspaceBusy
from geartrain.ports.bus import Bus
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME
from geartrain.serving.journal import LoggedDecision, damaged_segments, framed, left_behind, read_records

PLANS = "erasures"
#: A living server hands its log to the lake within about a second; so long is waited for it.
_PATIENCE_S = 5.0
_FRAME = b"ARROW1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure did.

    Attributes:
        rows: How many were removed, by where they lay.
        snapshots: Those that held them, which can no longer be rebuilt.
        known: Whether nothing was left to remove and an earlier erasure of the same entity is on record.
        beyond: What may still name it where nobody here can remove it, in words.
    """

    entity: str
    who: str
    rows: tuple[tuple[str, int], ...]
    snapshots: tuple[str, ...]
    known: bool = False
    beyond: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Rows over all places."""
        return sum(count for _, count in self.rows)


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the record will say."""

    rows: tuple[tuple[str, int], ...]
    snapshots: tuple[str, ...]
    erasure: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """Where one entity stands now.

    Attributes:
        places: By table, the column and the values that name its rows there, in the order of removal.
        counts: By place, how many rows.
        blobs: Kept frames of rows that hold it.
        messages: Where messages about it stand on the bus.
        known_from: The earliest arrival and its event time of every row, for the snapshots.
    """

    places: tuple[tuple[str, str, frozenset[str]], ...]
    counts: tuple[tuple[str, int], ...]
    blobs: tuple[str, ...]
    messages: Messages
    arrivals: tuple[tuple[datetime, datetime], ...]


def erase(
    workspace: Workspace,
    contract: Contract,
    *,
    entity: str,
    value: str,
    now: datetime,
    actor: str,
    forget: Callable[[str], object] = lambda _product: None,
    bus: Bus | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Erased:
    """Remove every row of the product in which the column *entity* has *value*, and all that hangs on it.

    *forget* removes what servers have saved of the product's online features, in files and in
    the store that they share; they make it anew from the lake, and living ones do so when they
    read the record. *bus* is where messages about it become tombstones. May be repeated: after a kill the same call finishes what was begun, and where nothing is
    left it says so and writes nothing down.

    Raises:
        ProductUnknown: No source has such a column.
        WorkspaceBusy: A server holds decisions about it that are not in the lake yet; try again.
        BusUnavailable: The bus does not answer; nothing was removed, or try again.
        OnlineUnavailable: The shared store does not; the same call finishes the work later.
    """
    product = contract.product.name
    columns = _columns(contract, entity)
    who = hmac.new(workspace.signing_key(), f"{product}|{entity}|{value}".encode(), sha256).hexdigest()
    held_by_servers = _empty_journal(workspace.root / "journal", product, entity, value, wait)
    plan_file = workspace.root / PLANS / f"{who}.json"
    found = _find(workspace, contract, columns, entity, value, bus)
    before = [
        one.event
        for one in workspace.history(product)
        if isinstance(one.event, RowsErased) and one.event.who == who
    ]
    resumed = plan_file.exists()
    plan = _plan(workspace, product, plan_file, found, erasure=len(before) + 1, journal=held_by_servers)
    beyond = (found.messages.beyond,) if found.messages.beyond else ()
    if plan is None:
        return Erased(entity=entity, who=who, rows=(), snapshots=(), known=bool(before), beyond=beyond)
    if bus is not None and found.messages.places:
        # Before the lake: what a consumer reads from here on brings nobody back.
        bus.blank(topic_of(product), found.messages.places)
    for digest in found.blobs:
        workspace.blobs.erase(digest)
    for table, column, values in found.places:
        workspace.lake.erase(table, column, values)
    if resumed:
        # A kill may have come between the removal of rows and that of the old files that held them.
        for table in workspace.lake.tables():
            if table.startswith(f"{product}/"):
                workspace.lake.erase(table, BATCH, ())
    for count in (workspace.root / COUNTS).glob(f"{product}.*"):
        count.unlink(missing_ok=True)
    event = RowsErased(
        product=product,
        entity=entity,
        who=who,
        rows=plan.rows,
        snapshots=plan.snapshots,
        erasure=plan.erasure,
    )
    workspace.record_once(product, [event], now=now, actor=actor)
    forget(product)
    plan_file.unlink(missing_ok=True)
    return Erased(entity=entity, who=who, rows=event.rows, snapshots=event.snapshots, beyond=beyond)


def lost_snapshots(workspace: Workspace, product: str) -> frozenset[str]:
    """The snapshots of *product* that can no longer be rebuilt, because rows of theirs were erased."""
    return frozenset(
        snapshot
        for recorded in workspace.history(product)
        if isinstance(recorded.event, RowsErased)
        for snapshot in recorded.event.snapshots
    )


def _columns(contract: Contract, entity: str) -> dict[str, str]:
    """For each source the column that names the entity: by its own name, or by what it refers to.

    Raises:
        ProductUnknown: No source has it.
    """
    sources = data_of(contract).sources
    found = {one.name: entity for one in sources if entity == one.key or one.field(entity) is not None}
    targets = {
        terms.refers_to
        for one in sources
        for terms in one.fields
        if terms.name == entity and terms.refers_to is not None
    }
    targets |= {f"{one.name}.{entity}" for one in sources if one.name in found and one.key == entity}
    for target in sorted(targets):
        source, _, column = target.partition(".")
        found.setdefault(source, column)
    for one in sources:
        for terms in one.fields:
            if terms.refers_to in targets:
                found.setdefault(one.name, terms.name)
    if not found:
        raise ProductUnknown(
            f"no source has a column `{entity}`",
            where="data.sources",
            found=", ".join(sorted({terms.name for one in sources for terms in one.fields})),
            hint="name the column that holds the person's or thing's name, such as customer=C123",
        )
    return found


def _find(
    workspace: Workspace,
    contract: Contract,
    columns: Mapping[str, str],
    entity: str,
    value: str,
    bus: Bus | None,
) -> _Found:
    """Every row about the entity, and what is to be removed in which order."""
    product, data = contract.product.name, data_of(contract)
    counts: dict[str, int] = {}
    arrivals: list[tuple[datetime, datetime]] = []
    own: dict[str, pl.DataFrame] = {}
    for source in data.sources:
        column = columns.get(source.name)
        if column is None:
            continue
        wanted = tuple(dict.fromkeys((column, source.key, EVENT_TIME, ARRIVAL_TIME)))
        held = frame_of(workspace.lake.scan(table_of(product, source.name), columns=wanted))
        own[source.name] = (
            held.filter(texts_of(held[column]) == value) if column in held.columns else held[:0]
        )
    decided = own.get(data.decisions.name, pl.DataFrame())
    keys = set(texts_of(decided[data.decisions.key]).to_list()) if decided.height else set()
    logged, more = _logged(workspace, product, entity, value, keys)
    keys |= more
    last: list[tuple[str, str, frozenset[str]]] = []
    for name, rows in own.items():
        if rows.height:
            last.append((table_of(product, name), columns[name], frozenset({value})))
            counts[name] = rows.height
            arrivals += rows.select(ARRIVAL_TIME, EVENT_TIME).iter_rows()
    first: list[tuple[str, str, frozenset[str]]] = []
    names = frozenset(key for key in keys if key is not None)
    hanging = [(OUTCOMES, "key")]
    hanging += [
        (one.name, one.decision_key or one.key)
        for one in data.sources
        if one.kind is SourceKind.LABELS and one.name not in columns
    ]
    for name, column in hanging:
        rows = _rows_with(workspace, table_of(product, name), column, names)
        if rows.height:
            first.append((table_of(product, name), column, names))
            counts[name] = rows.height
            arrivals += rows.select(ARRIVAL_TIME, EVENT_TIME).iter_rows()
    for name, ids in logged.items():
        if ids:
            first.append((table_of(product, name), "decision_id", ids))
            counts[name] = len(ids)
    meant = _meant(data, columns, value, names)
    for name, ids in _refused(workspace, product, data, meant):
        first.append((table_of(product, name) + QUARANTINE, ID, ids))
        counts[name + QUARANTINE] = len(ids)
    messages = find_messages(workspace, contract, bus, meant)
    if messages.quarantined:
        first.append((table_of(product, BUS) + QUARANTINE, BATCH, messages.quarantined))
        counts[BUS + QUARANTINE] = len(messages.quarantined)
    if messages.places:
        counts["messages"] = len(messages.places)
    blobs = tuple(_frames(workspace, set(columns.values()), value, data.decisions.key, names))
    if blobs:
        counts["kept frames"] = len(blobs)
    decisions = table_of(product, data.decisions.name)
    last.sort(key=lambda place: place[0] == decisions)
    return _Found(
        places=(*first, *last),
        counts=tuple(sorted(counts.items())),
        blobs=blobs,
        messages=messages,
        arrivals=tuple(arrivals),
    )


def _meant(data: DataTerms, columns: Mapping[str, str], value: str, keys: frozenset[str]) -> Wanted:
    """For each source the column that tells whose a row is: the entity's own, or its decisions' in labels."""
    own = {one.name: (columns[one.name], frozenset({value})) for one in data.sources if one.name in columns}
    labels = {
        one.name: (one.decision_key, keys)
        for one in data.sources
        if one.name not in columns and one.kind is SourceKind.LABELS and one.decision_key is not None and keys
    }
    return own | labels


def _refused(
    workspace: Workspace, product: str, data: DataTerms, meant: Wanted
) -> Iterator[tuple[str, frozenset[str]]]:
    """The rows of each source that wait in quarantine and are about the entity."""
    for source in data.sources:
        if source.name in meant:
            table = table_of(product, source.name) + QUARANTINE
            ids = _quarantined(workspace, table, source, *meant[source.name])
            if ids:
                yield source.name, ids


def _rows_with(workspace: Workspace, table: str, column: str, values: frozenset[str]) -> pl.DataFrame:
    if not values:
        return pl.DataFrame()
    held = frame_of(workspace.lake.scan(table, columns=(column, EVENT_TIME, ARRIVAL_TIME)))
    return held.filter(texts_of(held[column]).is_in(sorted(values))) if column in held.columns else held[:0]


def _logged(
    workspace: Workspace, product: str, entity: str, value: str, keys: set[str]
) -> tuple[dict[str, frozenset[str]], set[str]]:
    """Logged decisions about the entity by table, and the keys of their rows."""
    found: dict[str, frozenset[str]] = {}
    more: set[str] = set()
    for name in (DECISIONS, SHADOWS):
        held = frame_of(workspace.lake.scan(table_of(product, name), columns=("decision_id", "key", "row")))
        if not held.height:
            continue
        about = held["key"].is_in(sorted(keys))
        if "row" in held.columns:
            told = held["row"].map_elements(
                lambda row: _says(row, entity, value), return_dtype=pl.Boolean, skip_nulls=True
            )
            about |= told.fill_null(value=False)
        rows = held.filter(about)
        found[name] = frozenset(rows["decision_id"].to_list())
        more |= set(rows["key"].to_list())
    return found, more


def _says(row: str, entity: str, value: str) -> bool:
    """Whether a row that was sent names the entity; the text is looked at first, most rows do not hold it."""
    if json.dumps(value)[1:-1] not in row and value not in row:
        return False
    document = json.loads(row)
    return isinstance(document, dict) and str(document.get(entity)) == value


def _quarantined(
    workspace: Workspace, table: str, source: SourceTerms, column: str, values: frozenset[str]
) -> frozenset[str]:
    """The rows in quarantine that name the entity, or that cannot be read and hold its name somewhere."""
    held = frame_of(workspace.lake.scan(table, columns=(ID, ROW)))
    found: set[str] = set()
    for name, text in held.select(ID, ROW).iter_rows() if held.height else ():
        if not any(value in text or json.dumps(value)[1:-1] in text for value in values):
            continue
        row = read_documents([json.loads(text)])
        row = row.with_columns(out_of_nested(source.fields, row.schema))
        said = texts_of(row[column])[0] if column in row.columns else None
        if said in values or said is None:
            found.add(name)
    return frozenset(found)


def _frames(
    workspace: Workspace, columns: set[str], value: str, key: str, keys: frozenset[str]
) -> Iterator[str]:
    """Kept frames of rows, such as training sets, that hold the entity; a killed build would read them again."""
    for digest in workspace.blobs.digests():
        content = workspace.blobs.get(digest)
        if not content.startswith(_FRAME):
            continue
        frame = pl.read_ipc(io.BytesIO(content))
        named = [name for name in columns if name in frame.columns]
        about = any((texts_of(frame[name]) == value).any() for name in named)
        if about or (key in frame.columns and texts_of(frame[key]).is_in(sorted(keys)).any()):
            yield digest
            yield from _beside(workspace.root, digest)


def _beside(root: Path, digest: str) -> Iterator[str]:
    """The features that a run computed from the rows named *digest*."""
    for file in sorted((root / "runs").glob("*.json")):
        waiting: list[object] = [json.loads(file.read_text(encoding="utf-8"))]
        while waiting:
            match waiting.pop():
                case {"raw": raw, "values": str(values)} if raw == digest:
                    yield values
                case dict() as inner:
                    waiting += inner.values()
                case list() as inner:
                    waiting += inner


def _plan(
    workspace: Workspace, product: str, file: Path, found: _Found, *, erasure: int, journal: int
) -> _Plan | None:
    """What the record will say: as it was counted before anything was removed, also if that was before a kill."""
    if file.exists():
        return msgspec.json.decode(file.read_bytes(), type=_Plan)
    if not found.counts and not journal:
        return None
    lost = [
        one.event.id
        for one in workspace.history(product)
        if isinstance(one.event, SnapshotTaken)
        and any(
            arrived <= one.event.snapshot.known_at
            and (one.event.snapshot.since is None or happened >= one.event.snapshot.since)
            for arrived, happened in found.arrivals
        )
    ]
    rows = (*found.counts, *((("journal", journal),) if journal else ()))
    plan = _Plan(rows=rows, snapshots=tuple(dict.fromkeys(lost)), erasure=erasure)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(plan))
    partial.replace(file)
    return plan


def _empty_journal(folder: Path, product: str, entity: str, value: str, wait: Callable[[float], None]) -> int:
    """Take the entity out of what servers left behind; what a living one holds is waited for.

    Raises:
        WorkspaceBusy: A living server still holds decisions about it.
    """
    removed = 0
    for path in damaged_segments(folder):
        path.unlink()  # what could be read of it is in the lake, and the rest may be about anybody
    for path in left_behind(folder) if folder.is_dir() else ():
        records = read_records(path)
        kept = tuple(
            one for one in records if one.decision.product != product or str(one.sent().get(entity)) != value
        )
        if len(kept) < len(records):
            removed += len(records) - len(kept)
            partial = path.with_suffix(".partial")
            partial.write_bytes(framed(kept))
            partial.replace(path)
    for _ in range(int(_PATIENCE_S / 0.5)):
        if not _is_held(folder, product, entity, value):
            return removed
        wait(0.5)
    raise WorkspaceBusy(
        "a server holds decisions about this that it has not handed to the lake yet",
        where=str(folder),
        hint="run the same command again in a moment; what was erased so far stays erased",
    )


def _is_held(folder: Path, product: str, entity: str, value: str) -> bool:
    return any(
        one.decision.product == product and str(one.sent().get(entity)) == value
        for path in (sorted(folder.glob("*.journal")) if folder.is_dir() else ())
        for one in _records_of(path)
    )


def _records_of(path: Path) -> tuple[LoggedDecision, ...]:
    try:
        return read_records(path)
    except FileNotFoundError:
        return ()  # it has just been delivered

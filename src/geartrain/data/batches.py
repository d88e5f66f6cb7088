"""A delivery becomes a batch: an id, two clocks on every row, duplicates counted.

Nothing here writes. The engine appends `good` to the source's table, `bad` to its
quarantine and the `Batch` to the ledger; each may be repeated after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from geartrain.data.checks import Surroundings
from geartrain.data.coercing import timestamp
from geartrain.data.documents import flat
from geartrain.data.door import REASONS, ROW, Checked, check_rows, rows_as_text
from geartrain.data.storable import json_text
from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME
from geartrain.domain.contract import BadRow, SourceKind, SourceTerms
from geartrain.domain.data import Batch
from geartrain.domain.digest import digest, digest_bytes

BATCH = "_batch"
#: A quarantined row's own name: its batch and its place among the batch's bad rows.
ID = "_id"
STATE = "_state"
OPEN, REPAIRED = "open", "repaired"

#: Those of some keys, told as text, that a source's table holds.
Known = Callable[[pl.Series], pl.Series]

_UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A batch, ready to be appended.

    Attributes:
        good: Rows for the source's table, with both clocks and the batch's id.
        bad: Rows for its quarantine: `_id`, `_row`, `_reasons`, `_state` and the clocks.
        reasons: How often each reason was given.
        refused: Whether the contract refuses a whole batch for a bad row; then every row is in `bad`.
    """

    batch: Batch
    good: pl.DataFrame
    bad: pl.DataFrame
    reasons: tuple[tuple[str, int], ...] = ()
    refused: bool = False


def batch_id(product: str, source: str, content: bytes) -> str:
    """The name of a delivery: the same bytes for the same source are the same batch."""
    return digest((product, source, digest_bytes(content)))


def prepare_batch(
    product: str,
    source: SourceTerms,
    frame: pl.DataFrame,
    *,
    content: bytes,
    now: datetime,
    known: Known | None = None,
    around: Surroundings | None = None,
) -> Prepared:
    """Check the rows of one delivery and get them ready for the lake.

    *content* are the delivered bytes, which name the batch; *now* is when it arrived, for
    rows that do not tell their own arrival. *known* tells which keys the source's table
    holds already; without it none. Labels do not ask: a label that comes again is a correction, and the
    last one counts. *around* holds what other sources and files say.

    Raises:
        ColumnMissing: A column that the contract requires is in no row.
        SourceUnreadable: The delivery uses a name that geartrain keeps for itself.
    """
    checked = check_rows(source, frame, now=now, around=around)
    return batch_of(
        product, source, checked, frame, id=batch_id(product, source.name, content), now=now, known=known
    )


def batch_of(
    product: str,
    source: SourceTerms,
    checked: Checked,
    frame: pl.DataFrame,
    *,
    id: str,  # noqa: A002 - the noun's word
    now: datetime,
    known: Known | None = None,
    resent: bool = False,
) -> Prepared:
    """The batch *id* of rows that passed the door before; *resent* rows arrived now, whatever they say."""
    refused = source.on_bad_row is BadRow.REFUSE_BATCH and checked.bad.height > 0 and not resent
    bad = _all_refused(frame, checked) if refused else checked.bad
    good = checked.good.clear() if refused else checked.good
    fresh = _without_duplicates(source, good, known)
    batch = Batch(
        id=id,
        product=product,
        source=source.name,
        rows=checked.rows,
        accepted=fresh.height,
        quarantined=bad.height,
        duplicates=good.height - fresh.height,
        arrived_at=now,
    )
    return Prepared(
        batch=batch,
        good=_clocked(source, fresh, name=id, now=now, resent=resent),
        bad=_quarantined(bad, name=id, now=now),
        reasons=checked.reasons,
        refused=refused,
    )


def _without_duplicates(source: SourceTerms, good: pl.DataFrame, known: Known | None) -> pl.DataFrame:
    if good.height == 0:
        return good
    if source.kind is SourceKind.LABELS:
        return good.unique(maintain_order=True)
    keys = good[source.key].cast(pl.String)
    held = keys.clear() if known is None else known(keys)
    return good.filter(~keys.is_in(held.implode()) & keys.is_first_distinct())


def _clocked(
    source: SourceTerms, good: pl.DataFrame, *, name: str, now: datetime, resent: bool
) -> pl.DataFrame:
    if good.height == 0:
        return good
    arrived = pl.lit(now, dtype=_UTC)
    if source.arrival_time is not None and not resent:
        arrived = timestamp(source.arrival_time, good.schema[source.arrival_time])
    happened = arrived
    if source.event_time is not None:
        happened = timestamp(source.event_time, good.schema[source.event_time])
    return good.select(
        happened.alias(EVENT_TIME), arrived.alias(ARRIVAL_TIME), pl.lit(name).alias(BATCH), pl.all()
    )


def _quarantined(bad: pl.DataFrame, *, name: str, now: datetime) -> pl.DataFrame:
    """The clocks of a bad row are when it came: what it says of itself cannot be believed."""
    arrived = pl.lit(now, dtype=_UTC)
    place = pl.int_range(pl.len()).cast(pl.String).str.zfill(8)
    return bad.select(
        arrived.alias(EVENT_TIME),
        arrived.alias(ARRIVAL_TIME),
        pl.lit(name).alias(BATCH),
        (pl.lit(f"{name}:") + place).alias(ID),
        pl.lit(OPEN).alias(STATE),
        ROW,
        REASONS,
    )


def _all_refused(frame: pl.DataFrame, checked: Checked) -> pl.DataFrame:
    """Every row of a refused batch, those that are bad themselves with their own reasons."""
    own: dict[str, list[str]] = {}
    for row, reasons in checked.bad.select(ROW, REASONS).iter_rows():
        own.setdefault(row, []).append(reasons)
    texts = rows_as_text(flat(frame))
    reason = json_text(["batch: refused because of other rows"])
    return pl.DataFrame(
        {ROW: texts, REASONS: [own[text].pop(0) if own.get(text) else reason for text in texts]}
    )

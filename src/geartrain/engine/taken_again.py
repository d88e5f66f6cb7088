"""Logged decisions taken again: what the offline kernel is asked, and what else it may be asked.

A decision's row is the one that stands in the lake, since training learns from that; a
row that only ever came in a request is the one that was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.data.coercing import coerced
from geartrain.data.documents import column_of
from geartrain.data.snapshots import as_known
from geartrain.domain.columns import microseconds, microseconds_of, texts_of
from geartrain.domain.contract import Contract, SourceTerms
from geartrain.domain.events import BatchIngested
from geartrain.domain.features import Encoding, FeatureType, LookupFeature, WindowFeature
from geartrain.engine.decided import KEY, features_of
from geartrain.engine.hosting import steps_of, value_at
from geartrain.engine.rows import data_of, keys_of, read_table
from geartrain.engine.workspace import Workspace
from geartrain.features.consistency import Cause, Guess
from geartrain.features.encoding import decode, encode
from geartrain.features.offline import point_in_time
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME

_KNOWN = "_known_time"
_SENT = "row"
#: By how much a server may lag behind the lake; what it follows by is half a second.
_BEHIND = {
    "1 ms": 1_000, "10 ms": 10_000, "0.1 s": 100_000, "1 s": 1_000_000, "10 s": 10_000_000,
    "1 min": 60_000_000, "10 min": 600_000_000,
}  # fmt: skip

Instants = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Decisions to be taken again, with all that the kernel may be asked from.

    Attributes:
        rows: The decision rows as the lake holds them, with the decision's clocks.
        sent: The rows as they were sent, where the log has them.
        saw: Which rows were logged as the model saw them, in float32.
        served: The logged feature values.
        sources: The rows of every source that features read.
        promised_us: How long each source may be silent, where the contract says.
    """

    encoding: Encoding
    keys: Mapping[str, str]
    rows: pl.DataFrame
    sent: pl.DataFrame
    saw: NDArray[np.bool_]
    served: pl.DataFrame
    sources: Mapping[str, pl.DataFrame]
    taken_us: Mapping[str, Instants]
    promised_us: Mapping[str, int]
    left_out: tuple[tuple[str, int], ...]

    @classmethod
    def of(
        cls, workspace: Workspace, contract: Contract, encoding: Encoding, log: pl.DataFrame, *, now: datetime
    ) -> Asked:
        """The decisions of *log* beside the lake as known at *now*."""
        product, data = contract.product.name, data_of(contract)
        names = [one.name for one in encoding.feature_set.features]
        read = dict.fromkeys(
            one.source
            for one in encoding.feature_set.features
            if isinstance(one, WindowFeature | LookupFeature)
        )
        sources = {name: read_table(workspace, product, name, known_at=now) for name in read}
        taken = {
            one.event.batch.id: microseconds(one.event.batch.arrived_at)
            for one in workspace.history(product)
            if isinstance(one.event, BatchIngested)
        }
        promised = {
            name: int(clause.bound * 1_000_000)
            for name in read
            if (clause := contract.clause(f"data.{name}.freshness")) is not None
        }
        held = as_known(
            read_table(workspace, product, data.decisions.name, known_at=now), data.decisions, known_at=now
        )
        log, rows, sent, left_out = _again(log, held, data.decisions, names)
        served = features_of(log)
        return cls(
            encoding=encoding,
            keys=keys_of(contract),
            rows=rows,
            sent=sent,
            saw=_was_sent(log).to_numpy(),
            served=served.select(name for name in names if name in served.columns)
            if served.height
            else _nothing(encoding),
            sources=sources,
            taken_us={name: _taken_us(frame, taken) for name, frame in sources.items()},
            promised_us=promised,
            left_out=left_out,
        )

    def take(self, places: NDArray[np.int64]) -> Asked:
        """The decisions at *places*."""
        return replace(
            self,
            rows=self.rows[places],
            sent=self.sent[places] if self.sent.height else self.sent,
            saw=self.saw[places],
            served=self.served[places],
        )

    def say(
        self, rows: pl.DataFrame, sources: Mapping[str, pl.DataFrame], *, earlier_us: int = 0
    ) -> pl.DataFrame:
        """What the kernel says, in the precision in which it was logged."""
        known = pl.col(_KNOWN).dt.offset_by(f"-{earlier_us}us")
        values = point_in_time(
            self.encoding.feature_set,
            rows.with_columns(known),
            sources,
            keys=self.keys,
            known_at=_KNOWN,
        )
        if not self.saw.any():
            return values
        narrow = decode(self.encoding, encode(self.encoding, values))
        if self.saw.all():
            return narrow
        mask = pl.Series(self.saw)
        return pl.DataFrame([narrow[name].zip_with(mask, values[name]) for name in values.columns])

    def guesses(self) -> Iterator[Guess]:
        """What else the kernel may be asked, the plainest cause first."""
        sent_otherwise = self.sent.height > 0
        if sent_otherwise:
            yield Guess(cause=Cause.SENT_OTHERWISE, values=self.say(self.sent, self.sources))
        late = {name: self._as_taken(name) for name in self.sources if self._late(name).any()}
        for name, frame in late.items():
            values = self.say(self.rows, {**self.sources, name: frame})
            silent = self._silent(name)
            yield Guess(cause=Cause.MISSING_FEED, source=name, values=values, rows=silent)
            yield Guess(cause=Cause.LATE, source=name, values=values, rows=~silent)
        seen = {**self.sources, **late}
        both = ", ".join(late)
        if len(late) > 1:
            yield Guess(cause=Cause.LATE, source=both, values=self.say(self.rows, seen))
        if sent_otherwise and late:
            detail = "and events were late"
            yield Guess(cause=Cause.SENT_OTHERWISE, detail=detail, values=self.say(self.sent, seen))
        yield from self._again(seen)
        for detail, earlier_us in _BEHIND.items():
            for rows in (self.rows, self.sent) if sent_otherwise else (self.rows,):
                values = self.say(rows, seen, earlier_us=earlier_us)
                yield Guess(cause=Cause.BEHIND, detail=f"by up to {detail}", values=values)

    def _again(self, seen: Mapping[str, pl.DataFrame]) -> Iterator[Guess]:
        """Deliveries of one id: each counted, or only the first."""
        for name, frame in seen.items():
            key = self.keys[name]
            if key not in frame.columns or not frame[key].is_duplicated().any():
                continue
            each = frame.with_columns(
                (texts_of(frame[key]) + "#" + pl.Series(range(frame.height)).cast(pl.String)).alias(key)
            )
            yield Guess(cause=Cause.DUPLICATE, source=name, values=self.say(self.rows, {**seen, name: each}))
            first = frame.sort(ARRIVAL_TIME, maintain_order=True).unique(key, keep="first")
            yield Guess(cause=Cause.CORRECTED, source=name, values=self.say(self.rows, {**seen, name: first}))

    def _late(self, name: str) -> NDArray[np.bool_]:
        """Which rows were taken in later than they say that they had arrived."""
        frame = self.sources[name]
        if not frame.height:
            return np.zeros(0, dtype=np.bool_)
        return self.taken_us[name] > microseconds_of(frame[ARRIVAL_TIME]).to_numpy()

    def _as_taken(self, name: str) -> pl.DataFrame:
        """The source's rows, each arrived when it was taken in and not before."""
        frame = self.sources[name]
        own = microseconds_of(frame[ARRIVAL_TIME]).to_numpy()
        moved = pl.Series(np.maximum(own, self.taken_us[name])).cast(pl.Datetime("us", "UTC"))
        return frame.with_columns(moved.alias(ARRIVAL_TIME))

    def _silent(self, name: str) -> NDArray[np.bool_]:
        """For each decision whether the feed had stopped: longer than promised, or since the first row it lacks."""
        at = microseconds_of(self.rows[_KNOWN]).to_numpy()
        own = microseconds_of(self.sources[name][ARRIVAL_TIME]).to_numpy()
        taken = np.maximum(own, self.taken_us[name])
        order = np.argsort(taken, kind="stable")
        came = taken[order]
        place = np.searchsorted(came, at, side="right")
        never = np.iinfo(np.int64).min
        last = np.where(place > 0, came[np.maximum(place - 1, 0)], never)
        if name in self.promised_us:
            return np.asarray((last == never) | (at - last > self.promised_us[name]))
        ends = np.append(np.minimum.accumulate(own[order][::-1])[::-1], np.iinfo(np.int64).max)
        return np.asarray(ends[place] > last)


def _nothing(encoding: Encoding) -> pl.DataFrame:
    """The features of no decision: a log that nobody has written to yet has no columns of its own."""
    kinds = {FeatureType.NUMBER: pl.Float64}
    return pl.DataFrame(
        schema={one.name: kinds.get(one.type, pl.String) for one in encoding.feature_set.features}
    )


def _again(
    log: pl.DataFrame, held: pl.DataFrame, source: SourceTerms, names: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, tuple[tuple[str, int], ...]]:
    """The decisions that can be taken again: their log, their rows in the lake, as sent, and what is left out."""
    left_out: list[tuple[str, int]] = []

    def without(log: pl.DataFrame, bad: pl.Series, why: str) -> pl.DataFrame:
        count = int(bad.sum())
        if count:
            left_out.append((why, count))
        return log.filter(~bad) if count else log

    served = features_of(log) if log.height else pl.DataFrame()
    if log.height and not set(names) <= set(served.columns):
        log = without(log, pl.Series([True] * log.height), "logged without features")
    if log.height:
        # Where the model or its features failed the fallback answered, and nothing was read.
        nothing = served.select(pl.all_horizontal(pl.col(name).is_null() for name in names)).to_series()
        log = without(log, nothing & log["fallback"], "answered by the fallback, without features")
    keyed = held.with_columns(texts_of(held.get_column(source.key)).alias(KEY)).with_row_index("_place")
    log = log.with_columns(pl.col(KEY).cast(pl.String)) if log.height else log
    if log.height:
        places = log.select(KEY).join(keyed.select(KEY, "_place"), on=KEY, how="left", maintain_order="left")
        lacking = places["_place"].is_null()
        log = without(log.with_columns(places["_place"]), lacking & ~_was_sent(log), "no row in the lake")
    if not log.height:
        return log.clear(), _clocked(held.clear(), log.clear()), pl.DataFrame(), tuple(left_out)
    sent = _sent(log, source) if _was_sent(log).any() else pl.DataFrame()
    kept = log["_place"].is_not_null()
    rows = _clocked(held[log["_place"].drop_nulls()], log.filter(kept))
    rows = _together(rows, _clocked(sent.filter(~kept), log.filter(~kept)) if sent.height else rows[:0], kept)
    if sent.height:
        # A row of a log that does not say how it was sent was sent as it stands in the lake.
        was = _was_sent(log)
        sent = _together(_clocked(sent, log).filter(was), rows.filter(~was), was)
    return log.drop("_place"), rows, sent, tuple(left_out)


def _together(here: pl.DataFrame, there: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """The rows of *here* where *mask* is true and those of *there* elsewhere, in the mask's order."""
    if not there.height:
        return here
    order = np.argsort(np.concatenate([mask.arg_true(), (~mask).arg_true()]), kind="stable")
    return pl.concat([here, there], how="diagonal_relaxed")[order]


def _clocked(rows: pl.DataFrame, log: pl.DataFrame) -> pl.DataFrame:
    """Decision rows with the clocks of their decisions: what is asked about, and what was known by then."""
    clock = pl.Datetime("us", "UTC")
    if not log.height:
        return rows.with_columns(
            pl.lit(None, dtype=clock).alias(_KNOWN), pl.lit(None, dtype=pl.String).alias(KEY)
        )
    return rows.with_columns(
        log[EVENT_TIME],
        log[ARRIVAL_TIME],
        log[KEY],
        log.select(pl.min_horizontal(EVENT_TIME, ARRIVAL_TIME).alias(_KNOWN)).to_series(),
    )


def _was_sent(log: pl.DataFrame) -> pl.Series:
    """Which rows of the log say how the row was sent."""
    if _SENT not in log.columns:
        return pl.Series([False] * log.height, dtype=pl.Boolean)
    return log[_SENT].is_not_null()


def _sent(log: pl.DataFrame, source: SourceTerms) -> pl.DataFrame:
    """The rows as they were sent, in the types that the contract gives them."""
    told = [json.loads(text) if text else {} for text in log[_SENT].to_list()]
    declared = {one.name: [value_at(row, steps_of(one)) for row in told] for one in source.fields}
    besides = dict.fromkeys(name for row in told for name in row if name not in declared)
    columns = {**declared, **{name: [row.get(name) for row in told] for name in besides}}
    frame = pl.DataFrame([column_of(name, values) for name, values in columns.items()])
    return frame.with_columns(
        coerced(one.name, frame.schema[one.name], one.type).alias(one.name) for one in source.fields
    )


def _taken_us(frame: pl.DataFrame, taken: Mapping[str, int]) -> Instants:
    """When each row was really taken in; its own arrival where nobody noted it."""
    if not frame.height:
        return np.zeros(0, dtype=np.int64)
    own = microseconds_of(frame[ARRIVAL_TIME])
    if BATCH not in frame.columns or not taken:
        return own.to_numpy()
    noted_us = frame[BATCH].replace_strict(taken, default=None, return_dtype=pl.Int64)
    return noted_us.fill_null(own).to_numpy()

"""A replay's world: what was delivered when, who asked for decisions when, and what was true.

The world knows the future; the product under replay does not. What the product gets is
handed out day by day: deliveries by their arrival, requests by their event time, and
labels only when they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.data.coercing import timestamp
from geartrain.data.door import check_rows
from geartrain.data.reading import read_rows
from geartrain.domain.columns import microseconds, microseconds_of, texts_of
from geartrain.domain.contract import Contract, SourceTerms
from geartrain.domain.prediction import Floats
from geartrain.engine.rows import data_of
from geartrain.errors import SnapshotEmpty, SourceUnreadable
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME

KEY = "_key"
TRUTH = "_truth"

_UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """Rows of one source as they arrived in one span of time, untouched."""

    source: str
    rows: pl.DataFrame

    @property
    def content(self) -> bytes:
        """The bytes that name the delivery."""
        sink = BytesIO()
        self.rows.write_ndjson(sink)
        return sink.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long a simulated server takes: a lognormal time, and longer by a factor from some moment on.

    Attributes:
        typical_ms: The median while nothing is wrong.
        spread: The standard deviation of the logarithm.
        slower: By what it is multiplied from *since* on.
    """

    typical_ms: float
    spread: float = 0.35
    slower: float = 1.0
    since: datetime | None = None
    seed: int = 0

    def of(self, at_us: NDArray[np.int64]) -> Floats:
        """The latencies of answers that were asked for at these times, shape (n,)."""
        chance = np.random.default_rng((self.seed, int(at_us[0]) if len(at_us) else 0))
        times: Floats = self.typical_ms * np.exp(self.spread * chance.normal(size=len(at_us)))
        if self.since is not None:
            times[at_us >= microseconds(self.since)] *= self.slower
        return times


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """History, ready to be lived through again.

    Attributes:
        deliveries: For each source its raw rows with `_arrival_time`, in order of arrival.
        requests: The rows to decide about with both clocks and `_key`, in order of event time.
        truth: `_key`, `_truth` (text, or a number for regression) and `_arrival_time`: the last word.
        label_in_row: Whether the decision rows carry the label; it is then held back until it is due.
        latency: How long answers take in this world; None where nobody says. It is simulated: a
            replay's own answers are made on a virtual clock.
    """

    contract: Contract
    deliveries: Mapping[str, pl.DataFrame]
    requests: pl.DataFrame
    truth: pl.DataFrame
    label_in_row: bool
    latency: Latency | None = None

    @property
    def begins(self) -> datetime:
        """The first midnight of history."""
        first = min(rows[ARRIVAL_TIME][0] for rows in self.deliveries.values() if rows.height)
        return _midnight(first)

    @property
    def ends(self) -> datetime:
        """The first midnight after the last request."""
        last: datetime = self.requests[EVENT_TIME][-1]
        return _midnight(last) + timedelta(days=1)

    def delivered(self, since: datetime, until: datetime) -> Iterator[Delivery]:
        """What arrived in [*since*, *until*)."""
        for source, rows in self.deliveries.items():
            part = rows.filter(pl.col(ARRIVAL_TIME) >= since, pl.col(ARRIVAL_TIME) < until)
            if part.height:
                yield Delivery(source=source, rows=part.drop(ARRIVAL_TIME))

    def asked(self, since: datetime, until: datetime) -> pl.DataFrame:
        """The requests of [*since*, *until*)."""
        return self.requests.filter(pl.col(EVENT_TIME) >= since, pl.col(EVENT_TIME) < until)

    def told(self, since: datetime, until: datetime) -> pl.DataFrame:
        """The labels that arrived in [*since*, *until*)."""
        return self.truth.filter(pl.col(ARRIVAL_TIME) >= since, pl.col(ARRIVAL_TIME) < until)

    def latencies(self, requests: pl.DataFrame) -> Floats | None:
        """How long the answers to *requests* took in milliseconds, shape (rows,); None where nobody says."""
        if self.latency is None or requests.height == 0:
            return None
        return self.latency.of(microseconds_of(requests[EVENT_TIME]).to_numpy().astype(np.int64))


def read_world(
    contract: Contract,
    files: Mapping[str, Path],
    *,
    altered: Callable[[Mapping[str, pl.DataFrame]], Mapping[str, pl.DataFrame]] | None = None,
) -> World:
    """Read the files of history, one for each source; *altered* may change its raw rows first.

    Raises:
        SourceUnreadable: A file cannot be read, or the decision source has none.
    """
    data = data_of(contract)
    source = data.decisions
    if source.name not in files:
        raise SourceUnreadable(
            f"a replay needs the rows of `{source.name}`, which are decided about",
            found=", ".join(sorted(files)) or "no files",
            hint=f"--source {source.name}=FILE",
        )
    frames = {name: read_rows(path) for name, path in files.items()}
    if altered is not None:
        frames = dict(altered(frames))
    typed = {name: _typed(terms, frames[name]) for name in frames if (terms := data.source(name)) is not None}
    requests = _requests(source, typed[source.name])
    label_in_row = data.labels is None
    truth = (
        _truth_in_rows(contract, requests)
        if data.labels is None
        else _truth_of_labels(contract, data.labels, typed[data.labels.name])
    )
    if label_in_row:
        requests = requests.drop(contract.decision.label)
        frames[source.name] = frames[source.name].drop(contract.decision.label)
    return World(
        contract=contract,
        deliveries={name: _arriving(terms, frames[name]) for name in typed if (terms := data.source(name))},
        requests=requests,
        truth=truth,
        label_in_row=label_in_row,
    )


def _typed(source: SourceTerms, frame: pl.DataFrame) -> pl.DataFrame:
    """The good rows of a whole file with their clocks; only the world sees them all at once."""
    good = check_rows(source, frame, now=datetime(2100, 1, 1, tzinfo=UTC)).good
    if source.event_time is None:
        raise SourceUnreadable(
            f"a replay needs to know when the rows of `{source.name}` happened",
            where=f"data.sources.{source.name}",
            hint="name the column: `event_time: ...`",
        )
    happened = timestamp(source.event_time, good.schema[source.event_time])
    arrived = (
        timestamp(source.arrival_time, good.schema[source.arrival_time]) if source.arrival_time else happened
    )
    return good.with_columns(happened.alias(EVENT_TIME), arrived.alias(ARRIVAL_TIME))


def _requests(source: SourceTerms, typed: pl.DataFrame) -> pl.DataFrame:
    if typed.height == 0:
        raise SnapshotEmpty(
            "no row of the history passes the door", where=source.name, hint="`geartrain ingest` tells why"
        )
    return (
        typed.with_columns(texts_of(typed.get_column(source.key)).alias(KEY))
        .unique(KEY, keep="first", maintain_order=True)
        .sort(EVENT_TIME, KEY)
    )


def _truth_in_rows(contract: Contract, requests: pl.DataFrame) -> pl.DataFrame:
    label = requests.get_column(contract.decision.label)
    truth = label if not contract.decision.task.has_classes else texts_of(label)
    delay = timedelta(seconds=contract.decision.label_delay_s)
    return (
        requests.select(KEY, truth.alias(TRUTH), (pl.col(EVENT_TIME) + delay).alias(ARRIVAL_TIME))
        .filter(pl.col(TRUTH).is_not_null())
        .sort(ARRIVAL_TIME)
    )


def _truth_of_labels(contract: Contract, labels: SourceTerms, typed: pl.DataFrame) -> pl.DataFrame:
    label = typed.get_column(contract.decision.label)
    truth = label if not contract.decision.task.has_classes else texts_of(label)
    key = texts_of(typed.get_column(labels.decision_key or labels.key))
    return (
        typed.select(key.alias(KEY), truth.alias(TRUTH), ARRIVAL_TIME)
        .filter(pl.col(TRUTH).is_not_null())
        .sort(ARRIVAL_TIME)
        .unique(KEY, keep="last", maintain_order=True)
    )


def _arriving(source: SourceTerms, frame: pl.DataFrame) -> pl.DataFrame:
    """Raw rows in order of arrival; a row whose arrival cannot be read came with the one before it."""
    column = source.arrival_time or source.event_time
    assert column is not None
    arrived = frame.select(timestamp(column, frame.schema[column])).to_series()
    filled = arrived.fill_null(strategy="forward").fill_null(strategy="backward").cast(_UTC)
    kind = frame.with_columns(filled.alias(ARRIVAL_TIME))
    return kind.sort(ARRIVAL_TIME, maintain_order=True)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

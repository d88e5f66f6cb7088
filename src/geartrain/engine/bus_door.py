"""Events of a product by the bus: through the same door as everything else, so into the lake and the features.

The topic is `<product>.events`. A message is JSON: `{"source": "transactions", "row": {...}}`,
the row as `POST /events` takes it. What cannot be read goes to the lake's quarantine
table of the bus, with partition, offset and reason; a bad row goes to its source's
quarantine, as always.

The offset is saved when the rows are in the lake. A kill in between brings some messages
again: the same delivery is recognised by its bytes, a row of another cut by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa

from geartrain.data.repeated import repeated_key
from geartrain.engine.consuming import Consumer, Pace, Refused
from geartrain.engine.ingesting import QUARANTINE
from geartrain.engine.rows import table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.bus import Bus, Message
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.ports.online_store import Arrived, Snapshots, Stored

#: The lake's table of messages that are no events.
BUS = "bus"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Takes rows of a source through the door.
Take = Callable[[str, Sequence[Mapping[str, object]]], object]


class _Sent(msgspec.Struct):
    source: str
    row: dict[str, Any]


_DECODER = msgspec.json.Decoder(_Sent)


def topic_of(product: str) -> str:
    """The topic of a product's events."""
    return f"{product}.events"


def consumer_of(
    bus: Bus,
    workspace: Workspace,
    product: str,
    *,
    take: Take,
    offsets: Snapshots,
    tell: Callable[[str], None],
) -> Consumer:
    """The consumer that brings a product's events through its door."""
    topic = topic_of(product)

    def refuse(messages: Sequence[Refused]) -> None:
        keep_refused(workspace, product, topic, messages)

    return Consumer(
        bus, DoorStore(take, offsets, topic=topic), topic=topic, group=f"geartrain.{product}",
        refuse=refuse, tell=tell, decode=decode_row, pace=Pace(most=2000),
    )  # fmt: skip


def decode_row(message: Message) -> Arrived | str:
    """The row of a message; its clocks are read at the door, by the contract. A text says why it is none."""
    try:
        sent = _DECODER.decode(message.value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"no event: {error}"
    twice = repeated_key(message.value, {"source": sent.source, "row": sent.row})
    if twice is not None:
        return f"a key stands twice in the message, and nobody knows which value was meant: {twice}"
    return Arrived(
        source=sent.source,
        event_time_us=message.at_us,
        arrival_time_us=message.at_us,
        row=sent.row,
        offset=message.offset,
    )


class DoorStore:
    """What a consumer takes for a store: rows go through the door, and only the offset is kept here."""

    def __init__(self, take: Take, offsets: Snapshots, *, topic: str) -> None:
        self._take, self._offsets, self._topic = take, offsets, topic
        self._at: dict[int, int] = {}

    def open(self, partition: int) -> int:
        """The offset that was saved last."""
        stored = self._offsets.load(self._name(partition))
        self._at[partition] = 0 if stored is None else stored.offset
        return self._at[partition]

    def apply(self, partition: int, *, begin: int, end: int, events: Sequence[Arrived]) -> bool:
        """Take the rows, source by source, then save the offset."""
        if self._at.get(partition) != begin:
            return False
        by_source: dict[str, list[Mapping[str, object]]] = {}
        for event in events:
            by_source.setdefault(event.source, []).append(event.row)
        for source, rows in by_source.items():
            self._take(source, rows)
        self._offsets.save(self._name(partition), Stored(offset=end, content=b""))
        self._at[partition] = end
        return True

    def commit(self, partition: int) -> None:
        """Nothing is left to do."""

    def release(self, partition: int) -> None:
        """Forget the partition."""
        self._at.pop(partition, None)

    def read(
        self, rows: Sequence[Mapping[str, object]], at_us: int, *, known_us: int | None = None
    ) -> list[dict[str, float | str | None]]:
        """No features are here."""
        del at_us, known_us
        return [{} for _ in rows]

    def evict(self, now_us: int) -> None:
        """Nothing is kept."""

    def latest_arrival_us(self, source: str) -> int | None:
        """Nothing is kept."""
        del source
        return None

    def close(self) -> None:
        """The offsets belong to whoever opened them."""

    def _name(self, partition: int) -> str:
        return f"bus/{self._topic}/{partition}"


def keep_refused(workspace: Workspace, product: str, topic: str, refused: Sequence[Refused]) -> None:
    """Put messages that are no events into the lake; the same ones again change nothing."""
    for one in refused:
        message = one.message
        moment = _EPOCH + timedelta(microseconds=message.at_us)
        row = {
            "topic": topic, "partition": message.partition, "offset": message.offset, "key": message.key,
            "message": message.value.decode(errors="replace"), "reason": one.reason,
        }  # fmt: skip
        table = pa.Table.from_pylist([row])
        for name in (EVENT_TIME, ARRIVAL_TIME):
            table = table.append_column(name, pa.array([moment], type=pa.timestamp("us", tz="UTC")))
        workspace.lake.append(
            table_of(product, BUS) + QUARANTINE, table, batch=f"{topic}-{message.partition}-{message.offset}"
        )

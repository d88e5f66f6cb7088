"""The bus in Kafka, through librdkafka: consumer groups, moved a few partitions at a time.

Offsets are never committed to Kafka for the sake of correctness: a member begins where
its own state stands. Transactions are not used either: a message that is delivered twice
is applied once, because state and offset are one commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from geartrain.errors import BusUnavailable, GeartrainError, SettingInvalid
from geartrain.ports.bus import Member, Message

_MS_US = 1000
#: What says that a topic is not there yet, or that a partition was read to its end.
_PATIENT = ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "_PARTITION_EOF")
#: What librdkafka says while it is connecting again by itself.
_PASSING = ("_TRANSPORT", "_RESOLVE", "_TIMED_OUT")


class KafkaBus:
    """A `Bus` on a Kafka cluster.

    Args:
        servers: `host:port`, several with commas.
        settings: librdkafka's own settings beside ours, such as `security.protocol`.
        timeout_s: How long to wait for an acknowledgement or for metadata.
    """

    def __init__(
        self, servers: str, *, settings: Mapping[str, str] | None = None, timeout_s: float = 30.0
    ) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise SettingInvalid(
                "Kafka needs a library that is not installed",
                found="confluent-kafka", hint="pip install 'geartrain[kafka]'",
            ) from error  # fmt: skip
        self._kafka = confluent_kafka
        self._servers, self._timeout_s = servers, timeout_s
        self._settings = {"bootstrap.servers": servers, "log_level": 2, **(settings or {})}
        self._producer: Any = None
        self._first = Lock()

    def publish(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> tuple[tuple[int, int], ...]:
        """Append messages and wait until every in-sync replica has them; see the port."""
        producer = self._producing()
        places: list[tuple[int, int]] = [(-1, -1)] * len(messages)
        errors: list[str] = []
        missing = len(messages)

        def delivered(number: int, error: Any, message: Any) -> None:
            nonlocal missing
            missing -= 1
            if error is not None:
                errors.append(error.str())
            else:
                places[number] = message.partition(), message.offset()

        for number, (key, value) in enumerate(messages):
            while True:
                try:
                    producer.produce(
                        topic,
                        value,
                        key,
                        on_delivery=lambda error, message, n=number: delivered(n, error, message),
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        until = time.monotonic() + self._timeout_s
        while missing and not errors and time.monotonic() < until:
            producer.poll(0.05)
        if missing or errors:
            raise self._unavailable(
                "Kafka did not acknowledge what was published", topic, errors[0] if errors else ""
            )
        return tuple(places)

    def subscribe(self, topic: str, *, group: str, member: Member) -> KafkaSubscription:
        """Join *group*; see the port. Any number of members."""
        return KafkaSubscription(self._kafka, self._settings, topic, group, member)

    def ends(self, topic: str) -> Mapping[int, int]:
        """For each partition the offset that the next message will get, at least."""
        consumer = self._kafka.Consumer(
            {**self._settings, "group.id": "geartrain-looks", "enable.auto.commit": False}
        )
        try:
            found = consumer.list_topics(topic, timeout=self._timeout_s).topics[topic]
            return {
                partition: consumer.get_watermark_offsets(
                    self._kafka.TopicPartition(topic, partition), timeout=self._timeout_s
                )[1]
                for partition in found.partitions
            }
        except self._kafka.KafkaException as error:
            raise self._unavailable("Kafka does not answer", topic, str(error)) from error
        finally:
            consumer.close()

    def holding(self, topic: str, chosen: Callable[[Message], bool]) -> None:
        """None: Kafka takes nothing out of the middle of a log. Retention or compaction does, as its owners set it."""

    def blank(self, topic: str, places: Sequence[tuple[int, int]]) -> None:
        """Never asked for, since `holding` names no place.

        Raises:
            BusUnavailable: Always.
        """
        raise self._unavailable("Kafka takes no single message out of a log", topic, f"{len(places)} places")

    def close(self) -> None:
        """Send what is still on its way."""
        if self._producer is not None:
            self._producer.flush(self._timeout_s)

    def _producing(self) -> Any:
        with self._first:
            if self._producer is None:
                self._producer = self._kafka.Producer(
                    {
                        "enable.idempotence": True,
                        "linger.ms": 2,
                        # As Java's clients do it, so that a key has one partition whoever publishes.
                        "partitioner": "murmur2_random",
                        "message.timeout.ms": int(self._timeout_s * 1000),
                        **self._settings,
                    }
                )
            return self._producer

    def _unavailable(self, message: str, topic: str, found: str) -> BusUnavailable:
        return BusUnavailable(
            message, where=f"{self._servers}, topic {topic}", found=found,
            hint="check that Kafka runs and GEARTRAIN_BUS_URL names it",
        )  # fmt: skip


class KafkaSubscription:
    """A member of a consumer group; partitions come and go a few at a time while the others are read on."""

    def __init__(
        self, kafka: Any, settings: Mapping[str, object], topic: str, group: str, member: Member
    ) -> None:
        self._kafka, self._topic, self._member = kafka, topic, member
        self._held: set[int] = set()
        self._failure: Exception | None = None
        self._consumer = kafka.Consumer(
            {
                "session.timeout.ms": 10_000,
                **settings,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "partition.assignment.strategy": "cooperative-sticky",
                "topic.metadata.refresh.interval.ms": 5_000,
            }
        )
        self._consumer.subscribe(
            [topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def poll(self, *, most: int, timeout_s: float) -> Sequence[Message]:
        """The next messages: waits for the first, takes what is there with it; see the port."""
        try:
            first = self._consumer.poll(timeout_s)
            rest = self._consumer.consume(most - 1, timeout=0) if first is not None and most > 1 else []
        except self._kafka.KafkaException as error:
            raise self._unavailable(str(error)) from error
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return [made for one in ([] if first is None else [first, *rest]) if (made := self._message(one))]

    def partitions(self) -> frozenset[int]:
        """The partitions that are ours now."""
        return frozenset(self._held)

    def close(self) -> None:
        """Leave the group; the others take over at once."""
        self._consumer.close()
        for partition in sorted(self._held):
            self._lose(partition)

    def _message(self, one: Any) -> Message | None:
        error = one.error()
        if error is None:
            key = one.key()
            return Message(
                partition=one.partition(),
                offset=one.offset(),
                key=key.decode(errors="replace") if key is not None else "",
                value=one.value() or b"",
                at_us=one.timestamp()[1] * _MS_US,
            )
        if error.name() in _PATIENT or (error.name() in _PASSING and not error.fatal()):
            return None
        if error.name() in {"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"}:
            raise BusUnavailable(
                "the bus does not hold the messages that come next",
                where=f"{self._topic}, partition {one.partition()}", found=error.str(),
                hint="Kafka has deleted them, or they were never there; rebuild the state from the lake",
            )  # fmt: skip
        raise self._unavailable(error.str())

    def _assigned(self, consumer: Any, partitions: Sequence[Any]) -> None:
        """Runs inside `poll`: each partition is taken up where the member's own state stands."""
        try:
            for one in partitions:
                begin = self._member.gained(one.partition)
                self._held.add(one.partition)
                one.offset = begin if begin > 0 else self._kafka.OFFSET_BEGINNING
            consumer.incremental_assign(list(partitions))
        except (GeartrainError, self._kafka.KafkaException) as error:
            self._failure = error if isinstance(error, GeartrainError) else self._unavailable(str(error))

    def _revoked(self, consumer: Any, partitions: Sequence[Any]) -> None:
        """Runs inside `poll` and `close`: the last moment to commit."""
        for one in partitions:
            if one.partition in self._held:
                self._lose(one.partition)
        try:
            consumer.incremental_unassign(list(partitions))
        except self._kafka.KafkaException as error:
            self._failure = self._unavailable(str(error))

    def _lose(self, partition: int) -> None:
        self._held.discard(partition)
        self._member.lost(partition)

    def _unavailable(self, found: str) -> BusUnavailable:
        return BusUnavailable(
            "Kafka does not answer", where=f"topic {self._topic}", found=found,
            hint="check that Kafka runs and GEARTRAIN_BUS_URL names it",
        )  # fmt: skip

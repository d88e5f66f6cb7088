"""Online features in Redis: one state for every replica that serves, moved on by whoever consumes.

Each entity has a sorted set of its events' deliveries, by event time; a read fetches
the set's part that the longest window reaches and computes as everywhere. A delivery that
replaces an earlier one of its event leaves a mark where the earlier one stands, so sets
only grow and neither order nor repetition of writes matters.

A micro-batch and its offset are one script: Redis has both or neither, also after it lost
the last second of its own log. The script refuses a batch that does not begin at the
stored offset, so a consumer that lost its partition cannot write any more.

What a key needs expires with the longest window. Redis Cluster is not supported: a
micro-batch touches the keys of many entities at once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec

from geartrain.domain.features import FeatureSet
from geartrain.errors import OnlineUnavailable, SettingInvalid
from geartrain.features.log import Delivery, EntityLog, Held, id_order, log_of
from geartrain.features.naming import Name, name_of
from geartrain.features.online import OnlineFeatures
from geartrain.features.plan import FOREVER, Stream
from geartrain.ports.online_store import Arrived

#: Events of one script: Redis does nothing else meanwhile, some 20 ms.
_SCRIPT = 500
#: After a failure so long nothing is tried: decisions fall back at once instead of waiting each.
_PAUSE_S = 0.25
_MS_US = 1000
_GLOB = re.compile(r"[*?\[\]\\]")

# ARGV: partition, the offset that must be stored, the offset to store or "", and then of each delivery
# versions' key, its expiry in ms or "0", mark, event time, arrival, source, number of logs, and of each log
# key, expiry, floor or "", member. (Redis's own msgpack knows no bytes, so everything stands in a row.)
_APPLY = """
local at = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
if at ~= ARGV[2] then return 0 end
local next = 4
while next <= #ARGV do
  local versions, expiry, mark, time = ARGV[next], ARGV[next + 1], ARGV[next + 2], ARGV[next + 3]
  local arrival, source, count = ARGV[next + 4], ARGV[next + 5], tonumber(ARGV[next + 6])
  next = next + 7
  local logs = {}
  for place = 1, count do
    logs[place] = {ARGV[next], ARGV[next + 1], ARGV[next + 2], ARGV[next + 3]}
    next = next + 4
  end
  local known = redis.call('HGETALL', versions)
  local fresh = true
  for place = 1, #known, 2 do
    if known[place] == mark then fresh = false end
  end
  if fresh then
    local mine = {time}
    for _, log in ipairs(logs) do
      redis.call('ZADD', log[1], time, log[4])
      mine[#mine + 1] = log[1]
    end
    for place = 1, #known, 2 do
      local other = cmsgpack.unpack(known[place + 1])
      for index = 2, #other do
        redis.call('ZADD', other[index], other[1], other[1] .. '|' .. mark)
      end
      for _, log in ipairs(logs) do
        redis.call('ZADD', log[1], time, time .. '|' .. known[place])
      end
    end
    redis.call('HSET', versions, mark, cmsgpack.pack(mine))
    if expiry ~= '0' then redis.call('PEXPIRE', versions, expiry) end
    for _, log in ipairs(logs) do
      if log[3] ~= '' then redis.call('ZREMRANGEBYSCORE', log[1], '-inf', '(' .. log[3]) end
      if log[2] ~= '0' then redis.call('PEXPIRE', log[1], log[2]) end
    end
  end
  local seen = redis.call('HGET', KEYS[2], source)
  if not seen or #arrival > #seen or (#arrival == #seen and arrival > seen) then
    redis.call('HSET', KEYS[2], source, arrival)
  end
end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
"""


class RedisFeatures:
    """An `OnlineStore` in Redis.

    Args:
        features: What is computed.
        keys: The column that names a row, for each source.
        url: `redis://host:port/db`, `rediss://`, or `unix://path`.
        name: Whose features: beside the definitions' digest a part of every key.
        lateness_us: How much longer than the longest window events are kept.
        timeout_s: How long an answer may take before the store counts as away.
    """

    def __init__(
        self,
        features: FeatureSet,
        *,
        keys: Mapping[str, str],
        url: str,
        name: str,
        lateness_us: int = 0,
        timeout_s: float = 1.0,
    ) -> None:
        try:
            import redis
        except ImportError as error:
            raise SettingInvalid(
                "Redis needs a library that is not installed",
                found="redis", hint="pip install 'geartrain[redis]'",
            ) from error  # fmt: skip
        self._errors = redis.exceptions.RedisError
        self._shape = OnlineFeatures(features, keys=keys)
        self._streams = self._shape.streams
        self._lateness_us = lateness_us
        self._floors: list[int | None] = [None] * len(self._streams)
        self._prefix = f"geartrain:{name}:{features.id[:16]}"
        self._where = _where(url)
        self._tried_again_at = 0.0
        try:
            self._redis = redis.Redis.from_url(
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
            )
        except ValueError as error:
            raise SettingInvalid(
                "this is no address of a Redis", found=self._where, hint=str(error)
            ) from error
        self._script = self._redis.register_script(_APPLY)

    def open(self, partition: int) -> int:
        """The offset that stands in Redis; see the port. There is nothing to load."""
        with self._told():
            return int(self._redis.hget(f"{self._prefix}:at", str(partition)) or 0)

    def apply(self, partition: int, *, begin: int, end: int, events: Sequence[Arrived]) -> bool:
        """Take events, some hundred a script; the last script moves the offset. See the port."""
        made = [one for event in events if (one := self._delivery(partition, event)) is not None]
        for start in range(0, max(len(made), 1), _SCRIPT):
            last = start + _SCRIPT >= len(made)
            with self._told():
                done = self._script(
                    keys=[f"{self._prefix}:at", f"{self._prefix}:seen"],
                    args=[
                        partition,
                        begin,
                        end if last else "",
                        *(word for one in made[start : start + _SCRIPT] for word in one),
                    ],
                )
            if not done:
                return False
        return True

    def commit(self, partition: int) -> None:
        """Nothing to do: what was applied is in Redis with its offset, as durable as Redis is told to be."""

    def release(self, partition: int) -> None:
        """Nothing to forget."""

    def read(
        self, rows: Sequence[Mapping[str, object]], at_us: int, *, known_us: int | None = None
    ) -> list[dict[str, float | str | None]]:
        """Every feature of each row, fetched in one round trip; see the port."""
        wanted = [[name_of(row.get(stream.entity)) for row in rows] for stream in self._streams]
        asked = [
            (place, entity)
            for place, entities in enumerate(wanted)
            for entity in dict.fromkeys(entities)
            if entity is not None
        ]
        logs: dict[tuple[int, Name | None], EntityLog] = {}
        if asked:
            with self._told():
                pipeline = self._redis.pipeline(transaction=False)
                for place, entity in asked:
                    horizon = self._streams[place].horizon_us
                    first = "-inf" if horizon is None else at_us - horizon
                    pipeline.zrangebyscore(self._log(place, entity), first, f"({at_us}")
                found = pipeline.execute()
            for (place, entity), members in zip(asked, found, strict=True):
                if members:
                    logs[place, entity] = log_of(self._streams[place].slots, _deliveries(members))
        told = [[logs.get((place, entity)) for entity in entities] for place, entities in enumerate(wanted)]
        return self._shape.answer_all(rows, told, at_us, known_us=known_us)

    def evict(self, now_us: int) -> None:
        """From now on a write also drops what its entity has that no window reaches; the rest expires."""
        for place, stream in enumerate(self._streams):
            if stream.horizon_us is not None:
                self._floors[place] = now_us - self._lateness_us - stream.horizon_us

    def latest_arrival_us(self, source: str) -> int | None:
        """When the last event of *source* arrived."""
        with self._told():
            found = self._redis.hget(f"{self._prefix}:seen", source)
        return None if found is None else int(found)

    def erase(self) -> None:
        """Delete everything of these definitions; the next consumer begins at the first message."""
        with self._told():
            for key in self._redis.scan_iter(f"{self._prefix}:*", count=1000):
                self._redis.unlink(key)

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()

    def _delivery(self, partition: int, event: Arrived) -> list[str | bytes] | None:
        """The event as the script takes it; None where no feature reads it."""
        source = self._shape.sources.get(event.source)
        event_id = None if source is None else name_of(event.row.get(source.key))
        if source is None or event_id is None:
            return None
        time_us, text = str(event.event_time_us), str(event_id)
        place_in_order = (event.arrival_time_us, partition, event.offset)
        logs: list[str | bytes] = []
        for place, stream in enumerate(self._streams):
            entity = name_of(event.row.get(stream.member)) if stream.source == event.source else None
            if entity is not None:
                held = [slot.of_row(event.row) for slot in stream.slots]
                member = msgspec.msgpack.encode((text, *place_in_order, held))
                floor = self._floors[place]
                logs += (
                    self._log(place, entity),
                    self._expiry(stream),
                    "" if floor is None else str(floor),
                    time_us.encode() + b"|" + member,
                )
        expiries = [self._expiry(one.stream) for one in source.streams]
        longest = "0" if "0" in expiries else max(expiries, key=int)
        mark = msgspec.msgpack.encode((text, *place_in_order, None))
        return [
            f"{self._prefix}:v:{event.source}:{text}", longest, mark, time_us,
            str(event.arrival_time_us), event.source, str(len(logs) // 4), *logs,
        ]  # fmt: skip

    def _log(self, place: int, entity: Name) -> str:
        return f"{self._prefix}:e:{place}:{entity}"

    def _expiry(self, stream: Stream) -> str:
        """The longest window and the lateness, in milliseconds from the last write; "0" for never."""
        if stream.horizon_us is None:
            return "0"
        return str((stream.horizon_us + self._lateness_us) // _MS_US + 1000)

    @contextmanager
    def _told(self) -> Iterator[None]:
        if time.monotonic() < self._tried_again_at:
            raise self._away("it did not answer a moment ago")
        try:
            yield
        except self._errors as error:
            self._tried_again_at = time.monotonic() + _PAUSE_S
            raise self._away(str(error)) from error

    def _away(self, found: str) -> OnlineUnavailable:
        return OnlineUnavailable(
            "the store of online features does not answer", where=self._where, found=found,
            hint="check that Redis runs and GEARTRAIN_ONLINE_URL names it; nothing is lost, the bus replays",
        )  # fmt: skip


def forget_product(url: str, product: str) -> int:
    """Delete what Redis holds of a product's online features, whatever the definitions; how many keys.

    Servers begin anew with what the lake still has. Files that Redis keeps hold the old values
    until Redis writes them again.

    Raises:
        OnlineUnavailable: Redis does not answer; some of it may still be there.
    """
    import redis

    gone = 0
    pattern = "geartrain:" + _GLOB.sub(r"\\\g<0>", product) + ":*"
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=30.0) as client:
            for key in client.scan_iter(pattern, count=1000):
                gone += int(client.unlink(key))
    except redis.exceptions.RedisError as error:
        raise OnlineUnavailable(
            "the store of online features does not answer, and may still hold what was to be forgotten",
            where=_where(url), found=str(error), hint="run the same command again when Redis is back",
        ) from error  # fmt: skip
    return gone


def _deliveries(members: Iterable[bytes]) -> list[Delivery]:
    """A set's members as deliveries in order of time and id, each visible until the next of its event arrives."""
    by_event: dict[str, list[tuple[tuple[int, int, int], int, list[Held] | None]]] = {}
    for member in members:
        moment, _, packed = member.partition(b"|")
        event_id, arrival_us, partition, offset, held = msgspec.msgpack.decode(packed)
        by_event.setdefault(event_id, []).append(((arrival_us, partition, offset), int(moment), held))
    found: list[Delivery] = []
    for event_id, told in by_event.items():
        for order, time_us, held in told:
            if held is None:
                continue
            until_us = (
                min((one[0][0] for one in told if one[0] > order), default=FOREVER)
                if len(told) > 1
                else FOREVER
            )
            if until_us > order[0]:
                found.append((time_us, event_id, order[0], until_us, held))
    found.sort(key=lambda one: (one[0], id_order(one[1])))
    return found


def _where(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"

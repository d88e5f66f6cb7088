"""Backfills past one machine: the same kernel, called by Spark once for each part of the entities.

Decisions and events are brought together by a hash of their entity and handed to
`geartrain.features.offline.point_in_time` as Arrow tables. Entities are never torn
apart, the kernel does not depend on how it is cut, and sums are exact, so the rows and
values are those of one machine to the last bit. Spark itself computes no feature.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from geartrain.domain.columns import ARRIVAL_TIME, EVENT_TIME
from geartrain.domain.features import (
    Feature,
    FeatureSet,
    FeatureType,
    FunctionFeature,
    LookupFeature,
    WindowFeature,
)
from geartrain.errors import FeatureInvalid
from geartrain.features.checking import columns_read
from geartrain.features.functions import recall, remembered
from geartrain.features.offline import assembled, point_in_time
from geartrain.features.plan import Stream, key_of, streams

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

#: How many parts the entities are cut into; a part must fit into a worker's memory.
PARTS = 200

_PART = "_part"
_MADE = "_made_"


def point_in_time_on_spark(
    features: FeatureSet,
    decisions: DataFrame,
    sources: Mapping[str, DataFrame],
    *,
    row: str,
    keys: Mapping[str, str] | None = None,
    at: str = EVENT_TIME,
    known_at: str | None = None,
    parts: int = PARTS,
) -> DataFrame:
    """Every feature at every decision, as `point_in_time` says it, computed where Spark's workers are.

    Args:
        features: What to compute, in the order of the result's columns.
        decisions: The rows decided about.
        sources: The events of each source.
        row: The column that names a decision; no two rows share one.
        keys: The column that names a row, for each source that a window reads.
        at: The column with the decision's time.
        known_at: The column with the time by which events must have arrived; *at* if None.
        parts: How many parts the entities are cut into.

    Returns:
        *row* and the features, a row for each decision, in no order. Of two deliveries of
        one id that arrived at one moment, which is the last is not defined: Spark keeps no order.

    Raises:
        FeatureInvalid: A column is not there, or an entity is neither text nor an integer.
    """
    whole = decisions
    for stream in streams(features):
        made = _read(stream, features, decisions, sources, keys or {}, row, at, known_at, parts)
        whole = whole.join(made, on=row, how="left")
    names = {one.name for one in features.features if isinstance(one, WindowFeature | LookupFeature)}
    carried = _functions(features)

    def finish(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import polars as pl
        import pyarrow as pa

        recall(carried())
        for batch in batches:
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            found = {name: frame.get_column(_MADE + name).alias(name) for name in names}
            rows = frame.drop([_MADE + name for name in names])
            told = assembled(features, rows, found).insert_column(0, rows.get_column(row).alias(row))
            yield from _arrow(told).to_batches()

    return whole.mapInArrow(finish, schema=_schema(decisions, row, features.features, ""))


def _read(
    stream: Stream,
    features: FeatureSet,
    decisions: DataFrame,
    sources: Mapping[str, DataFrame],
    keys: Mapping[str, str],
    row: str,
    at: str,
    known_at: str | None,
    parts: int,
) -> DataFrame:
    """*row* and the stream's features under names of their own."""
    from pyspark.sql import functions as sql

    names = {feature.name for feature, _ in stream.features}
    members = FeatureSet(features=tuple(one for one in features.features if one.name in names))
    key = key_of(stream.source, keys)
    if stream.source not in sources:
        raise FeatureInvalid(
            "a window reads a source that was not given",
            where=stream.source,
            found="sources: " + (", ".join(sources) or "none"),
            hint="pass its events in `sources`",
        )
    asked = _chosen(decisions, [row, stream.entity, at, *([known_at] if known_at else [])], "decisions")
    held = sources[stream.source]
    read = [column for slot in stream.slots for column in _columns(slot.column, slot.where, held.columns)]
    events = _chosen(held, [key, stream.member, EVENT_TIME, ARRIVAL_TIME, *read], stream.source)

    def part(frame: DataFrame, entity: str, where: str) -> Any:
        _check(frame, entity, where)
        return sql.pmod(sql.hash(sql.col(f"`{entity}`").cast("string")), sql.lit(parts))

    # A correction may move an event to an entity of another part: every part of an id sees all its deliveries.
    home = part(events, stream.member, stream.source)
    together = _by_id(events.withColumn(_PART, home), key)
    asked = asked.withColumn(_PART, part(asked, stream.entity, "decisions"))

    def compute(left: pa.Table, right: pa.Table) -> pa.Table:
        import polars as pl

        rows, past = (pl.DataFrame(table).drop(_PART) for table in (left, right))
        told = point_in_time(
            members, rows, {stream.source: past}, keys={stream.source: key}, at=at, known_at=known_at
        )
        told = told.rename(lambda name: _MADE + name)
        return _arrow(told.insert_column(0, rows.get_column(row)))

    return (
        asked.groupBy(_PART)
        .cogroup(together.groupBy(_PART))
        .applyInArrow(compute, schema=_schema(decisions, row, members.features, _MADE))
    )


def _by_id(events: DataFrame, key: str) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as sql

    homes = sql.collect_set(_PART).over(Window.partitionBy(f"`{key}`"))
    named = sql.col(f"`{key}`").isNotNull()
    return events.where(named).withColumn(_PART, homes).withColumn(_PART, sql.explode(_PART))


def _chosen(frame: DataFrame, names: list[str], where: str) -> DataFrame:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise FeatureInvalid(
            f"there is no column `{absent[0]}`",
            where=where,
            found="columns: " + ", ".join(frame.columns),
            hint="rows come with their key, their entities and both clocks",
        )
    return frame.select([f"`{name}`" for name in dict.fromkeys(names)])


def _check(frame: DataFrame, entity: str, where: str) -> None:
    from pyspark.sql.types import IntegralType, StringType

    kind = frame.schema[entity].dataType
    if not isinstance(kind, IntegralType | StringType):
        raise FeatureInvalid(
            "Spark and the kernel tell entities apart by their text, which they write alike for text and integers only",
            where=f"{where}.{entity}",
            found=kind.simpleString(),
            hint="cast the column to string on both sides",
        )


def _columns(column: str | None, where: str | None, there: list[str]) -> list[str]:
    texts = [text for text in (column, where) if text is not None]
    wanted = [name for text in texts for name in ((text,) if text in there else columns_read(text))]
    return [name for name in dict.fromkeys(wanted) if name in there]


def _schema(decisions: DataFrame, row: str, features: tuple[Feature, ...], start: str) -> StructType:
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    if row not in decisions.columns:
        raise FeatureInvalid(
            f"there is no column `{row}`",
            where="decisions",
            found="columns: " + ", ".join(decisions.columns),
            hint="name the column that tells decisions apart with `row=`",
        )
    made = [
        StructField(start + one.name, DoubleType() if one.type is FeatureType.NUMBER else StringType())
        for one in features
    ]
    return StructType([StructField(row, decisions.schema[row].dataType), *made])


def _arrow(frame: Any) -> pa.Table:
    """A Polars frame as Spark reads Arrow: with 32-bit offsets in texts."""
    import polars as pl
    import pyarrow as pa

    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [
        field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))


def _functions(features: FeatureSet) -> Callable[[], dict[str, Any]]:
    """The functions that *features* call, so that a worker that never saw features.py has them."""
    wanted = {one.code for one in features.features if isinstance(one, FunctionFeature)}
    held = {code: run for code, run in remembered().items() if code in wanted}
    if not held:
        return dict
    from pyspark import cloudpickle

    for module in {run.__module__ for run in held.values()} - {"__main__"}:
        cloudpickle.register_pickle_by_value(sys.modules[module])
    packed = cloudpickle.dumps(held)

    def unpacked() -> dict[str, Any]:
        from pyspark import cloudpickle

        return dict(cloudpickle.loads(packed))

    return unpacked

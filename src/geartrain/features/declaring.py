"""What a product's `features.py` writes: definitions as plain frozen data; nothing runs.

    >>> features = feature_set(
    ...     request("amount", unit="EUR", because="thieves take more at once"),
    ...     *window("transactions", entity="card_id", over=("1d", "7d"), count=True, mean="amount"),
    ... )
    >>> [one.name for one in features.features]
    ['amount', 'card_id_count_1d', 'card_id_mean_amount_1d', 'card_id_count_7d', 'card_id_mean_amount_7d']

A window feature is named `<entity>_<aggregation>[_<column>][_<width>][_delay_<delay>]`.
Names are part of what a trained model means by its inputs: change one only together
with the feature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from geartrain.domain.expression import quoted
from geartrain.domain.features import (
    Aggregation,
    Feature,
    FeatureSet,
    FeatureType,
    FunctionFeature,
    LookupFeature,
    RequestFeature,
    WindowFeature,
)
from geartrain.errors import FeatureInvalid
from geartrain.features.checking import check_definitions
from geartrain.features.functions import Function, remember
from geartrain.features.spans import Span, span_name, span_us

#: One column, several, or names for expressions: `{"in_eur": "amount * rate"}`.
Of = str | tuple[str, ...] | Mapping[str, str]

_WORD = re.compile(r"[^0-9A-Za-z]+")


def feature_set(*features: Feature) -> FeatureSet:
    """Every feature of a product, in the order of the model's input.

    Raises:
        FeatureInvalid: Definitions contradict themselves or each other; all are listed.
    """
    declared = FeatureSet(features=features)
    check_definitions(declared)
    return declared


def request(
    name: str,
    expression: str | None = None,
    *,
    type: str = "number",  # noqa: A002 - the word that the people who write this file use
    missing_is_signal: bool = False,
    owner: str = "",
    description: str = "",
    unit: str = "",
    because: str = "",
) -> RequestFeature:
    """A value that the request carries: the column *name*, or an *expression* over its columns."""
    return RequestFeature(
        name=name,
        expression=quoted(name) if expression is None else expression,
        type=_type(type, name),
        missing_is_signal=missing_is_signal,
        owner=owner,
        description=description,
        unit=unit,
        because=because,
    )


def lookup(
    name: str,
    source: str,
    *,
    entity: str,
    column: str | None = None,
    key: str | None = None,
    where: str | None = None,
    type: str = "number",  # noqa: A002 - the word that the people who write this file use
    owner: str = "",
    description: str = "",
    unit: str = "",
    because: str = "",
) -> LookupFeature:
    """The *column* (default: *name*) of the table's row in force for the *entity*, as known then.

    >>> lookup("limit", "customers", entity="customer_id", key="id").column
    'limit'
    """
    return LookupFeature(
        name=name,
        source=source,
        entity=entity,
        column=name if column is None else column,
        key=None if key == entity else key,
        where=where,
        type=_type(type, name),
        owner=owner,
        description=description,
        unit=unit,
        because=because,
    )


def function(
    name: str,
    run: Function,
    *,
    numbers: tuple[str, ...] = (),
    texts: tuple[str, ...] = (),
    type: str = "number",  # noqa: A002 - the word that the people who write this file use
    owner: str = "",
    description: str = "",
    unit: str = "",
    because: str = "",
) -> FunctionFeature:
    """What *run* makes of a `pyarrow.RecordBatch`; it is read here, and called only when rows are there.

    *run* is written with `def` and gives back an Arrow array of as many values as the
    batch has rows. It must be pure, treat each row for itself, and rest on imported
    libraries only. *numbers* and *texts* are columns of the decision row, or features
    that stand before this one, given as float64 and as text with nulls.

    Raises:
        FeatureInvalid: Its source cannot be read, or it rests on more than its source.
    """
    called, code = remember(run, where=name)
    return FunctionFeature(
        name=name,
        function=called,
        code=code,
        reads=(
            *((one, FeatureType.NUMBER) for one in numbers),
            *((one, FeatureType.TEXT) for one in texts),
        ),
        type=_type(type, name),
        owner=owner,
        description=description,
        unit=unit,
        because=because,
    )


def window(  # noqa: D417 - an aggregation's argument is the column that it aggregates
    source: str,
    *,
    entity: str,
    over: Span | tuple[Span | None, ...] | None = None,
    delay: Span | None = None,
    where: str | None = None,
    named: str | None = None,
    count: bool = False,
    time_since: bool = False,
    sum: Of = (),  # noqa: A002 - the aggregation's own word
    mean: Of = (),
    min: Of = (),  # noqa: A002
    max: Of = (),  # noqa: A002
    first: Of = (),
    last: Of = (),
    distinct: Of = (),
    ratio: Of = (),
    decayed_sum: Of = (),
    half_life: Span | None = None,
    last_n: Of = (),
    n: int | None = None,
    type: str = "number",  # noqa: A002
    owner: str = "",
    description: str = "",
    unit: str = "",
    because: str = "",
) -> tuple[WindowFeature, ...]:
    """One feature for each width in *over* and each aggregation asked for.

    Args:
        source: The contract source whose rows are aggregated.
        entity: The column that names the entity, in the source and in the decision row.
        over: Widths; None reaches back to the beginning.
        delay: How far the windows end before the decision, such as a label's delay.
        where: Which events count, an expression; give *named* too, to tell the names apart.
        named: What stands for the entity's column at the front of the names.
        type: `category` or `text` for `first`, `last` and `last_n` of text.
        n: `last_n`: how many newest values; each becomes a feature, 1 the newest.

    Raises:
        FeatureInvalid: A duration or type cannot be read.
    """
    place = f"window on {source} by {entity}"
    wanted = (
        *((Aggregation.COUNT, "", None) for _ in range(count)),
        *((Aggregation.TIME_SINCE, "", None) for _ in range(time_since)),
        *_each(Aggregation.SUM, sum),
        *_each(Aggregation.MEAN, mean),
        *_each(Aggregation.MIN, min),
        *_each(Aggregation.MAX, max),
        *_each(Aggregation.FIRST, first),
        *_each(Aggregation.LAST, last),
        *_each(Aggregation.DISTINCT, distinct),
        *_each(Aggregation.RATIO, ratio),
        *_each(Aggregation.DECAYED_SUM, decayed_sum),
        *_each(Aggregation.LAST_N, last_n),
    )
    if not wanted:
        raise FeatureInvalid(
            "this window says nothing about its events",
            where=place,
            hint='add count=True or mean="amount", for example',
        )
    kind = _type(type, place)
    delay_us = 0 if delay is None else span_us(delay, where=place)
    half_life_us = None if half_life is None else span_us(half_life, where=place)
    plain = WindowFeature(
        name="",
        source=source,
        entity=entity,
        aggregation=Aggregation.COUNT,
        delay_us=delay_us,
        where=where,
        owner=owner,
        description=description,
        unit=unit,
        because=because,
    )
    features: list[WindowFeature] = []
    for width in over if isinstance(over, tuple) else (over,):
        width_us = None if width is None else span_us(width, where=place)
        ending = "" if width_us is None else f"_{span_name(width_us)}"
        ending += f"_delay_{span_name(delay_us)}" if delay_us else ""
        for aggregation, word, column in wanted:
            one = replace(plain, aggregation=aggregation, column=column, width_us=width_us)
            start = f"{named or entity}_{aggregation.value}"
            if aggregation is Aggregation.LAST_N:
                features.extend(
                    replace(one, name=f"{named or entity}_last_{which}{word}{ending}", n=which, type=kind)
                    for which in range(1, (n or 0) + 1)
                )
            elif aggregation is Aggregation.DECAYED_SUM:
                features.append(replace(one, name=start + word + ending, half_life_us=half_life_us))
            elif aggregation in {Aggregation.FIRST, Aggregation.LAST}:
                features.append(replace(one, name=start + word + ending, type=kind))
            else:
                features.append(replace(one, name=start + word + ending))
    if last_n and not n:
        raise FeatureInvalid("`last_n` needs n, how many newest values", where=place, hint="n=3")
    return tuple(features)


def _each(aggregation: Aggregation, of: Of) -> Iterator[tuple[Aggregation, str, str]]:
    """The columns asked for, each with the word that stands for it in the feature's name."""
    named = (
        of.items()
        if isinstance(of, Mapping)
        else ((one, one) for one in ((of,) if isinstance(of, str) else of))
    )
    for name, column in named:
        yield aggregation, "_" + _WORD.sub("_", name).strip("_"), column


def _type(name: str, place: str) -> FeatureType:
    try:
        return FeatureType(name)
    except ValueError as error:
        raise FeatureInvalid(
            "there is no such feature type", where=place, found=name, hint=" or ".join(FeatureType)
        ) from error

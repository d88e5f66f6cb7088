"""What people call a feature, where they gave it no name themselves."""

from __future__ import annotations

from geartrain.documents.spelling import span
from geartrain.domain.features import Aggregation, Feature, LookupFeature, WindowFeature
from geartrain.domain.wording import plain_name


def described(feature: Feature) -> str:
    """What people call a feature: its own description, or its definition in words.

    >>> from geartrain.features.declaring import window
    >>> described(window("clicks", entity="visitor", over=("7d",), sum="weight")[0])
    'sum of weight over clicks of the same visitor, last 7 days'
    """
    if feature.description:
        return feature.description
    match feature:
        case WindowFeature():
            return _window_in_words(feature)
        case LookupFeature():
            key = feature.key or feature.entity
            return f"{plain_name(feature.column)} in {plain_name(feature.source)} by {plain_name(key)}"
        case _:
            return plain_name(feature.name)


def _window_in_words(feature: WindowFeature) -> str:
    column, source = plain_name(feature.column or ""), plain_name(feature.source)
    match feature.aggregation:
        case Aggregation.COUNT:
            what = f"how many {source}"
        case Aggregation.DISTINCT:
            what = f"how many different {column} in {source}"
        case Aggregation.RATIO:
            what = f"share of {source} that are {column.removeprefix('is ')}"
        case Aggregation.TIME_SINCE:
            what = f"seconds since the last of {source}"
        case Aggregation.DECAYED_SUM:
            what = f"fading sum of {column} over {source}"
        case Aggregation.LAST_N:
            what = f"{column} of the last but {(feature.n or 1) - 1} of {source}"
        case Aggregation.FIRST | Aggregation.LAST:
            what = f"{feature.aggregation} {column} of {source}"
        case Aggregation.MAX | Aggregation.MIN:
            size = "largest" if feature.aggregation is Aggregation.MAX else "smallest"
            what = f"{size} {column} among {source}"
        case _:
            what = f"{feature.aggregation} of {column} over {source}"
    where = f" where {feature.where}" if feature.where else ""
    told = f"{what}{where} of the same {plain_name(feature.entity).removesuffix(' id')}"
    if feature.width_us is not None:
        told += f", last {span(feature.width_us / 1e6).removeprefix('1 ')}"
    return told + (f", up to {span(feature.delay_us / 1e6)} before" if feature.delay_us else "")

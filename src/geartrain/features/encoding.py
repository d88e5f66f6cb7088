"""Feature values to the float32 rows that models read, the same for a table as for one request.

if TYPE_CHECKING:
    import polars as pl

A number is itself, clipped to what float32 can hold; a category is its place in the
vocabulary that the training rows had; missing and unknown are NaN. A feature whose
missing values are a signal has a second column, 1 where the value is missing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import as_number, as_text, numbers, texts_of, values_of
from geartrain.domain.features import Encoding, Feature, FeatureSet, FeatureType, RequestFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.checking import MISSING

if TYPE_CHECKING:
    import polars as pl

MOST_CATEGORIES = 200

_LARGEST = float(np.finfo(np.float32).max)


def fit_encoding(
    features: FeatureSet, values: pl.DataFrame, *, most_categories: int = MOST_CATEGORIES
) -> Encoding:
    """Learn the vocabularies from training rows, and nothing else from anything else.

    Args:
        features: The definitions.
        values: Feature values of the training rows, as `point_in_time` gives them.
        most_categories: How many values a category keeps, the most frequent; of equally
            frequent ones those that sort first. The rest is encoded as unknown.

    Raises:
        FeatureInvalid: A feature is free text, or its column is not there.
    """
    columns: list[str] = []
    categories: list[tuple[str, tuple[str, ...]]] = []
    for one in features.features:
        if one.type is FeatureType.TEXT:
            raise FeatureInvalid(
                "free text cannot stand in a row of numbers",
                where=f"feature {one.name}",
                found='type="text"',
                hint='say type="category", or make a number of it: length(column)',
            )
        if one.type is FeatureType.CATEGORY:
            categories.append((one.name, _vocabulary(_values(values, one), most_categories)))
        columns.append(one.name)
        if _signals(one):
            columns.append(one.name + MISSING)
    return Encoding(feature_set=features, columns=tuple(columns), categories=tuple(categories))


def encode(encoding: Encoding, values: pl.DataFrame) -> NDArray[np.float32]:
    """Feature values as the model reads them, shape (rows, columns of the encoding).

    Raises:
        FeatureInvalid: A feature's column is not there.
    """
    import polars as pl

    encoded = np.empty((values.height, len(encoding.columns)), dtype=np.float32)
    vocabularies = dict(encoding.categories)
    column = 0
    for one in encoding.feature_set.features:
        series = _values(values, one)
        if one.type is FeatureType.CATEGORY:
            known = vocabularies[one.name]
            told = texts_of(series)
            codes = told.replace_strict(
                pl.Series(known, dtype=pl.String),
                np.arange(len(known)),
                default=None,
                return_dtype=pl.Float32,
            )
            encoded[:, column] = codes.fill_null(float("nan")).to_numpy()
            missing = told.is_null().to_numpy()
        else:
            exact = numbers(values_of(series))
            encoded[:, column] = np.clip(exact, -_LARGEST, _LARGEST)
            missing = np.isnan(exact)
        column += 1
        if _signals(one):
            encoded[:, column] = missing
            column += 1
    return encoded


def encode_row(encoding: Encoding, values: Mapping[str, object]) -> NDArray[np.float32]:
    """One request's feature values as the model reads them, shape (columns,): what `encode` says for that row.

    Raises:
        FeatureInvalid: A feature is not there; one without a value is None.
    """
    cells: list[float] = []
    vocabularies = dict(encoding.categories)
    for one in encoding.feature_set.features:
        if one.name not in values:
            raise _absent(one, tuple(values))
        value = values[one.name]
        if one.type is FeatureType.CATEGORY:
            text = as_text(value)
            cell = float("nan") if text is None else _code(vocabularies[one.name], text)
            missing = text is None
        else:
            number = as_number(value)
            missing = not -np.inf < number < np.inf
            cell = float("nan") if missing else min(max(number, -_LARGEST), _LARGEST) + 0.0
        cells.append(cell)
        if _signals(one):
            cells.append(float(missing))
    return np.array(cells, dtype=np.float32)


def decode(encoding: Encoding, encoded: NDArray[np.float32]) -> pl.DataFrame:
    """The feature values that a model saw in *encoded* rows: what is left of them in float32.

    A category is its name again, null where it was missing or unknown.
    """
    import polars as pl

    vocabularies = dict(encoding.categories)
    columns: dict[str, pl.Series] = {}
    for one in encoding.feature_set.features:
        cells = encoded[:, encoding.columns.index(one.name)]
        if one.type is FeatureType.CATEGORY:
            places = pl.Series(cells, dtype=pl.Float32, nan_to_null=True).cast(pl.Int64)
            columns[one.name] = pl.Series(vocabularies[one.name], dtype=pl.String).gather(places)
        else:
            columns[one.name] = pl.Series(cells.astype(np.float64), nan_to_null=True)
    return pl.DataFrame(columns)


def _vocabulary(series: pl.Series, most: int) -> tuple[str, ...]:
    told = texts_of(series).alias("text").to_frame().drop_nulls()
    counted = told.group_by("text").len().sort(["len", "text"], descending=[True, False])
    return tuple(sorted(counted["text"].head(most).to_list()))


def _code(vocabulary: tuple[str, ...], text: str) -> float:
    place = bisect_left(vocabulary, text)
    return float(place) if place < len(vocabulary) and vocabulary[place] == text else float("nan")


def _signals(one: Feature) -> bool:
    return isinstance(one, RequestFeature) and one.missing_is_signal


def _values(values: pl.DataFrame, one: Feature) -> pl.Series:
    if one.name not in values.columns:
        raise _absent(one, tuple(values.columns))
    return values.get_column(one.name)


def _absent(one: Feature, there: tuple[str, ...]) -> FeatureInvalid:
    return FeatureInvalid(
        "the values of a feature are not there",
        where=f"feature {one.name}",
        found=", ".join(there) or "nothing",
        hint="encode what point_in_time or OnlineFeatures.read gave for the same definitions",
    )

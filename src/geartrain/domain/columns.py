"""Rows as arrays for the expression language, the same from a frame as from one request.

A number becomes float64 with NaN where missing, text an object array with None, a
boolean stays boolean, a time is int64 microseconds since 1970 UTC; booleans and times
of which some are missing stand in an object array with None. One value evaluated alone
equals the same value evaluated among a million others: serving relies on it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.expression import Columns, Values

if TYPE_CHECKING:
    import polars as pl

#: The two clocks of a row; names of sources' own columns never begin with `_`.
EVENT_TIME = "_event_time"
ARRIVAL_TIME = "_arrival_time"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT_INTEGERS = 2.0**53


def outermost(path: str | None) -> str:
    """The column that a field's path begins with; empty where it has none.

    >>> outermost("$.card.issuer"), outermost("items[0].price"), outermost(None)
    ('card', 'items', '')
    """
    return (path or "").lstrip("$.").split(".")[0].split("[")[0]


def columns_of(frame: pl.DataFrame, names: Sequence[str] | None = None) -> dict[str, Values]:
    """The columns *names* (default all) of *frame*, each of shape (rows,)."""
    return {name: values_of(frame.get_column(name)) for name in (names or frame.columns)}


def columns_of_row(row: Mapping[str, object]) -> dict[str, Values]:
    """One row as columns of length 1.

    >>> columns_of_row({"amount": 3, "country": None})
    {'amount': array([3.]), 'country': array([None], dtype=object)}
    """
    return {name: value_of(value) for name, value in row.items()}


def values_of(series: pl.Series) -> Values:
    """One column of a frame in the form that expressions read."""
    import polars as pl

    kind = series.dtype
    if kind == pl.Boolean:
        return series.to_numpy() if series.null_count() == 0 else _objects(series)
    if isinstance(kind, pl.Datetime | pl.Date | pl.Duration):
        instants = microseconds_of(series)
        return instants.to_numpy() if instants.null_count() == 0 else _objects(instants)
    if kind.is_numeric():
        return _floats(series)
    if isinstance(kind, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    return _objects(series)


def value_of(value: object) -> Values:
    """One value as an array of length 1, in the form in which its column would hold it."""
    match value:
        case bool() | np.bool_():
            return np.array([bool(value)])
        case int() | float() | Decimal() | np.number():
            return np.array([as_number(value)])
        case date() | timedelta():
            return np.array([microseconds(value)], dtype=np.int64)
    one = np.empty(1, dtype=object)
    one[0] = value
    return one


def microseconds_of(series: pl.Series) -> pl.Series:
    """Times or durations as int64 microseconds; a time without a zone is UTC."""
    import polars as pl

    if isinstance(series.dtype, pl.Duration):
        return series.dt.total_microseconds()
    if isinstance(series.dtype, pl.Date):
        return series.cast(pl.Datetime("us")).dt.epoch("us")
    return series.dt.epoch("us")


def microseconds(value: date | timedelta) -> int:
    """A time since 1970 UTC, or a duration, in whole microseconds."""
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if not isinstance(value, datetime):
        value = datetime.combine(value, time(), tzinfo=UTC)
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return (moment - _EPOCH) // _MICROSECOND


def cells_of(names: Sequence[Hashable]) -> Callable[[Any], tuple[Any, ...]]:
    """Takes the items *names* out of a row, or the places *names* out of a list, in one call of C.

    What it gives is a tuple, also of one item or none. It raises what the row raises for an item that is not there.

    >>> cells_of(("b", "a"))({"a": 1, "b": 2}), cells_of(("a",))({"a": 1}), cells_of(())({})
    ((2, 1), (1,), ())
    """
    match tuple(names):
        case ():
            return lambda _row: ()
        case (name,):
            return lambda row: (row[name],)
        case several:
            return itemgetter(*several)


def packed_numbers(numbers: Sequence[float], kind: Literal["f", "d"]) -> NDArray[np.floating[Any]]:
    """*numbers* in 32 bits ("f") or 64 ("d"), in a third of the time that NumPy takes to read a sequence.

    The array is read-only. What does not fit into 32 bits is infinite there.

    Raises:
        struct.error: One of them is no number, or an integer that no float can hold.

    >>> packed_numbers([0.5, 2], "f")
    array([0.5, 2. ], dtype=float32)
    """
    return np.frombuffer(struct.pack(f"{len(numbers)}{kind}", *numbers), dtype=kind)


def as_number(value: object) -> float:
    """*value* as a float, NaN where it is none.

    >>> as_number(True), as_number("12"), as_number(None)
    (1.0, nan, nan)
    """
    if type(value) is float:  # nearly always so, and a tenth of the cost of the match below
        return value
    match value:
        case bool() | np.bool_() | int() | float() | Decimal() | np.number():
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case date() | timedelta():
            return float(microseconds(value))
    return math.nan


def as_text(value: object) -> str | None:
    """*value* as text, None where it is missing; 5, 5.0 and "5" are one text.

    >>> as_text(5.0), as_text(True), as_text(float("nan"))
    ('5', 'true', None)
    """
    if type(value) is str:
        return value
    match value:
        case str():
            return str(value)
        case None:
            return None
        case bool() | np.bool_():
            return "true" if value else "false"
        case int() | np.integer():
            return str(int(value))
        case float() | np.floating() | Decimal():
            number = float(value)
            if math.isnan(number):
                return None
            whole = number.is_integer() and abs(number) < _EXACT_INTEGERS
            return str(int(number)) if whole else repr(number)
        case date() | timedelta():
            return str(microseconds(value))
    return str(value)


def texts_of(series: pl.Series) -> pl.Series:
    """A column as text with null where missing, value for value what `as_text` says."""
    import polars as pl

    kind = series.dtype
    if kind == pl.String or kind.is_integer():
        return series.cast(pl.String)
    if isinstance(kind, pl.Categorical | pl.Enum):
        return series.cast(pl.String)
    if isinstance(kind, pl.Datetime | pl.Date | pl.Duration):
        return microseconds_of(series).cast(pl.String)
    if kind == pl.Boolean or kind.is_float() or kind.is_decimal():
        distinct = series.unique()
        told = pl.Series([as_text(item) for item in distinct.to_list()], dtype=pl.String)
        return series.replace_strict(distinct, told, return_dtype=pl.String)
    return pl.Series(series.name, [as_text(item) for item in series.to_list()], dtype=pl.String)


def numbers(values: Values) -> NDArray[np.float64]:
    """Any column as float64: what is no finite number is missing (NaN), and -0.0 is 0.0."""
    if values.dtype == object:
        floats = np.array([as_number(item) for item in values], dtype=np.float64)
    else:
        floats = values.astype(np.float64)
    return np.where(np.isfinite(floats), floats, np.nan) + 0.0


def texts(values: Values) -> Values:
    """Any column as an object array of text, None where missing."""
    told: Values = np.empty(values.shape, dtype=object)
    told[:] = [as_text(item) for item in values.tolist()]
    return told


def truths(values: Values) -> NDArray[np.bool_]:
    """Any column as yes or no, in the expression language's sense: missing is no."""
    if values.dtype == bool:
        return values
    floats = np.array([as_number(item) for item in values]) if values.dtype == object else values
    return np.asarray((floats != 0) & (floats == floats))  # noqa: PLR0124 - NaN is not itself


def absent(rows: int) -> Values:
    """A column that nobody delivered: *rows* times missing."""
    return np.full(rows, None, dtype=object)


def _objects(series: pl.Series) -> Values:
    told: Values = np.empty(len(series), dtype=object)
    for place, value in enumerate(series.to_list()):  # one by one: a value may be a list itself
        told[place] = value
    return told


def _floats(series: pl.Series) -> NDArray[Any]:
    import polars as pl

    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def pick(columns: Columns, names: Sequence[str], *, rows: int) -> dict[str, Values]:
    """The columns *names*; one that is not there is missing in every row, as in a request."""
    return {name: columns[name] if name in columns else absent(rows) for name in names}

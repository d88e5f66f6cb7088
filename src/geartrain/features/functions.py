"""A team's own functions: pure, on Arrow batches, known by the digest of their source.

A definition holds the digest only, so it stays plain data that can be signed; the code
itself is what the process has loaded from the product's `features.py`. A function that
was not loaded, or whose text has changed, is refused when it is called, never guessed.
Nothing is called when it is declared.
"""

from __future__ import annotations

import builtins
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from geartrain.domain.digest import digest_bytes
from geartrain.domain.features import FeatureType, FunctionFeature
from geartrain.errors import FeatureInvalid
from geartrain.features.terms import number_or_none, term_of_frame, term_of_row

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: A record batch of the columns that the definition reads, to an array of as many values.
Function = Callable[["pa.RecordBatch"], "pa.Array"]

#: How many rows are given to a function once more, each alone.
_ALONE = 5

_known: dict[str, Function] = {}


def remember(function: Function, *, where: str) -> tuple[str, str]:
    """Make *function* callable under the digest of its source, without calling it; its name and that digest.

    Raises:
        FeatureInvalid: Its source cannot be read, or it rests on more than its source.
    """
    name = getattr(function, "__name__", repr(function))
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise FeatureInvalid(
            "the source of this function cannot be read, so it cannot be told from another",
            where=where,
            found=name,
            hint="write it with `def` in the product's features.py",
        ) from error
    outside = [] if not isinstance(function, types.FunctionType) else sorted(set(_outside(function)))
    if not isinstance(function, types.FunctionType) or name == "<lambda>" or outside:
        raise FeatureInvalid(
            "a function may rest on its own text and on imported libraries only: anything else could change unseen",
            where=where,
            found=", ".join(outside) or name,
            hint="write it with `def` and put constants and small steps inside it",
        )
    code = digest_bytes(source.encode())
    _known[code] = function
    return name, code


def remembered() -> Mapping[str, Function]:
    """Every function of this process by its digest, to carry them to another process."""
    return dict(_known)


def recall(functions: Mapping[str, Function]) -> None:
    """Make functions callable that another process remembered."""
    _known.update(functions)


def call_on_frame(
    feature: FunctionFeature, before: Mapping[str, pl.Series], decisions: pl.DataFrame
) -> pl.Series:
    """The feature for each decision row.

    Args:
        feature: What to compute.
        before: The features that stand before this one, in the rows' order.
        decisions: The decision rows.

    Raises:
        FeatureInvalid: The function is not loaded, fails, or gives back something else; or it
            gives a row among others another value than alone, which serving would.
    """
    import polars as pl

    given = {
        name: _told(before[name], kind) if name in before else term_of_frame(name, kind, decisions)
        for name, kind in feature.reads
    }
    whole = _called(feature, given, decisions.height)
    for row in sorted({round(share * (decisions.height - 1)) for share in np.linspace(0, 1, _ALONE)}):
        if not decisions.height:
            break
        alone = _called(feature, {name: values[row : row + 1] for name, values in given.items()}, 1)
        if alone[0] != whole[row]:
            raise FeatureInvalid(
                "the function gives a row another value among others than alone, so serving would differ from training",
                where=f"feature {feature.name}",
                found=f"{feature.function}, row {row}: {whole[row]!r} among others, {alone[0]!r} alone",
                hint="compute each row from its own values only",
            )
    return pl.Series(
        feature.name, whole, dtype=pl.Float64 if feature.type is FeatureType.NUMBER else pl.String
    )


def call_on_row(
    feature: FunctionFeature, before: Mapping[str, object], row: Mapping[str, object]
) -> float | str | None:
    """The feature for one decision, value for value what `call_on_frame` says.

    Raises:
        FeatureInvalid: As for `call_on_frame`.
    """
    given: dict[str, Any] = {}
    for name, kind in feature.reads:
        value = before[name] if name in before else term_of_row(name, kind, row)
        if name in before:
            value = term_of_row(name, kind, {name: value})
        given[name] = np.array([value], dtype=object)
    return _called(feature, given, 1)[0]


def _called(feature: FunctionFeature, given: Mapping[str, Any], rows: int) -> list[float | str | None]:
    import pyarrow as pa

    where = f"feature {feature.name}"
    function = _known.get(feature.code)
    if function is None:
        raise FeatureInvalid(
            "the function of this feature is not loaded here",
            where=where,
            found=f"{feature.function}, source {feature.code[:12]}",
            hint="load the product's features.py of the version that the definition was made with",
        )
    kinds = dict(feature.reads)
    columns = [
        pa.array(
            [_number(value) for value in values.tolist()]
            if kinds[name] is FeatureType.NUMBER and values.dtype == object
            else values,
            type=pa.float64() if kinds[name] is FeatureType.NUMBER else pa.string(),
            from_pandas=True,
        )
        for name, values in given.items()
    ]
    schema = pa.schema([(name, column.type) for name, column in zip(given, columns, strict=True)])
    try:
        answer = function(pa.RecordBatch.from_arrays(columns, schema=schema))
    except Exception as error:
        raise FeatureInvalid(
            "the function of this feature failed",
            where=where,
            found=f"{feature.function}: {type(error).__name__}: {error}",
            hint="a value that is missing is null in the batch",
        ) from error
    wanted = pa.float64() if feature.type is FeatureType.NUMBER else pa.string()
    if isinstance(answer, pa.ChunkedArray):
        answer = answer.combine_chunks()
    if not isinstance(answer, pa.Array) or len(answer) != rows:
        raise FeatureInvalid(
            "the function must give back an Arrow array with a value for each row",
            where=where,
            found=f"{type(answer).__name__} for {rows} rows",
            hint="return pyarrow.compute's result, or pyarrow.array(...)",
        )
    try:
        told = answer.cast(wanted).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise FeatureInvalid(
            f"the function gives back what is no {feature.type}",
            where=where,
            found=str(answer.type),
            hint='declare its `type`, "number" or "category"',
        ) from error
    if feature.type is FeatureType.NUMBER:
        return [None if value is None else number_or_none(value) for value in told]
    return told  # type: ignore[no-any-return]


def _told(series: pl.Series, kind: FeatureType) -> Any:
    name = series.name or "_"
    return term_of_frame(name, kind, series.alias(name).to_frame())


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _outside(function: types.FunctionType) -> Iterator[str]:
    """What the function reads that is neither its own text nor a library."""
    yield from function.__code__.co_freevars
    for name in _names(function.__code__):
        value = function.__globals__.get(name, vars(builtins).get(name))
        home = getattr(value, "__module__", None)
        own = home is None or home == function.__module__
        if name in function.__globals__ and not isinstance(value, types.ModuleType) and own:
            yield name


def _names(code: types.CodeType) -> Iterator[str]:
    """The global names that a function and the functions inside it load."""
    import dis

    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"}:
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)

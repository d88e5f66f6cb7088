"""Whether definitions fit themselves, each other and the contract's data section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from geartrain.domain.contract import (
    Contract,
    DataTerms,
    FieldTerms,
    FieldType,
    Missing,
    SourceKind,
    SourceTerms,
)
from geartrain.domain.expression import parse, quoted
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
from geartrain.errors import ExpressionInvalid, FeatureInvalid

#: What follows a feature's name in the name of its 0/1 column for missing values.
MISSING = "__missing"

_BARE = {Aggregation.COUNT, Aggregation.TIME_SINCE}
_ANY_TYPE = {Aggregation.FIRST, Aggregation.LAST, Aggregation.LAST_N}
_TEXTUAL = {FieldType.STRING, FieldType.TEXT, FieldType.OBJECT}


def check_definitions(features: FeatureSet) -> None:
    """Check what can be known without a contract.

    Raises:
        FeatureInvalid: With every contradiction found.
    """
    _refuse([*_clashes(features), *(trouble for one in features.features for trouble in _of_itself(one))])


def check_features(features: FeatureSet, contract: Contract) -> None:
    """Check that sources, entities and columns exist, and that no feature knows too much.

    A source whose fields the contract does not list cannot be checked for columns.

    Raises:
        FeatureInvalid: With every problem found.
    """
    check_definitions(features)
    if contract.data is None:
        raise FeatureInvalid(
            "the contract has no data section, so no feature can be checked",
            where="data",
            hint="name the decision source and its fields",
        )
    forbidden = forbidden_columns(contract)
    troubles: list[FeatureInvalid] = []
    for one in features.features:
        match one:
            case RequestFeature():
                troubles += _request_troubles(
                    one, contract, contract.data, forbidden, features.made_before(one)
                )
            case WindowFeature():
                troubles += _window_troubles(one, contract, contract.data)
            case LookupFeature():
                troubles += _lookup_troubles(one, contract, contract.data)
            case FunctionFeature():
                before = {each.name for each in features.features[: features.features.index(one)]}
                columns = [name for name, _ in one.reads if name not in before]
                troubles += _read_troubles(
                    columns, f"feature {one.name}", contract, contract.data.decisions, forbidden
                )
            case _:
                assert_never(one)
    _refuse(troubles)


def default_features(contract: Contract) -> FeatureSet:
    """Every field of the decision source that may be a feature, for a product without `features.py`.

    Keys, times, labels, objects, free text, forbidden fields and those marked
    `feature: false` are left out; strings are categories; a field whose missing values
    are a signal gets its 0/1 feature.

    Raises:
        FeatureInvalid: Nothing is left.
    """
    data = contract.data
    source = None if data is None else data.decisions
    taken = forbidden_columns(contract) | {contract.decision.label}
    features = tuple(
        RequestFeature(
            name=field.name,
            expression=quoted(field.name),
            type=FeatureType.CATEGORY if field.type is FieldType.STRING else FeatureType.NUMBER,
            missing_is_signal=field.missing is Missing.SIGNAL,
            description=field.description,
            unit=field.unit,
        )
        for field in (source.fields if source else ())
        if source and field.name not in taken and _may_be_feature(field, source)
    )
    if not features:
        raise FeatureInvalid(
            "the contract's decision source has no field that may be a feature",
            where="data.sources",
            hint="list the fields of the decision source, or write features.py",
        )
    declared = FeatureSet(features=features)
    check_definitions(declared)
    return declared


def forbidden_columns(contract: Contract) -> frozenset[str]:
    """The columns that plausibility clauses forbid the model to look at."""
    forbidden = (clause.parameter("columns") for clause in contract.clauses if clause.metric == "forbidden")
    return frozenset(
        str(name) for names in forbidden for name in (names if isinstance(names, tuple) else (names,))
    )


def columns_read(text: str) -> tuple[str, ...]:
    """The columns that *text*, an expression or a column's plain name, reads.

    >>> columns_read("hour(at) < 6"), columns_read("worst radius")
    (('at',), ('worst radius',))
    """
    try:
        return parse(text).columns
    except ExpressionInvalid:
        return (text,)


def _may_be_feature(field: FieldTerms, source: SourceTerms) -> bool:
    structural = {source.key, source.event_time, source.arrival_time}
    kinds = {FieldType.TIMESTAMP, FieldType.OBJECT, FieldType.TEXT}
    return field.feature and field.name not in structural and field.type not in kinds and not field.unique


def _clashes(features: FeatureSet) -> Iterator[FeatureInvalid]:
    names = Counter(one.name for one in features.features)
    signals = (
        one.name + MISSING
        for one in features.features
        if isinstance(one, RequestFeature) and one.missing_is_signal
    )
    names.update(signals)
    for name, times in names.items():
        if times > 1:
            yield FeatureInvalid(
                f"{times} features have one name",
                where=name,
                hint="give one of them another name, or `named=`",
            )
    if not names:
        yield FeatureInvalid("there is no feature", where="features.py", hint='begin with request("amount")')


def _of_itself(one: Feature) -> Iterator[FeatureInvalid]:
    if not one.name or one.name.startswith("_"):
        yield FeatureInvalid(
            "a feature needs a name that does not begin with `_`",
            where=repr(one.name),
            hint="amount, for example",
        )
    match one:
        case RequestFeature():
            if not one.expression.strip():
                yield FeatureInvalid("the expression is empty", where=one.name, hint="name a column")
            elif _looks_computed(one.expression):
                yield from _unreadable(one.expression, one.name)
        case WindowFeature():
            yield from _window_itself(one)
        case LookupFeature():
            if not one.column.strip():
                yield FeatureInvalid(
                    "a lookup needs a column", where=one.name, hint="name the table's column"
                )
            elif _looks_computed(one.column):
                yield from _unreadable(one.column, one.name)
            if one.where is not None:
                yield from _unreadable(one.where, f"{one.name}: where")
        case FunctionFeature():
            if not one.reads:
                yield FeatureInvalid(
                    "a function that reads nothing says nothing about a row",
                    where=one.name,
                    hint='numbers=("amount",), for example',
                )
        case _:
            assert_never(one)


def _window_itself(one: WindowFeature) -> Iterator[FeatureInvalid]:
    def trouble(message: str, hint: str, found: object = "") -> FeatureInvalid:
        return FeatureInvalid(message, where=one.name, found=str(found), hint=hint)

    if one.aggregation in _BARE and one.column is not None:
        yield trouble(
            f"`{one.aggregation}` takes no column",
            'for known values only, say where="not is_null(column)"',
            one.column,
        )
    if one.aggregation not in _BARE and not one.column:
        yield trouble(f"`{one.aggregation}` needs a column", f'{one.aggregation}="amount", for example')
    if one.width_us is not None and one.width_us <= 0:
        yield trouble(
            "a window must be wider than nothing", "over=7d, or None for all of the past", one.width_us
        )
    if one.delay_us < 0:
        yield trouble("a window cannot end after the decision", "a delay of 0 or more", one.delay_us)
    if (one.aggregation is Aggregation.DECAYED_SUM) != (one.half_life_us is not None):
        yield trouble("`decayed_sum`, and only it, needs a half-life", 'half_life="1d", for example')
    elif one.half_life_us is not None and one.half_life_us <= 0:
        yield trouble(
            "a half-life must be longer than nothing", 'half_life="1d", for example', one.half_life_us
        )
    if (one.aggregation is Aggregation.LAST_N) != (one.n is not None):
        yield trouble("`last_n`, and only it, needs n", "n=1 is the newest event")
    elif one.n is not None and one.n < 1:
        yield trouble("n counts from 1, the newest event", "n=1", one.n)
    if one.type is not FeatureType.NUMBER and one.aggregation not in _ANY_TYPE:
        yield trouble(f"`{one.aggregation}` is a number", 'type="number"', one.type)
    if one.where is not None:
        yield from _unreadable(one.where, f"{one.name}: where")
    if one.column and _looks_computed(one.column):
        yield from _unreadable(one.column, one.name)


def _looks_computed(text: str) -> bool:
    """Whether the text can only be meant as an expression: plain names may hold blanks and hyphens."""
    return any(sign in text for sign in "()<>=*/+`[]")


def _unreadable(text: str, place: str) -> Iterator[FeatureInvalid]:
    try:
        parse(text)
    except ExpressionInvalid as error:
        yield FeatureInvalid(
            "this is no column's name and no expression",
            where=place,
            found=f"{text}: {error.message}",
            hint=error.hint,
        )


def _request_troubles(
    one: RequestFeature,
    contract: Contract,
    data: DataTerms,
    forbidden: frozenset[str],
    made: frozenset[str],
) -> Iterator[FeatureInvalid]:
    source = data.decisions
    where = f"feature {one.name}"
    known = {field.name: field for field in source.fields}
    read = [column for column in _meant(one.expression, known) if column not in made]
    yield from _read_troubles(read, where, contract, source, forbidden)
    field = known.get(one.expression)
    if field is not None and field.type in _TEXTUAL and one.type is FeatureType.NUMBER:
        yield FeatureInvalid(
            "a text column is declared as a number", where=where, found=field.type, hint='say type="category"'
        )


def _read_troubles(
    columns: Iterable[str],
    where: str,
    contract: Contract,
    source: SourceTerms,
    forbidden: frozenset[str],
) -> Iterator[FeatureInvalid]:
    """What is wrong with reading those columns of the decision row."""
    known = {field.name: field for field in source.fields}
    for column in columns:
        if column == contract.decision.label:
            yield FeatureInvalid(
                "a feature reads the label, which is not known when the decision is taken",
                where=where,
                found=column,
                hint="past labels of an entity are a window over the label source, as they arrived",
            )
        elif column in forbidden:
            yield FeatureInvalid(
                "the contract forbids this column",
                where=where,
                found=column,
                hint="leave it out, or change the clause with its owner",
            )
        elif known and column not in known:
            yield _unknown(column, source, where, known)


def _lookup_troubles(one: LookupFeature, contract: Contract, data: DataTerms) -> Iterator[FeatureInvalid]:
    where = f"feature {one.name}"
    source = data.source(one.source)
    if source is None:
        yield FeatureInvalid(
            "there is no such source",
            where=where,
            found=one.source,
            hint="sources: " + ", ".join(each.name for each in data.sources),
        )
        return
    decided = {field.name: field for field in data.decisions.fields}
    if decided and one.entity not in decided:
        yield _unknown(one.entity, data.decisions, f"{where}: entity", decided)
    known = {field.name: field for field in source.fields}
    read = [
        one.key or one.entity,
        *_meant(one.column, known),
        *(_meant(one.where, known) if one.where else ()),
    ]
    for column in read:
        if known and column not in known:
            yield _unknown(column, source, where, known)
        if column == contract.decision.label and source.kind is SourceKind.DECISIONS:
            yield FeatureInvalid(
                "a lookup reads the label, which is not known when the decision is taken",
                where=where,
                found=column,
                hint="past labels of an entity are a window over the label source, as they arrived",
            )
    field = known.get(one.column)
    if field is not None and field.type in _TEXTUAL and one.type is FeatureType.NUMBER:
        yield FeatureInvalid(
            "a text column is declared as a number", where=where, found=field.type, hint='say type="category"'
        )


def _window_troubles(one: WindowFeature, contract: Contract, data: DataTerms) -> Iterator[FeatureInvalid]:
    where = f"feature {one.name}"
    source = data.source(one.source)
    if source is None:
        yield FeatureInvalid(
            "there is no such source",
            where=where,
            found=one.source,
            hint="sources: " + ", ".join(each.name for each in data.sources),
        )
        return
    for place in dict.fromkeys((source, data.decisions)):
        fields = {field.name: field for field in place.fields}
        if fields and one.entity not in fields:
            yield _unknown(one.entity, place, f"{where}: entity", fields)
    known = {field.name: field for field in source.fields}
    read = [
        *(_meant(one.column, known) if one.column else ()),
        *(_meant(one.where, known) if one.where else ()),
    ]
    for column in read:
        if known and column not in known:
            yield _unknown(column, source, where, known)
        own_label = column == contract.decision.label and source.kind is SourceKind.DECISIONS
        if own_label and one.delay_us < contract.decision.label_delay_s * 1e6:
            yield FeatureInvalid(
                "a window reads labels sooner than they are known",
                where=where,
                found=f"delay of {one.delay_us / 1e6:g} s, label delay of {contract.decision.label_delay_s:g} s",
                hint="give the window the label's delay, or aggregate the label source",
            )
    field = known.get(one.column or "")
    number_wanted = one.type is FeatureType.NUMBER and one.aggregation is not Aggregation.DISTINCT
    if field is not None and field.type in _TEXTUAL and number_wanted:
        yield FeatureInvalid(
            f"`{one.aggregation}` of a text column is no number",
            where=where,
            found=f"{field.name}: {field.type}",
            hint='`last`, `first` and `last_n` take type="category"; `distinct` counts texts',
        )


def _meant(text: str, known: Mapping[str, FieldTerms]) -> tuple[str, ...]:
    return (text,) if text in known else columns_read(text)


def _unknown(column: str, source: SourceTerms, where: str, known: Mapping[str, FieldTerms]) -> FeatureInvalid:
    return FeatureInvalid(
        f"source {source.name} has no such column",
        where=where,
        found=column,
        hint="columns: " + ", ".join(known),
    )


def _refuse(troubles: list[FeatureInvalid]) -> None:
    if len(troubles) == 1:
        raise troubles[0]
    if troubles:
        raise FeatureInvalid(
            f"{len(troubles)} feature definitions cannot stand",
            where=", ".join(dict.fromkeys(one.where for one in troubles)),
            found="; ".join(
                f"{one.where}: {one.message}" + (f" ({one.found})" if one.found else "") for one in troubles
            ),
            hint=troubles[0].hint,
        )

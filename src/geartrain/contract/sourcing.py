"""The data section: sources, their columns, and how training rows are kept apart."""

from __future__ import annotations

import math
import re

from geartrain.contract.desk import Desk
from geartrain.contract.models import DataText, FieldText, SourceText, SplitText
from geartrain.contract.reading import Path
from geartrain.domain.contract import CsvTerms, DataTerms, FieldTerms, FieldType, SourceKind, SourceTerms

_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER)
_DAY_S = 86_400.0
_TEXTS = (FieldType.STRING, FieldType.TEXT)


def data_terms(desk: Desk, text: DataText) -> DataTerms:
    """The data section as frozen terms; sources and fields in the order of their names."""
    whole = desk.whole("data")
    for kind, least in ((SourceKind.DECISIONS, 1), (SourceKind.LABELS, 0)):
        names = [name for name, source in text.sources.items() if source.kind is kind]
        if len(names) < least and whole:
            desk.wrong(
                ("data", "sources"),
                "no source holds the rows to decide about",
                found=list(text.sources),
                expected="one source with kind: decisions",
            )
        for name in names[1:]:
            desk.wrong(
                ("data", "sources", name, "kind"),
                f"`{names[0]}` is the source of {kind.value} already",
                found=name,
                expected="kind: events",
            )
    split = text.split or SplitText()
    return DataTerms(
        sources=tuple(_source(desk, name, text.sources[name]) for name in sorted(text.sources)),
        group=split.group,
        time_split=split.by_time,
        **_shares(desk, split),
    )


def _shares(desk: Desk, split: SplitText) -> dict[str, tuple[float, float, float]]:
    if split.group is not None:
        desk.check_column(("data", "split", "group"), split.group)
    if split.shares is None:
        return {}
    search, select, verdict = split.shares
    path = ("data", "split", "shares")
    if not math.isclose(sum(split.shares), 1.0, abs_tol=1e-6):
        desk.wrong(
            path,
            "the shares do not add up to 1",
            found=f"{split.shares}, together {sum(split.shares):.4g}",
            expected="three shares that add up to 1, such as [0.6, 0.2, 0.2]",
        )
    elif min(search, verdict) == 0:
        desk.wrong(
            path,
            "no rows are left to search with or to judge with",
            found=split.shares,
            expected="[0.6, 0.2, 0.2]",
        )
    return {"shares": (search, select, verdict)}


def _source(desk: Desk, name: str, text: SourceText) -> SourceTerms:
    path = ("data", "sources", name)
    label = desk.decision.label if desk.decision else None
    for key in ("key", "event_time", "arrival_time", "decision_key"):
        if (column := getattr(text, key)) is not None:
            desk.check_column((*path, key), column, source=(name, text))
    if text.kind is SourceKind.LABELS and text.decision_key is None and desk.whole("data"):
        desk.wrong(
            path, "nothing says which decision a label belongs to", expected="decision_key: the column's name"
        )
    if text.kind is not SourceKind.LABELS and text.decision_key is not None:
        desk.wrong(
            (*path, "decision_key"),
            "this belongs to a source of labels",
            found=text.decision_key,
            expected="kind: labels, or no decision_key",
        )
    if text.event_time is None and text.arrival_time is not None:
        desk.wrong(
            (*path, "arrival_time"),
            "a row that has an arrival time needs an event time too",
            found=text.arrival_time,
            expected="event_time: the column's name",
        )
    reserved = {text.key, text.event_time, text.arrival_time, text.decision_key, label} - {None}
    fields = tuple(
        _field(desk, (*path, "fields", column), column, terms, reserved=column in reserved)
        for column, terms in sorted(text.fields.items())
    )
    for rule, condition in text.rules.items():
        _check_rule(desk, (*path, "rules", rule), condition)
    for clock in ("event_time", "arrival_time"):
        terms = text.fields.get(getattr(text, clock) or "")
        if terms is not None and terms.type not in {FieldType.TIMESTAMP, FieldType.INTEGER}:
            desk.wrong(
                (*path, "fields", getattr(text, clock), "type"),
                f"this column is the source's {clock}",
                found=terms.type.value,
                expected="timestamp (or integer, microseconds since 1970)",
            )
    return SourceTerms(
        name=name,
        kind=text.kind,
        key=text.key,
        event_time=text.event_time,
        arrival_time=text.arrival_time,
        decision_key=text.decision_key,
        fields=fields,
        freshness_s=None if text.freshness is None else float(text.freshness.at_most),
        rows_per_day=None if text.rows_per_day is None else text.rows_per_day.at_least,
        on_bad_row=text.on_bad_row,
        location=text.location,
        every_column_listed=text.every_column_listed,
        clock_ahead_s=_DAY_S if text.clock_ahead is None else float(text.clock_ahead),
        rules=tuple(sorted(text.rules.items())),
        csv=None if text.csv is None else CsvTerms(**text.csv.model_dump()),
    )


def _check_rule(desk: Desk, path: Path, condition: str) -> None:
    """Whether *condition* is SQL that can be asked of every row."""
    import polars as pl  # only a contract with such rules pays for it

    try:
        pl.sql_expr(condition)
    except (pl.exceptions.PolarsError, AttributeError) as error:
        desk.wrong(
            path,
            f"this is no condition in SQL: {error}",
            found=condition,
            expected="such as amount >= fee AND currency IS NOT NULL",
        )


def _check_references(desk: Desk, path: Path, name: str, text: FieldText) -> None:
    """A value refers to a column of another source; a file's digest is a column of its own."""
    if text.refers_to is not None:
        source, _, column = text.refers_to.partition(".")
        sources = desk.data.sources if desk.data is not None and desk.whole("data") else {}
        terms = sources.get(source)
        known = terms is not None and (
            column == terms.key or column in terms.fields or not terms.every_column_listed
        )
        if sources and not known:
            desk.wrong(
                (*path, "refers_to"),
                "no source has this column",
                found=text.refers_to,
                expected="one of " + ", ".join(f"{one}.{sources[one].key}" for one in sorted(sources)),
            )
    if text.file_digest is not None and (text.type not in _TEXTS or text.file_digest == name):
        desk.wrong(
            (*path, "file_digest"),
            "a file is named by text, and its digest stands in another column",
            found=text.file_digest,
            expected="type: string, and the other column's name",
        )


def _field(desk: Desk, path: Path, name: str, text: FieldText, *, reserved: bool) -> FieldTerms:
    for key in ("min", "max"):
        if getattr(text, key) is not None and text.type not in _NUMBERS:
            desk.wrong(
                (*path, key),
                f"a {text.type.value} has no smallest or largest value",
                found=getattr(text, key),
                expected="type: number, or no bound",
            )
    if text.min is not None and text.max is not None and text.min > text.max:
        desk.wrong(
            (*path, "max"),
            "the largest value lies below the smallest",
            found=f"min {text.min:g}, max {text.max:g}",
            expected=f"max of at least {text.min:g}",
        )
    _check_references(desk, path, name, text)
    _check_values(desk, path, text)
    _check_pattern(desk, path, text)
    if reserved and text.feature:
        desk.wrong(
            (*path, "feature"),
            "a key, a time or the label is never a feature",
            found=True,
            expected="feature: false, or leave the key out",
        )
    return FieldTerms(
        name=name,
        type=text.type,
        required=text.required,
        minimum=text.min,
        maximum=text.max,
        values=tuple(text.values or ()),
        pattern=text.pattern,
        unique=text.unique,
        unit=text.unit,
        description=text.description,
        path=text.path,
        missing=text.missing,
        feature=not reserved and text.feature is not False,
        sensitive=text.sensitive,
        known_after_s=None if text.known_after is None else float(text.known_after),
        refers_to=text.refers_to,
        file_digest=text.file_digest,
    )


def _check_values(desk: Desk, path: Path, text: FieldText) -> None:
    for index, value in enumerate(text.values or ()):
        place = (*path, "values", index)
        if text.type in _NUMBERS:
            try:
                number = float(value)
            except ValueError:
                desk.wrong(
                    place,
                    f"the column is a {text.type.value}",
                    found=value,
                    expected="a number, or type: string",
                )
                continue
            if (text.min is not None and number < text.min) or (text.max is not None and number > text.max):
                desk.wrong(
                    place,
                    "this value lies outside min and max",
                    found=value,
                    expected="a value within the bounds",
                )
        elif text.type is FieldType.BOOLEAN and value not in {"true", "false"}:
            desk.wrong(place, "the column is true or false", found=value, expected="true or false")
    if text.values and len(set(text.values)) < len(text.values):
        desk.wrong(
            (*path, "values"), "a value stands here twice", found=text.values, expected="each value once"
        )


def _check_pattern(desk: Desk, path: Path, text: FieldText) -> None:
    if text.pattern is None:
        return
    if text.type not in _TEXTS:
        desk.wrong(
            (*path, "pattern"),
            f"a {text.type.value} has no pattern",
            found=text.pattern,
            expected="type: string, or no pattern",
        )
    try:
        compiled = re.compile(text.pattern)
    except re.error as error:
        desk.wrong(
            (*path, "pattern"),
            f"this is not a regular expression: {error}",
            found=text.pattern,
            expected="such as [A-Z]{2}[0-9]+",
        )
        return
    for index, value in enumerate(text.values or ()):
        if compiled.fullmatch(value) is None:
            desk.wrong(
                (*path, "values", index),
                "this value does not match the pattern",
                found=value,
                expected=text.pattern,
            )

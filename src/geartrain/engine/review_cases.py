"""A decision in full, as whoever looks at it sees it: the row, the features, the reasons, and later the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import pyarrow.compute as pc

from geartrain.documents.spelling import moment, number
from geartrain.domain.columns import as_text, texts_of
from geartrain.domain.contract import Contract, FieldType
from geartrain.domain.digest import canonical
from geartrain.domain.prediction import Decision
from geartrain.domain.wording import class_in_words, plain_name
from geartrain.engine.feature_words import described
from geartrain.engine.logbook import DECISIONS, FEATURE, decision_of
from geartrain.engine.release_words import (
    Reason,
    hidden_features,
    may_be_shown,
    reading_of,
)
from geartrain.engine.rows import OUTCOMES, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.serving.reasons import rank_in_words

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that is known about the case.

    Attributes:
        words: What it is.
        value: As people read it; `missing` where nothing was said.
        rank: Where it lies among the rows that were learned from; empty in the middle.
    """

    name: str
    words: str
    value: str
    unit: str = ""
    rank: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FullCase:
    """A decision and all that may be shown about it.

    Attributes:
        at: The time that it is about.
        row: The row's own columns.
        features: What the model was told beside them.
        said: The model's answer: of two classes the probability of the one that is looked for.
        reasons: Why, the strongest first; empty where the release cannot be asked any more.
        hidden: The columns and features that are sensitive, by name and without value.
        logged: What the log holds of it, sensitive things too: for recording, never for showing.
        as_known_case: The row as a known case of the contract spells it, as JSON; no sensitive value in it.
    """

    decision: Decision
    at: datetime
    row: tuple[Said, ...]
    features: tuple[Said, ...]
    said: tuple[tuple[str, float], ...]
    reasons: tuple[Reason, ...]
    hidden: tuple[str, ...]
    as_known_case: str
    logged: Mapping[str, object]


def full_case(
    workspace: Workspace, contract: Contract, decision: str, *, now: datetime, at: datetime | None = None
) -> FullCase | None:
    """The decision with that id, or None; *at* is the time that it is about, where that is known."""
    logged = _logged(workspace, contract.product.name, decision, now=now, at=at)
    if logged is None:
        return None
    made = decision_of(logged, contract.product.name)
    about = logged[EVENT_TIME]
    assert isinstance(about, datetime)
    reading = reading_of(workspace, made.release)
    values = {name.removeprefix(FEATURE): value for name, value in logged.items() if name.startswith(FEATURE)}
    source = contract.data.decisions if contract.data else None
    fields = [one for one in source.fields if one.name != contract.decision.label] if source else []
    sent = _sent(workspace, contract, logged)
    shown = [one for one in fields if may_be_shown(contract, one) and one.name in sent]
    hidden = hidden_features(contract, reading.encoding) if reading else frozenset()
    known = {one.name for one in shown}
    spreads = {one.column: one.spread for one in reading.served.words} if reading else {}

    def rank(name: str) -> str:
        value = values.get(name)
        if name in hidden or not isinstance(value, float):
            return ""
        return rank_in_words(spreads.get(name), value)

    row = tuple(
        Said(
            name=one.name,
            words=one.description or (reading.label(one.name) if reading else plain_name(one.name)),
            value=_row_text(sent[one.name], one.type),
            unit=one.unit,
            rank=rank(one.name),
        )
        for one in shown
    )
    features = tuple(
        Said(
            name=one.name,
            words=described(one),
            value=_text(values[one.name], 4),
            unit=one.unit,
            rank=rank(one.name),
        )
        for one in (reading.encoding.feature_set.features if reading else ())
        if one.name in values and one.name not in hidden and one.name not in known
    )
    reasons = reading.reasons(pl.DataFrame([values]), hidden=hidden) if reading and values else ()
    return FullCase(
        decision=made,
        at=about,
        row=row,
        features=features,
        said=_model_said(contract, made),
        reasons=reasons,
        hidden=tuple(sorted({one.name for one in fields if one.sensitive} | hidden)),
        as_known_case=canonical(
            {
                name: value
                for name, value in sorted(values.items())
                if name not in hidden and value is not None
            }
        ).decode(),
        logged=logged,
    )


def known_truth(workspace: Workspace, contract: Contract, case: FullCase, *, now: datetime) -> str | None:
    """What became known about the case by *now*: the last word; None where nothing did."""
    data, label, product = contract.data, contract.decision.label, contract.product.name
    if data is None:
        return None
    key = case.decision.key or case.decision.id
    told: list[tuple[datetime, str]] = _told(
        workspace, table_of(product, OUTCOMES), "key", "label", key, now=now
    )
    if data.labels is not None:
        named = data.labels.decision_key or data.labels.key
        table = table_of(product, data.labels.name)
        told += _told(workspace, table, named, label, key, now=now, since=case.at)
    elif case.at + timedelta(seconds=contract.decision.label_delay_s) <= now:
        # A label in the row itself was not known before the label delay.
        table = table_of(product, data.decisions.name)
        told += _told(
            workspace, table, data.decisions.key, label, key, now=now, since=case.at, until=case.at + _INSTANT
        )
    return max(told)[1] if told else None


def _told(
    workspace: Workspace,
    table: str,
    named: str,
    label: str,
    key: str,
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[tuple[datetime, str]]:
    held = frame_of(
        workspace.lake.scan(
            table, arrived_by=now, since=since, until=until, columns=(named, label, ARRIVAL_TIME)
        )
    )
    if not {named, label} <= set(held.columns):
        return []
    mine = held.filter(texts_of(held.get_column(named)) == key)
    labels = texts_of(mine.get_column(label)).to_list()
    times = mine.get_column(ARRIVAL_TIME).to_list()
    return [(at, said) for at, said in zip(times, labels, strict=True) if said is not None]


def _logged(
    workspace: Workspace, product: str, decision: str, *, now: datetime, at: datetime | None
) -> Mapping[str, object] | None:
    """The log's row; found by its time, which is looked up by its id where nobody knows it."""
    table = table_of(product, DECISIONS)
    if at is None:
        held = workspace.lake.scan(table, arrived_by=now, columns=(EVENT_TIME, "decision_id"))
        if held.num_columns == 0:
            return None
        # Compared in place: a log of a million ids is not copied to find one of them.
        place = pc.index(held.column("decision_id"), decision).as_py()
        if place < 0:
            return None
        at = held.column(EVENT_TIME)[place].as_py()
    rows = frame_of(workspace.lake.scan(table, since=at, until=at + _INSTANT))
    mine = rows.filter(pl.col("decision_id") == decision) if rows.height else rows
    return mine.row(0, named=True) if mine.height else None


def _sent(workspace: Workspace, contract: Contract, logged: Mapping[str, object]) -> Mapping[str, object]:
    """The row as it was sent; where the log did not keep it, as its source delivered it."""
    if logged.get("row"):
        found = json.loads(str(logged["row"]))
        return found if isinstance(found, dict) else {}
    if contract.data is None:
        return {}
    source, at = contract.data.decisions, logged[EVENT_TIME]
    assert isinstance(at, datetime)
    held = frame_of(
        workspace.lake.scan(table_of(contract.product.name, source.name), since=at, until=at + _INSTANT)
    )
    if source.key not in held.columns:
        return {}
    mine = held.filter(texts_of(held.get_column(source.key)) == str(logged["key"]))
    return mine.row(0, named=True) if mine.height else {}


def _text(value: object, digits: int = 6) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, float) and value == value:  # noqa: PLR0124 - NaN is missing
        return number(value, digits)
    return as_text(value) or "missing"


def _row_text(value: object, kind: FieldType) -> str:
    if kind is FieldType.TIMESTAMP and isinstance(value, str):
        try:
            return moment(datetime.fromisoformat(value))
        except ValueError:
            return value
    return _text(value)


def _model_said(contract: Contract, made: Decision) -> tuple[tuple[str, float], ...]:
    terms = contract.decision
    return tuple(
        (class_in_words(terms.label, name), value)
        for name, value in made.probabilities
        if terms.positive is None or len(made.probabilities) != 2 or name == terms.positive
    )

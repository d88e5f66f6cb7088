"""A first `product.yaml`, written from what was seen in a file of rows, for a team to argue about.

It parses and the loop runs on it, but it promises little: costs are all one, and every
section that only people can fill stands there as a comment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import yaml

from geartrain.domain.contract import FieldType
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.errors import ColumnMissing, TrainingImpossible

#: More different values than this make a number a quantity, not a code for classes.
MOST_CLASSES = 20
#: Stands for the key where no column names a row.
NO_KEY = "row_id"
_LIKELY_POSITIVE = ("true", "1", "1.0", "yes", "y", "positive", "bad", "fraud", "malignant", "spam")


class Seen(Protocol):
    """What must be known of a column; the data room's summary is one."""

    @property
    def name(self) -> str:
        """The column."""

    @property
    def type(self) -> FieldType:
        """Its type."""

    @property
    def rows(self) -> int:
        """How many rows were looked at."""

    @property
    def nulls(self) -> int:
        """How many of them lack it."""

    @property
    def distinct(self) -> int:
        """How many different values it has."""

    @property
    def minimum(self) -> str | None:
        """The least, where values have an order."""

    @property
    def maximum(self) -> str | None:
        """The greatest."""

    @property
    def values(self) -> tuple[str, ...]:
        """Each value, where they are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSeen:
    """One column as it was found in a file."""

    name: str
    type: FieldType
    rows: int
    nulls: int = 0
    distinct: int = 0
    minimum: str | None = None
    maximum: str | None = None
    values: tuple[str, ...] = ()


def scaffold(
    name: str,
    *,
    columns: Sequence[Seen],
    label: str,
    title: str = "",
    task: Task | None = None,
    positive: str | None = None,
    key: str | None = None,
    event_time: str | None = None,
    location: str | None = None,
    person: str = "you",
) -> str:
    """Write a commented contract that parses.

    What is not given is taken from the columns: the task from the label's values, the key
    from the first column without repetitions, the time from the only column of times.

    Raises:
        ColumnMissing: No column is called *label*.
        TrainingImpossible: The label's values do not fit the task.
    """
    known = {column.name: column for column in columns if column.name.strip()}
    if label not in known:
        raise ColumnMissing(
            f"there is no column `{label}`", where="the label", hint="columns: " + ", ".join(known)
        )
    kind = task or infer_task(known[label])
    _check_positive(known[label], kind, positive)
    chosen_key = key or _key(columns, label)
    times = [one.name for one in columns if one.type is FieldType.TIMESTAMP]
    clock = event_time or (times[0] if len(times) == 1 and times[0] != label else None)
    lines = [
        f"# The contract of {name}: what the team promised each other, and why.",
        "# Everything else is compiled from this file and checked against it. Lines to argue about say so.",
        "geartrain: 1",
        "",
        "product:",
        f"  name: {_quoted(name)}",
        f"  title: {_quoted(title or name)}",
        "  problem: which decision is hard today, and for whom?  # to be written by the product owner",
        "",
        *_decision(known[label], kind, positive),
        "",
        *_costs(kind),
        "",
        *_success(kind),
        "",
        "budget:",
        "  load: 10 per second",
        "  latency_p99: {at_most: 50 ms, because: nobody said yet how fast it must be}",
        "",
        *_data(known, label=label, kind=kind, key=chosen_key, clock=clock, location=location),
        "",
        *_OTHERS,
        "",
        "release:",
        "  two_roles_one_person: true  # as long as one person holds every role",
        "",
        "team:",
        *(f"  {role.value}: [{_quoted(person)}]" for role in Role),
    ]
    return "\n".join(lines) + "\n"


def infer_task(label: Seen) -> Task:
    """The task that a label's values speak of: two are binary, a few are classes, many numbers a regression.

    >>> infer_task(ColumnSeen(name="y", type=FieldType.STRING, rows=9, distinct=2, values=("a", "b")))
    <Task.BINARY: 'binary'>
    """
    if label.distinct == 2:
        return Task.BINARY
    if label.type in {FieldType.NUMBER, FieldType.INTEGER} and (
        label.type is FieldType.NUMBER or label.distinct > MOST_CLASSES
    ):
        return Task.REGRESSION
    return Task.MULTICLASS


def _quoted(text: str) -> str:
    """The text as one line of YAML, in quotes where plain would mean something else."""
    plain = all(character.isalnum() or character in "_- ." for character in text) and text.isascii()
    reserved = text.lower() in {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    if plain and text and text[0].isalpha() and text == text.strip() and not reserved:
        return text
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1_000_000)
    return dumped.rstrip("\n")


def _key(columns: Sequence[Seen], label: str) -> str:
    names = (FieldType.STRING, FieldType.INTEGER)
    return next(
        (
            one.name
            for one in columns
            if one.type in names
            and one.rows
            and one.distinct == one.rows
            and one.name != label
            and one.name.strip()
        ),
        NO_KEY,
    )


def _check_positive(label: Seen, task: Task, positive: str | None) -> None:
    """Only a binary decision looks for one class, and that is one of the label's values."""
    if positive is None:
        return
    if task is not Task.BINARY:
        raise TrainingImpossible(
            "only a binary decision has a positive class",
            where=f"column {label.name}",
            found=f"positive `{positive}` and the task {task.value}",
            hint="leave the positive class out, or name the task binary if the label has two values",
        )
    if len(label.values) == 2 and positive not in label.values:
        raise TrainingImpossible(
            f"`{positive}` is none of the label's values",
            where=f"column {label.name}",
            found=", ".join(label.values),
            hint="name one of these as the positive class, written the same way",
        )


def _decision(label: Seen, task: Task, positive: str | None) -> list[str]:
    lines = [
        "decision:",
        f"  task: {task.value}",
        "  unit: one row  # what one decision is about",
        f"  label: {_quoted(label.name)}",
    ]
    match task:
        case Task.BINARY:
            if len(label.values) != 2:
                raise TrainingImpossible(
                    "a binary decision needs a label of two values",
                    where=f"column {label.name}",
                    found=", ".join(label.values) or f"{label.distinct} different values",
                    hint="name another task",
                )
            found = positive or next(
                (one for one in label.values if one.lower() in _LIKELY_POSITIVE), label.values[-1]
            )
            other = next(one for one in label.values if one != found)
            lines += [
                f"  positive: {_quoted(found)}  # the class that the product looks for",
                "  actions:  # what is done about each",
                f"    {_quoted(found)}: {_quoted(found)}",
                f"    {_quoted(other)}: {_quoted(other)}",
            ]
        case Task.MULTICLASS:
            if label.distinct < 2:
                raise TrainingImpossible(
                    "the label has fewer than two values",
                    where=f"column {label.name}",
                    found=str(label.distinct),
                )
            if len(label.values) >= 2:
                lines.append(f"  classes: [{', '.join(_quoted(one) for one in label.values)}]")
        case _:
            if label.type not in {FieldType.NUMBER, FieldType.INTEGER}:
                raise TrainingImpossible(
                    "a regression's label is a number", where=f"column {label.name}", found=label.type.value
                )
    return [*lines, "  label_delay: 0 days  # after how long the truth is known"]


def _costs(task: Task) -> list[str]:
    lines = ["costs:  # to be argued about first: what does each error really cost?", "  currency: errors"]
    match task:
        case Task.BINARY:
            return [
                *lines,
                "  false_negative: 1  # a number, or an expression over columns",
                "  false_positive: 1",
            ]
        case Task.MULTICLASS:
            return [*lines, "  otherwise: 1  # name costlier mistakes under `errors:`"]
        case _:
            return [*lines, "  error: abs(error)  # error is prediction - truth"]


def _success(task: Task) -> list[str]:
    baseline = "mean" if task is Task.REGRESSION else "most-frequent"
    return [
        "success:",
        "  expected_cost:",
        "    at_most: 0.9",
        f"    relative_to: {baseline}",
        "    because: a product that saves less than a tenth is not worth its upkeep  # yours to decide",
    ]


def _data(
    known: dict[str, Seen], *, label: str, kind: Task, key: str, clock: str | None, location: str | None
) -> list[str]:
    lines = [
        "data:",
        "  split:",
        "    shares: [0.6, 0.2, 0.2]  # to search with, to select with, to judge with once",
    ]
    if clock:
        lines.append("    by_time: true")
    lines += ["  sources:", "    rows:", "      kind: decisions"]
    missing = "" if key in known else "  # no column names a row: its delivery and its place there do"
    lines.append(f"      key: {_quoted(key)}{missing}")
    if clock:
        lines.append(f"      event_time: {_quoted(clock)}")
    if location:
        lines.append(f"      location: {_quoted(location)}")
    lines.append("      fields:")
    for column in known.values():
        stated = [f"type: {_type(column, label=label, kind=kind).value}"]
        if column.name in {key, clock}:
            stated.append("required: true")
        if column.name == label and kind.has_classes and len(column.values) >= 2:
            stated.append(f"values: [{', '.join(_quoted(one) for one in column.values)}]")
        lines.append(f"        {_quoted(column.name)}: {{{', '.join(stated)}}}  # {_remark(column)}")
    return lines


def _type(column: Seen, *, label: str, kind: Task) -> FieldType:
    """A label of classes is a name even where it is written as a number with decimals."""
    if column.name == label and kind.has_classes and column.type is FieldType.NUMBER:
        return FieldType.STRING
    return column.type


def _remark(column: Seen) -> str:
    seen = f"{column.distinct} different"
    if column.minimum is not None and column.maximum is not None:
        seen = f"{column.minimum} to {column.maximum}"
    missing = f", {column.nulls} of {column.rows} missing" if column.nulls else ""
    return "".join(character if character.isprintable() else " " for character in f"seen: {seen}{missing}")


_OTHERS = """\
# Sections that nobody has filled yet; the room says so until someone does.
#
# plausibility:  # the domain expert: what must be true if the model has learned the right thing?
#   rises_with_size: {rises_with: a column, at_most: 0.02, because: why it must}
#   no_identity: {forbidden: [a column], because: it says nothing about the matter}
#
# fairness:
#   alike: {groups: a column, definition: equal_opportunity, at_most: 0.1, because: why this one}
#
# integrity:  # leakage is checked unasked; here you say what you see differently, and why
#   target_proxy: {accept: [a column], because: it is known when the decision is made}
#
# monitoring:
#   false_alarms: {ever: 0.01, every: 365 days}
#   smallest_change: 0.1
#   window: 30 days
#
# retraining:
#   on_alarm: true
#   action: propose
#   cool_down: 30 days""".splitlines()

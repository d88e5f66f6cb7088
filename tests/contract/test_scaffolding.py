"""The first contract that `geartrain new` writes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from geartrain.contract.parsing import parse
from geartrain.contract.reading import read
from geartrain.contract.scaffolding import ColumnSeen, scaffold
from geartrain.contract.schema import schema
from geartrain.domain.contract import FieldType
from geartrain.domain.task import Task
from geartrain.errors import ColumnMissing, TrainingImpossible

PATIENT = ColumnSeen(name="patient id", type=FieldType.STRING, rows=90, distinct=90)
WHEN = ColumnSeen(
    name="seen", type=FieldType.TIMESTAMP, rows=90, distinct=88, minimum="2026-01-01", maximum="2026-03-01"
)
SIZE = ColumnSeen(
    name="size: mm", type=FieldType.NUMBER, rows=90, nulls=3, distinct=70, minimum="0.1", maximum="30"
)
ILL = ColumnSeen(name="ill", type=FieldType.STRING, rows=90, distinct=2, values=("no", "yes"))


def test_what_was_seen_is_written_down() -> None:
    """Task, classes, key, time and what each column holds."""
    text = scaffold(
        "ward",
        columns=(PATIENT, WHEN, SIZE, ILL),
        label="ill",
        title="The ward",
        person="Ann",
        location="ward.csv",
    )
    contract = parse(text)

    assert contract.decision.classes == ("no", "yes")
    assert contract.data is not None
    assert contract.data.decisions.key == "patient id"
    assert contract.data.decisions.event_time == "seen"
    assert contract.data.decisions.location == "ward.csv"
    assert contract.data.time_split
    assert {one.name for one in contract.data.decisions.fields if one.feature} == {"size: mm"}
    assert '"size: mm": {type: number}  # seen: 0.1 to 30, 3 of 90 missing' in text
    assert "plausibility" in contract.silent


@pytest.mark.parametrize(
    ("label", "task"),
    [
        (ILL, Task.BINARY),
        (ColumnSeen(name="y", type=FieldType.INTEGER, rows=90, distinct=3, values=("0", "1", "2")), Task.MULTICLASS),
        (ColumnSeen(name="y", type=FieldType.STRING, rows=90, distinct=60), Task.MULTICLASS),
        (ColumnSeen(name="y", type=FieldType.NUMBER, rows=90, distinct=80), Task.REGRESSION),
        (ColumnSeen(name="y", type=FieldType.INTEGER, rows=90, distinct=80), Task.REGRESSION),
        (ColumnSeen(name="y", type=FieldType.BOOLEAN, rows=90, distinct=2, values=("false", "true")), Task.BINARY),
    ],
)  # fmt: skip
def test_the_task_follows_from_the_label(label: ColumnSeen, task: Task) -> None:
    """Two values, a few, or a quantity."""
    contract = parse(scaffold("p", columns=(PATIENT, label), label=label.name))

    assert contract.decision.task is task


def test_a_positive_class_can_be_named() -> None:
    """The likely one is only a guess."""
    contract = parse(scaffold("p", columns=(PATIENT, ILL), label="ill", positive="no"))

    assert contract.decision.positive == "no"


def test_a_label_that_is_not_there_or_does_not_fit_is_refused() -> None:
    """With what there is."""
    with pytest.raises(ColumnMissing, match="there is no column `sick`"):
        scaffold("p", columns=(PATIENT, ILL), label="sick")
    with pytest.raises(TrainingImpossible, match="needs a label of two values"):
        scaffold("p", columns=(PATIENT, SIZE), label="size: mm", task=Task.BINARY)
    with pytest.raises(TrainingImpossible, match="a regression's label is a number"):
        scaffold("p", columns=(PATIENT, ILL), label="ill", task=Task.REGRESSION)


def test_a_positive_class_that_cannot_be_one_is_refused() -> None:
    """A value that the label has not is named as such, and only a binary decision has a positive class."""
    with pytest.raises(TrainingImpossible, match="`YES` is none of the label's values") as caught:
        scaffold("p", columns=(PATIENT, ILL), label="ill", positive="YES")
    assert caught.value.found == ", ".join(ILL.values)
    with pytest.raises(TrainingImpossible, match="only a binary decision has a positive class"):
        scaffold("p", columns=(PATIENT, ILL), label="ill", task=Task.MULTICLASS, positive="yes")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
COLUMNS = st.lists(
    st.builds(
        ColumnSeen,
        name=NAMES,
        type=st.sampled_from(FieldType),
        rows=st.just(50),
        nulls=st.integers(0, 50),
        distinct=st.integers(0, 50),
        minimum=st.none() | NAMES,
        maximum=st.none() | NAMES,
    ),
    max_size=6,
    unique_by=lambda one: one.name,
)


@settings(max_examples=50)
@given(
    columns=COLUMNS,
    label=NAMES,
    values=st.lists(NAMES, min_size=2, max_size=4, unique=True),
    title=NAMES,
    person=NAMES,
)
def test_it_always_parses(
    columns: list[ColumnSeen], label: str, values: list[str], title: str, person: str
) -> None:
    """Whatever columns, classes and people are called, the text is YAML that means them."""
    seen = ColumnSeen(name=label, type=FieldType.STRING, rows=50, distinct=len(values), values=tuple(values))
    others = [one for one in columns if one.name != label]

    text = scaffold("p", columns=(*others, seen), label=label, title=title, person=person)
    contract = parse(text)

    assert contract.decision.label == label
    assert set(contract.decision.classes) == set(values)
    assert contract.data is not None
    assert {one.name for one in contract.data.decisions.fields} == {one.name for one in (*others, seen)}
    assert not list(Draft202012Validator(schema()).iter_errors(read(text, origin="").content))

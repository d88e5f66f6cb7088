"""`geartrain feasibility`, as a team sees it: what it prints, on few rows, leaking rows and bad ones."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from tests.cli.conftest import CONTRACT, Shell, csv_of

from geartrain.cli.feasibility import WIDTH, told
from geartrain.evaluation.prospect import Feasibility, Prospect, Statement, Topic, Verdict

RICCI = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tabular" / "ricci.parquet"

PROMOTION = """\
geartrain: 1
product: {name: promotion, title: Promotion, problem: who has passed the exam}
decision:
  task: binary
  unit: one candidate
  label: Promoted
  positive: "1"
  classes: ["-1", "1"]
  actions: {"1": promote, "-1": wait}
costs: {currency: complaints, false_negative: 2, false_positive: 1}
success:
  expected_cost: {at_most: 0.5, relative_to: always-wait, because: a list by rank is free}
  accuracy: {at_least: 0.97, because: a wrong promotion is a lawsuit}
fairness:
  race: {groups: Race, definition: equal_opportunity, at_most: 0.1, smallest_group: 30, because: the law}
data:
  sources:
    exams:
      kind: decisions
      key: id
      fields:
        id: {type: string, required: true}
        Position: {type: string}
        Oral: {type: number}
        Written: {type: number}
        Race: {type: string, feature: false}
        Combine: {type: number}
        Promoted: {type: integer}
team: {product: [ann], domain: [ben], engineering: [cyd], science: [dan]}
"""


@pytest.mark.skipif(not RICCI.is_file(), reason="the shared data sets are not on this machine")
def test_ricci_is_too_little_data_and_a_leak(tmp_path: Path, shell: Shell) -> None:
    """118 rows prove neither accuracy nor fairness, and `Combine` is the rule itself: both are said."""
    (tmp_path / "product.yaml").write_text(PROMOTION)
    rows = pl.read_parquet(RICCI).with_row_index("id").with_columns(pl.col("id").cast(pl.String))
    rows.write_parquet(tmp_path / "exams.parquet")
    assert shell(tmp_path, "ingest", "exams.parquet").code == 0

    answer = shell(tmp_path, "feasibility", "--shuffles", "0", "--json")

    assert answer.code == 1, answer.err
    result = answer.document["result"]
    found = {one["clause"]: one for one in result["prospects"]}
    assert found["success.accuracy"]["verdict"] == "cannot"
    assert found["success.accuracy"]["relevant_needed"] == 138
    assert found["success.accuracy"]["rows_needed"] == 690
    assert found["fairness.race"]["verdict"] == "cannot"
    assert found["integrity.target_proxy"]["verdict"] == "cannot"
    assert "`Combine`" in found["integrity.target_proxy"]["reason"]
    # A quick model keeps the cost, because it reads the answer: that is worth nothing.
    assert found["success.expected_cost"]["verdict"] == "unknown"
    assert "`Combine` gives the label away" in found["success.expected_cost"]["reason"]
    topics = {one["topic"]: one["text"] for one in result["statements"]}
    assert "too few to prove 2 of 7 promises" in " ".join(
        one["text"] for one in result["statements"] if one["topic"] == "the rows"
    )
    assert topics["too good to be true"].startswith("`Combine` alone is right")


def test_what_is_printed() -> None:
    """The whole answer, word for word: headings, wrapped sentences, what stands in the way first."""
    found = Feasibility(
        findings=(),
        prospects=(
            Prospect(clause="success.auc", verdict=Verdict.CAN, reason="a quick model keeps it"),
            Prospect(
                clause="success.recall",
                verdict=Verdict.CANNOT,
                reason="even without one error, 138 `malignant` rows are needed to prove recall at least 0.97",
            ),
            Prospect(
                clause="success.cost",
                verdict=Verdict.UNKNOWN,
                reason="a quick model leaves it open",
                outlook="with twice the rows it can: 0.2 (0.1 to 0.24) is to be expected",
            ),
        ),
        margins=(
            Prospect(
                clause="compression: at most 5% dearer", verdict=Verdict.CAN, reason="about 200 rows prove it"
            ),
        ),
        statements=(
            Statement(topic=Topic.WITHOUT, text="always-biopsy costs 0.627 (0.587 to 0.667) biopsies a row"),
            Statement(topic=Topic.ROWS, text="569 labelled rows: 357 benign, 212 malignant"),
            Statement(
                topic=Topic.ROWS,
                text="284 of them may be learned from and were looked at; about 170 will stand sealed, to prove",
            ),
        ),
    )
    assert "\n".join(told(found)) == (
        """\
The rows
  569 labelled rows: 357 benign, 212 malignant
  284 of them may be learned from and were looked at; about 170 will stand
    sealed, to prove

Without a model
  always-biopsy costs 0.627 (0.587 to 0.667) biopsies a row

3 promises: 1 can, 1 cannot, 1 unknown
  cannot   success.recall
           even without one error, 138 `malignant` rows are needed to prove
           recall at least 0.97
  unknown  success.cost
           a quick model leaves it open
           with twice the rows it can: 0.2 (0.1 to 0.24) is to be expected
  can      success.auc
           a quick model keeps it

Rows that later comparisons take
  can      compression: at most 5% dearer
           about 200 rows prove it

1 of 3 promises cannot be kept as they stand: bring rows, mend what is named
above, or loosen them together with their owners"""
    )


def _asked(folder: Path, shell: Shell, *lines: str) -> tuple[int, str]:
    """What the command prints after taking these rows in, its lines held to the width of a terminal."""
    shell(folder, "ingest", csv_of(folder, "rows.csv", *lines))
    answer = shell(folder, "feasibility", "--shuffles", "0")
    assert answer.code in {0, 1}, answer.err
    assert max(len(line) for line in answer.out.splitlines()) <= WIDTH
    assert "nan" not in answer.out
    return answer.code, " ".join(answer.out.split())


def _row(place: int, *, amount: str = "", label: str = "") -> str:
    drawn = random.Random(place).gauss(110 if place % 2 else 60, 20)
    return f"r{place},{amount or f'{drawn:.1f}'},{label or ('bad' if place % 2 else 'good')}"


def test_one_class_only(tiny: Path, shell: Shell) -> None:
    """Rows of one class train nothing, and which class is missing is said."""
    code, text = _asked(tiny, shell, *(_row(place, label="good") for place in range(60)))
    assert code == 1
    assert "60 labelled rows: 60 good, 0 bad" in text
    assert "no model can be trained on these rows: there is only one class to learn ('bad' 0 rows)" in text


def test_a_constant_feature(tiny: Path, shell: Shell) -> None:
    """A feature that never changes is named, and what it leads to is told as it is."""
    code, text = _asked(tiny, shell, *(_row(place, amount="7") for place in range(60)))
    assert code == 1
    assert "feature `amount` has the same value in every row and can tell nothing" in text
    assert "cannot integrity.duplicates these rows and definitions break it" in text
    assert "cannot success.expected_cost not by a quick model with these rows" in text


@pytest.mark.parametrize("count", [15, 60], ids=["too few to train on", "enough"])
def test_a_feature_that_reads_what_is_known_later(tiny: Path, shell: Shell, count: int) -> None:
    """The contract says that `amount` is known 3 days later: no model mends that, and nobody is asked when it is."""
    said = CONTRACT.replace("amount: {type: number", 'amount: {known_after: "3 days", type: number')
    assert said != CONTRACT
    (tiny / "product.yaml").write_text(said)
    code, text = _asked(tiny, shell, *(_row(place) for place in range(count)))
    assert code == 1
    assert "cannot integrity.availability these rows and definitions break it" in text
    assert "`amount` reads `amount`, known 3 days later" in text
    assert "Say `known_after`" not in text


def test_fewer_than_twenty_rows(tiny: Path, shell: Shell) -> None:
    """Fifteen rows are called too few, and no figure is made of them that looks like one."""
    code, text = _asked(tiny, shell, *(_row(place) for place in range(15)))
    assert code == 1
    assert "15 rows are too few to learn or to prove anything from" in text
    assert "too few rows have a label to train and to judge" in text


def test_text_where_numbers_should_be_and_labels_missing(tiny: Path, shell: Shell) -> None:
    """Rows that the door kept out are told, with the reason; rows without a label are counted and left out."""
    lines = [_row(place, amount="a lot" if place % 3 == 0 else "") for place in range(120)]
    lines[1::30] = [line.rsplit(",", 1)[0] + "," for line in lines[1::30]]
    _, text = _asked(tiny, shell, *lines)
    assert "40 rows of `rows` wait in quarantine and take no part" in text
    assert "amount: is not a number" in text
    assert "76 labelled rows" in text
    assert "4 more rows (5.0%) have no label and were left out" in text
    assert "every figure here is about the others only" in text


def test_a_sample_that_was_labelled_twice(tiny: Path, shell: Shell) -> None:
    """`--second-labels` gives kappa and the human ceiling; a column that is not there is an error."""
    contract = CONTRACT.replace(
        "        outcome:", "        again: {type: string, feature: false}\n        outcome:"
    ).replace("  expected_cost:", "  accuracy: {at_least: 0.9, because: few errors}\n  expected_cost:")
    (tiny / "product.yaml").write_text(contract)
    rows = [_row(place).split(",") for place in range(200)]
    for place, row in enumerate(rows):
        other = "good" if row[2] == "bad" else "bad"
        row.insert(2, other if place % 4 == 0 else row[2])
    (tiny / "rows.csv").write_text(
        "\n".join(["id,amount,again,outcome", *(",".join(row) for row in rows)]) + "\n"
    )
    assert shell(tiny, "ingest", "rows.csv").code == 0

    answer = shell(tiny, "feasibility", "--shuffles", "0", "--second-labels", "again")
    text = " ".join(answer.out.split())
    assert "two labellers agree on 75.0% of 200 rows, kappa 0.5 (0.3" in text
    assert "cannot success.accuracy two labellers agree on 75% of 200 rows" in text

    missing = shell(tiny, "feasibility", "--shuffles", "0", "--second-labels", "third")
    assert (missing.code, "error[source.column-missing]" in missing.err) == (2, True)

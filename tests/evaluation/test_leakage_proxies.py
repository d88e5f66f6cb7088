"""Columns that give the truth away are found; strong, honest ones are not."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from geartrain.domain.columns import columns_of
from geartrain.evaluation.leakage_proxies import enough, leaks

TABLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tabular"
absent = pytest.mark.skipif(not TABLES.exists(), reason="the public tables are not on this machine")


def table(name, label, *, drop=(), rows=12_000):
    frame = pl.read_parquet(TABLES / f"{name}.parquet").drop(drop)
    chosen = np.sort(np.random.default_rng(0).permutation(frame.height)[:rows])
    frame = frame[chosen]
    truth = np.array([int(one in {1, "yes"}) for one in frame[label].to_list()])
    return columns_of(frame.drop(label)), truth


def world(*, rows=2000, strength=1.0, seed=0, others=6):
    """Some honest causes, each of which says a little."""
    chance = np.random.default_rng(seed)
    causes = chance.normal(size=(rows, others))
    truth = (causes.sum(axis=1) * strength + chance.normal(size=rows) > 0).astype(np.int64)
    return {f"cause {i}": causes[:, i] for i in range(others)}, truth, chance


@absent
def test_the_length_of_the_call_is_found():
    """Bank marketing: `duration` is known when the call is over; AUC .818 alone (Moro et al. 2014 warn of it)."""
    columns, truth = table("bank_additional_full", "y")
    (found,) = leaks(columns, truth)

    assert (found.column, found.is_answer) == ("duration", False)
    assert found.alone.low < 0.818 < found.alone.high
    assert found.lost.value > 0.45
    assert "is it known when the decision is made?" in found.sentence


@pytest.fixture(scope="module")
def stamp():
    """A function that finds the column which outweighs few rows of causes that say nothing."""

    def found(**said):
        columns, _, chance = world(rows=150, strength=0.0, others=12)
        truth = chance.integers(0, 2, 150)
        columns["stamp"] = truth + chance.normal(size=150) * 0.6
        (one,) = leaks(columns, truth, **said)
        return one

    return found


def test_no_more_than_all_is_lost(stamp):
    """Without it the others, which say nothing, err worse than a guess: not 120 % is lost, but all of it."""
    found = stamp()

    assert (found.column, found.is_answer) == ("stamp", False)
    assert found.lost.value > 1
    assert "all that the columns know is lost, and the others alone say less than a guess" in found.sentence
    assert "%" not in found.sentence


def test_nobody_is_asked_for_what_the_contract_says(stamp):
    """A column of which it is said that it is known later is to be taken out; nobody is asked when it is known."""
    found = stamp(late=("stamp",))

    assert found.sentence.endswith("The contract says that it is known only after the decision: take it out")
    assert "Say `known_after`" not in found.sentence
    assert "Say `known_after` at the column" in stamp().sentence


@absent
def test_the_rule_itself_is_found():
    """Ricci v. DeStefano: who was promoted follows from `Combine`; 118 rows suffice to see that."""
    columns, truth = table("ricci", "Promoted")
    (found,) = leaks(columns, truth)

    assert (found.column, found.is_answer, found.lost) == ("Combine", True, None)
    assert "it is the answer or the rule that makes it" in found.sentence


@absent
@pytest.mark.parametrize(
    ("name", "label", "drop"),
    [
        ("adult", "income_gt_50k", ["split"]),
        ("german_credit", "bad", []),
        ("credit_card_default_taiwan", "default payment", []),
    ],
)
def test_honest_tables_are_not_suspected(name, label, drop):
    """The strongest columns (`relationship`, `CheckingAccountStatus`, `PAY_0`) are causes, not the answer."""
    columns, truth = table(name, label, drop=drop)
    assert leaks(columns, truth) == ()


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_diabetes])
def test_strong_measurements_are_not_suspected(load):
    """Nuclei that separate tumours with an AUC of .97 alone stand among others that do so too."""
    data = load()
    columns = {str(name): data.data[:, i] for i, name in enumerate(data.feature_names)}
    truth = data.target if load is not load_diabetes else data.target.astype(float)
    assert leaks(columns, truth) == ()


def test_a_column_written_afterwards_is_found_until_its_time_is_said():
    """Availability settles the second question; acceptance by name settles both."""
    columns, truth, chance = world(strength=0.4)
    columns["late"] = truth + chance.normal(size=len(truth)) * 0.55

    assert [one.column for one in leaks(columns, truth)] == ["late"]
    assert leaks(columns, truth, available=["late"]) == ()
    assert leaks(columns, truth, accepted=["late"]) == ()


def test_a_copy_does_not_hide_a_copy():
    """The same leak in seconds and in minutes is found in both, although each is spared by the other."""
    columns, truth, chance = world(strength=0.4)
    columns["seconds"] = truth + chance.normal(size=len(truth)) * 0.55
    columns["minutes"] = columns["seconds"] / 60 + 5

    assert {one.column for one in leaks(columns, truth)} == {"seconds", "minutes"}


def test_the_answer_is_found_as_a_category_and_of_many_classes_and_of_numbers():
    """Neither text nor several classes nor a regression hides the answer; saying when it is known does not excuse it."""
    columns, _, chance = world()
    truth = chance.integers(0, 4, 2000)
    named = np.array(["north", "east", "south", "west"], dtype=object)[truth]
    assert [one.column for one in leaks({**columns, "copy": named}, truth, available=["copy"])] == ["copy"]

    amount = chance.gamma(2.0, size=2000)
    assert [one.column for one in leaks({**columns, "copy": amount * 1.2}, amount)] == ["copy"]


def test_noise_is_never_suspected():
    """Where nothing is known, nothing gives it away: no alarm in 20 worlds of noise, one of them with missing values."""
    for seed in range(20):
        chance = np.random.default_rng(seed)
        columns = {f"x{i}": chance.normal(size=150) for i in range(5)}
        columns["x0"][:40] = np.nan
        assert leaks(columns, chance.integers(0, 2, 150), seed=seed) == ()


def test_too_few_rows_are_said():
    """Ten rows of two classes are the least that can be asked; unknown labels do not count."""
    assert not enough(np.array([0] * 100 + [1] * 9))
    assert not enough(np.array([0] * 100 + [-1] * 50))
    assert enough(np.array([0] * 10 + [1] * 10))
    assert not enough(np.full(50, np.nan))
    assert leaks({"x": np.arange(100.0)}, np.zeros(100, dtype=np.int64)) == ()

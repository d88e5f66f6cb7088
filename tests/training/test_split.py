"""Laws of the split: nothing leaks between pools, and order does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.contract import Contract, DataTerms, DecisionTerms, ProductTerms
from geartrain.domain.model import Pool
from geartrain.domain.task import Task
from geartrain.errors import TrainingImpossible
from geartrain.training.folds import inner_folds, silent_folds
from geartrain.training.split import RowFacts, Split, split

CLASSES = ("no", "yes")
DAY_US = 86_400_000_000


def contract(*, group: str | None = None, by_time: bool = False, delay_days: float = 0.0) -> Contract:
    return Contract(
        product=ProductTerms(name="p", title="P", problem="p"),
        decision=DecisionTerms(task=Task.BINARY, unit="row", label="y", label_delay_s=delay_days * 86_400),
        team=(),
        data=DataTerms(sources=(), group=group, time_split=by_time, shares=(0.6, 0.2, 0.2)),
    )


def facts(rows: int, seed: int, *, groups: int = 0, days: int = 0) -> RowFacts:
    random = np.random.default_rng(seed)
    return RowFacts(
        keys=[f"k{i}" for i in range(rows)],
        labels=(np.arange(rows) % 3 == 0).astype(np.int64),
        times_us=random.integers(0, days * DAY_US, rows) if days else None,
        groups=[None if i % 17 == 0 else f"g{random.integers(groups)}" for i in range(rows)]
        if groups
        else None,
    )


def shuffled(one: RowFacts, seed: int) -> RowFacts:
    order = np.random.default_rng(seed).permutation(len(one.keys))
    return RowFacts(
        keys=[one.keys[i] for i in order],
        labels=one.labels[order],
        times_us=None if one.times_us is None else one.times_us[order],
        groups=None if one.groups is None else [one.groups[i] for i in order],
    )


def keys_of(one: RowFacts, parts: Split) -> dict[str, list[str]]:
    return {str(pool): [one.keys[i] for i in parts.of(pool)] for pool in Pool}


CASES = st.sampled_from(["class", "group", "time", "time and group"])


def made(kind: str, seed: int) -> tuple[RowFacts, Contract]:
    group, by_time = "group" in kind, "time" in kind
    rows = facts(800, seed, groups=100 if group else 0, days=100 if by_time else 0)
    return rows, contract(group="g" if group else None, by_time=by_time, delay_days=3 if by_time else 0)


@settings(max_examples=20)
@given(kind=CASES, seed=st.integers(0, 10_000), order=st.integers(0, 10_000))
def test_the_order_of_rows_does_not_matter(kind, seed, order):
    """The same rows in another order give the same pools, in the same inner order, and the same folds."""
    rows, terms = made(kind, seed)
    turned = shuffled(rows, order)
    one, other = (split(each, terms, classes=CLASSES, seed=seed) for each in (rows, turned))
    assert keys_of(rows, one) == keys_of(turned, other)
    assert one.commitment == other.commitment
    assert [f[1].tolist() for f in one.folds] == [f[1].tolist() for f in other.folds]


@settings(max_examples=20)
@given(kind=CASES, seed=st.integers(0, 10_000))
def test_pools_are_apart_and_folds_too(kind, seed):
    """No row is in two pools; no fold judges a row that it taught; every row is accounted for."""
    rows, terms = made(kind, seed)
    parts = split(rows, terms, classes=CLASSES, seed=seed)
    used = [set(parts.of(pool).tolist()) for pool in Pool]
    assert not used[0] & used[1]
    assert not ((used[0] | used[1]) & used[2])
    assert sum(map(len, used)) + sum(count for _, count in parts.left_out) == len(rows.keys)
    for teach, judge in parts.folds:
        assert not set(teach.tolist()) & set(judge.tolist())
        assert max(teach.max(), judge.max()) < len(parts.search)


@settings(max_examples=20)
@given(kind=st.sampled_from(["group", "time and group"]), seed=st.integers(0, 10_000))
def test_no_group_is_in_two_pools_or_on_two_sides_of_a_fold(kind, seed):
    """A patient who was learned from judges nothing."""
    rows, terms = made(kind, seed)
    parts = split(rows, terms, classes=CLASSES, seed=seed)
    pools = [{rows.groups[i] for i in parts.of(pool)} - {None} for pool in Pool]
    assert not pools[0] & pools[1]
    assert not ((pools[0] | pools[1]) & pools[2])
    for teach, judge in parts.folds:
        sides = [{rows.groups[parts.search[i]] for i in side} - {None} for side in (teach, judge)]
        assert not sides[0] & sides[1]


@settings(max_examples=20)
@given(kind=st.sampled_from(["time", "time and group"]), seed=st.integers(0, 10_000))
def test_labels_were_known_before_the_next_pool_begins(kind, seed):
    """Later rows judge what earlier ones taught, with the label delay between them."""
    rows, terms = made(kind, seed)
    parts = split(rows, terms, classes=CLASSES, seed=seed)
    times = [rows.times_us[parts.of(pool)] for pool in Pool]
    assert times[0].max() + 3 * DAY_US <= times[1].min()
    assert times[1].max() + 3 * DAY_US <= times[2].min()
    own = rows.times_us[parts.search]
    for teach, judge in parts.folds:
        assert own[teach].max() + 3 * DAY_US <= own[judge].min()


def test_classes_keep_their_share():
    """Without time or groups each pool has its share of each class."""
    rows = facts(600, 1)
    parts = split(rows, contract(), classes=CLASSES, seed=1)
    assert [len(parts.of(pool)) for pool in Pool] == [360, 120, 120]
    assert [int(rows.labels[parts.of(pool)].sum()) for pool in Pool] == [120, 40, 40]
    assert parts.left_out == ()


def test_another_seed_gives_another_split():
    """The seed decides, and nothing else."""
    rows = facts(100, 1)
    one, other = (split(rows, contract(), classes=CLASSES, seed=seed) for seed in (1, 2))
    assert one.commitment != other.commitment


def test_rows_without_a_label_are_left_out_and_counted():
    """A row whose truth is not known yet is in no pool."""
    rows = facts(200, 1)
    rows.labels[:50] = -1
    parts = split(rows, contract(), classes=CLASSES, seed=1)
    assert parts.left_out == (("without a label", 50),)
    assert min(parts.of(pool).min() for pool in Pool) >= 50


def test_a_regression_is_split_as_well():
    """Values instead of classes: NaN is not known, the rest is shared out."""
    values = np.arange(100, dtype=np.float64)
    values[3] = np.nan
    parts = split(RowFacts(keys=[str(i) for i in range(100)], labels=values), contract(), classes=(), seed=1)
    assert [len(parts.of(pool)) for pool in Pool] == [59, 20, 20]
    assert len(parts.folds) == 5


def test_what_cannot_be_trained_is_said_with_what_was_found():
    """One class, too few rows, no label, late labels, no time, a double key: each names what was found."""
    one = RowFacts(keys=[str(i) for i in range(50)], labels=np.zeros(50, dtype=np.int64))
    with pytest.raises(TrainingImpossible, match="one class") as caught:
        split(one, contract(), classes=CLASSES, seed=1)
    assert "'yes' 0 rows" in caught.value.found
    with pytest.raises(TrainingImpossible, match="one class"):
        split(one, contract(), classes=("no",), seed=1)
    with pytest.raises(TrainingImpossible, match="too few rows") as caught:
        split(RowFacts(keys=["a", "b"], labels=np.array([0, 1])), contract(), classes=CLASSES, seed=1)
    assert "2 of 2 rows" in caught.value.found
    with pytest.raises(TrainingImpossible, match="more than once"):
        split(RowFacts(keys=["a", "a"], labels=np.array([0, 1])), contract(), classes=CLASSES, seed=1)
    with pytest.raises(TrainingImpossible, match="the rows have none"):
        split(facts(100, 1), contract(by_time=True), classes=CLASSES, seed=1)
    with pytest.raises(TrainingImpossible, match="too few rows to learn") as caught:
        split(facts(100, 1, days=10), contract(by_time=True, delay_days=30), classes=CLASSES, seed=1)
    assert "30 days late" in caught.value.found


def test_a_large_pool_is_judged_once():
    """Cross-validation is for few rows; many rows need one fold only."""
    many = facts(60_000, 1)
    assert len(split(many, contract(), classes=CLASSES, seed=1).folds) == 1


def test_a_part_with_one_class_is_counted():
    """A fold whose earlier rows are all of one class teaches nothing, and is said; a value has no such fold."""
    labels = np.array([0] * 30 + [0, 1] * 15)
    folds = inner_folds(labels, times_us=np.arange(60) * 1_000_000)
    assert 0 < silent_folds(folds, labels) < len(folds)
    assert silent_folds(folds, labels.astype(np.float64)) == 0

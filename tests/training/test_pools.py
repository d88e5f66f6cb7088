"""The sealed pool: opened once for each candidate, every look charged."""

from __future__ import annotations

import pytest

from geartrain.domain.events import PoolOpened, PoolsCommitted, TrialRecorded
from geartrain.domain.model import Pool, Trial
from geartrain.errors import PoolClosed
from geartrain.training.pools import kin_of, may_open, recorded_trials, sealed_names, spent

ASKED = {"product": "p", "pool": Pool.VERDICT, "contract": "c", "snapshot": "s"}


def opened(candidate: str, **changes) -> PoolOpened:
    return PoolOpened(**{**ASKED, "candidate": candidate, "purpose": "judge", **changes})


def test_a_second_opening_is_refused():
    """The same candidate under the same contract sees the sealed pool once."""
    first = may_open((), candidate="m1", **ASKED)
    assert first.allowed
    assert first.demand() is first
    second = may_open((opened("m1"),), candidate="m1", **ASKED)
    assert not second.allowed
    with pytest.raises(PoolClosed, match="judged on the sealed pool before"):
        second.demand()


def test_a_spent_budget_says_so_and_asks_for_fresh_labels():
    """After 18 candidates the next interval would be worth less than a quarter of its rows, so there is none."""
    asked = [
        may_open([opened(f"m{i}") for i in range(looks)], candidate="new", **ASKED) for looks in (0, 17, 18)
    ]
    assert [(one.allowed, one.left) for one in asked] == [(True, 17), (True, 0), (False, 0)]
    with pytest.raises(PoolClosed, match="budget of these sealed rows is spent: 18 candidates") as refused:
        asked[-1].demand()
    assert "fresh labels" in refused.value.hint


def committed(snapshot: str, sealed: str, **changes) -> PoolsCommitted:
    event = {"product": "p", "contract": "c", "snapshot": snapshot, "commitment": f"of {snapshot}"}
    return PoolsCommitted(**{**event, "sealed": sealed, "rows": (60, 20, 20), **changes})


def test_one_more_row_is_no_fresh_budget():
    """Rows that were opened under another snapshot are charged; those of which nine tenths are new are not."""
    kept = {name: sealed_names([f"row-{i}" for i in rows]) for name, rows in POOLS.items()}
    events = [committed(name, name) for name in ("first", "grown", "next year")]
    events += [opened("m1", snapshot="first", commitment="of first")]
    for name, look in [("grown", 2), ("next year", 1)]:
        kin = kin_of(events, product="p", snapshot=name, sealed=kept[name], load=kept.__getitem__)
        permission = may_open(events, candidate="m2", kin=kin, **{**ASKED, "snapshot": name})
        assert permission.look == look, name


POOLS = {"first": range(100), "grown": range(101), "next year": range(92, 200)}


def test_trials_on_the_same_rows_are_counted_whatever_they_were_for():
    """Each different trial counts once: on whichever pool, under any contract, on this snapshot or one like it."""
    tried = [
        Trial(contract=contract, snapshot=snapshot, features="f", code="", algorithm="a", params=(),
              seed=1, pool=pool, metric="mean_cost", score=0.1, rows=9)
        for contract, snapshot, pool in [
            ("c", "s", Pool.SEARCH), ("c", "s", Pool.SEARCH), ("d", "s", Pool.SELECT), ("c", "kin", Pool.SEARCH), ("c", "other", Pool.SEARCH),
        ]
    ]  # fmt: skip
    events = [TrialRecorded(product="p", id=one.id, trial=one) for one in tried]
    assert recorded_trials(events, product="p", snapshots=frozenset({"s", "kin"})) == 3
    assert recorded_trials(events, product="q", snapshots=frozenset({"s", "kin"})) == 0


def test_a_new_contract_asks_a_new_question():
    """A changed contract judges the candidate again, at the price of another look."""
    again = may_open((opened("m1", contract="older"),), candidate="m1", **ASKED)
    assert again.allowed
    assert again.look == 2


def test_each_look_is_charged():
    """Every other candidate's look makes the next one's intervals wider, and the sum stays below alpha."""
    looks = [opened(f"m{i}") for i in range(5)]
    asked = [may_open(looks[:j], candidate="new", **ASKED) for j in range(6)]
    assert [one.look for one in asked] == [1, 2, 3, 4, 5, 6]
    assert [one.confidence for one in asked] == [1 - spent(0.05, j) for j in range(1, 7)]
    assert sum(spent(0.05, j) for j in range(1, 1000)) < 0.05


def test_other_snapshots_products_and_pools_are_not_charged():
    """The budget belongs to one product's sealed rows."""
    foreign = (opened("a", snapshot="t"), opened("b", product="q"), opened("c", pool=Pool.SELECT))
    assert may_open(foreign, candidate="m", **ASKED).look == 1


def test_select_is_metered_and_search_is_free():
    """Looks at `select` are counted but not refused."""
    asked = {**ASKED, "pool": Pool.SELECT}
    seen = may_open((opened("m", pool=Pool.SELECT),), candidate="m", **asked)
    assert (seen.allowed, seen.look, seen.confidence) == (True, 2, 0.95)

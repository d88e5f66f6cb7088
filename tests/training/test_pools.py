"""The sealed pool: opened once for each candidate, every look charged."""

from __future__ import annotations

import pytest

from geartrain.domain.events import PoolOpened
from geartrain.domain.model import Pool
from geartrain.errors import PoolClosed
from geartrain.training.pools import may_open, spent

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

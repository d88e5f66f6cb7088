"""Keep rows apart: which may be learned from, which choose, and which are sealed.

The split depends on the seed and on the rows' content, never on the order in which
they come: a row's place is the hash of its key. By time where the contract says so,
with a gap of the label delay between the pools, so that what the model learned from was
known before the rows that judge it happened; by group where one is named; stratified
by class otherwise.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.contract import Contract, DataTerms
from geartrain.domain.digest import digest
from geartrain.domain.model import Pool
from geartrain.domain.prediction import Floats
from geartrain.errors import TrainingImpossible
from geartrain.training.examples import Folds, Indices
from geartrain.training.folds import inner_folds

FEWEST_ROWS = 30
FEWEST_IN_POOL = 5
FEWEST_OF_CLASS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowFacts:
    """What the split must know of *n* rows.

    Attributes:
        keys: The rows' own names, each once.
        labels: Class indices with -1 for not known, or values with NaN for not known.
        times_us: When each row happened, or None where the product has no time.
        groups: Whom each row is about (None for itself), or None where rows are apart.
    """

    keys: Sequence[str]
    labels: NDArray[np.int64] | Floats
    times_us: NDArray[np.int64] | None = None
    groups: Sequence[str | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """The pools as positions of rows, each in an order that depends on content only.

    Attributes:
        search: Rows to learn from, as often as one likes.
        select: Rows to choose with; every look is metered.
        verdict: Sealed rows.
        folds: Cross-validation inside `search`, as positions *in that pool*.
        left_out: Why and how many rows are in no pool.
        commitment: The digest of the keys in each pool: whoever opens a pool later can
            show that it was not rearranged.
    """

    search: Indices
    select: Indices
    verdict: Indices
    folds: Folds
    left_out: tuple[tuple[str, int], ...]
    commitment: str

    def of(self, pool: Pool) -> Indices:
        """The rows of *pool*."""
        return {Pool.SEARCH: self.search, Pool.SELECT: self.select, Pool.VERDICT: self.verdict}[pool]


def split(facts: RowFacts, contract: Contract, *, classes: tuple[str, ...], seed: int) -> Split:
    """Share the rows of *facts* out to the three pools as the contract's data section says.

    Raises:
        TrainingImpossible: These rows cannot train and judge a model, with what was found.
    """
    terms = contract.data or DataTerms(sources=())
    delay_us = round(contract.decision.label_delay_s * 1e6)
    known = _known(facts, classes)
    places = _places(facts.keys, seed)
    by_time = terms.time_split
    if by_time and facts.times_us is None:
        raise TrainingImpossible(
            "the contract splits by time, but the rows have none",
            where="data.split",
            hint="name the `event_time` of the decision source, or split without time",
        )
    groups = _group_codes(facts, seed) if facts.groups is not None and terms.group else None
    if by_time:
        assert facts.times_us is not None
        pools, why = _by_time(known, facts.times_us, places, groups, terms.shares, delay_us)
    elif groups is not None:
        pools, why = _by_group(known, places, groups, terms.shares), "of a group that no pool took"
    else:
        pools, why = _by_class(known, facts.labels, places, terms.shares), "of no pool"
    search, select, verdict = pools
    left_out = Counter({"without a label": len(facts.keys) - len(known)})
    left_out[why] += len(known) - sum(len(pool) for pool in pools)
    _check(facts, pools, classes, by_time=by_time, delay_us=delay_us)
    times = facts.times_us[search] if by_time and facts.times_us is not None else None
    return Split(
        search=search,
        select=select,
        verdict=verdict,
        folds=inner_folds(
            facts.labels[search],
            times_us=times,
            delay_us=delay_us,
            groups=None if groups is None else groups[search],
        ),
        left_out=tuple((reason, count) for reason, count in sorted(left_out.items()) if count),
        commitment=digest([sorted(facts.keys[i] for i in pool) for pool in pools]),
    )


def _known(facts: RowFacts, classes: tuple[str, ...]) -> Indices:
    rows = len(facts.keys)
    counted = Counter(facts.keys)
    if len(counted) < rows:
        key, times = counted.most_common(1)[0]
        raise TrainingImpossible("a row is there more than once", found=f"key {key!r} {times} times")
    known = facts.labels >= 0 if classes else ~np.isnan(facts.labels)
    indices = np.flatnonzero(known).astype(np.int64)
    if len(indices) < FEWEST_ROWS:
        raise TrainingImpossible(
            "too few rows have a label to train and to judge",
            found=f"{len(indices)} of {rows} rows",
            hint=f"at least {FEWEST_ROWS} are needed, and many more to prove anything;"
            " ingest more rows, or wait until labels arrive",
        )
    return indices


def _places(keys: Sequence[str], seed: int) -> Floats:
    """For each key its place in [0, 1): random to people, the same for the same seed."""
    found = [_hash(seed, "row", key) for key in keys]
    return np.asarray(found, dtype=np.float64)


def _hash(seed: int, kind: str, text: str) -> float:
    # 53 bits: as many as a float64 holds exactly.
    name = hashlib.blake2b(f"{seed}|{kind}|{text}".encode(), digest_size=8).digest()
    return (int.from_bytes(name, "big") >> 11) / 2.0**53


def _group_codes(facts: RowFacts, seed: int) -> Floats:
    """For each row its group's place in [0, 1); a row without a group is a group of its own."""
    assert facts.groups is not None
    names = [
        ("row", key) if group is None else ("group", group)
        for key, group in zip(facts.keys, facts.groups, strict=True)
    ]
    drawn = {name: _hash(seed, *name) for name in set(names)}
    return np.asarray([drawn[name] for name in names], dtype=np.float64)


def _by_time(
    known: Indices,
    times_us: NDArray[np.int64],
    places: Floats,
    groups: Floats | None,
    shares: tuple[float, float, float],
    delay_us: int,
) -> tuple[tuple[Indices, Indices, Indices], str]:
    ordered = known[np.lexsort((places[known], times_us[known]))]
    times = times_us[ordered]
    first, second = (min(round(len(ordered) * cut), len(ordered) - 1) for cut in _cuts(shares))
    opens_select, opens_verdict = times[first], times[second]
    in_search = (times < opens_select) & (times + delay_us <= opens_select)
    in_select = (times >= opens_select) & (times < opens_verdict) & (times + delay_us <= opens_verdict)
    in_verdict = times >= opens_verdict
    why = "between two pools, with a label that came too late for the earlier one"
    if groups is not None:
        # A group belongs to one pool; its rows in the other pools' times judge nothing.
        own = _pools_of_groups(groups[ordered], shares)
        in_search, in_select, in_verdict = (
            in_search & (own == 0),
            in_select & (own == 1),
            in_verdict & (own == 2),
        )
        why = "late for an earlier pool, or of a group that belongs to another pool"
    return (ordered[in_search], ordered[in_select], ordered[in_verdict]), why


def _by_group(
    known: Indices, places: Floats, groups: Floats, shares: tuple[float, float, float]
) -> tuple[Indices, Indices, Indices]:
    pool = _pools_of_groups(groups[known], shares)
    search, select, verdict = (_in_places(known[pool == number], places) for number in range(3))
    return search, select, verdict


def _pools_of_groups(groups: Floats, shares: tuple[float, float, float]) -> Indices:
    """For each row the pool of its group: groups in hash order, shared out by their rows."""
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    middles = (np.cumsum(sizes) - sizes / 2) / len(groups)
    return np.asarray(np.searchsorted(_cuts(shares), middles, side="right")[inverse], dtype=np.int64)


def _by_class(
    known: Indices, labels: NDArray[np.int64] | Floats, places: Floats, shares: tuple[float, float, float]
) -> tuple[Indices, Indices, Indices]:
    strata = [known[labels[known] == label] for label in np.unique(labels[known])]
    if labels.dtype.kind != "i":
        strata = [known]
    pools: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for stratum in strata:
        ordered = _in_places(stratum, places)
        cuts = [round(len(ordered) * cut) for cut in _cuts(shares)]
        for pool, part in zip(pools, np.split(ordered, cuts), strict=True):
            pool.append(part)
    search, select, verdict = (_in_places(np.concatenate(pool), places) for pool in pools)
    return search, select, verdict


def _cuts(shares: tuple[float, float, float]) -> tuple[float, float]:
    total = sum(shares)
    return shares[0] / total, (shares[0] + shares[1]) / total


def _in_places(rows: Indices, places: Floats) -> Indices:
    return np.asarray(rows[np.argsort(places[rows], kind="stable")])


def _check(
    facts: RowFacts,
    pools: tuple[Indices, Indices, Indices],
    classes: tuple[str, ...],
    *,
    by_time: bool,
    delay_us: int,
) -> None:
    sizes = ", ".join(f"{name} {len(rows)}" for name, rows in zip(Pool, pools, strict=True))
    if min(len(rows) for rows in pools) < FEWEST_IN_POOL:
        late = f"; labels come {delay_us / 86_400e6:.3g} days late" if by_time and delay_us else ""
        raise TrainingImpossible(
            "a pool has too few rows to learn from or to judge with",
            where="data.split",
            found=f"rows in each pool: {sizes}{late}",
            hint="ingest more rows or a longer history, or change `data.split`",
        )
    if not classes:
        return
    counted = np.bincount(facts.labels[pools[0]].astype(np.int64), minlength=len(classes))
    rare = [
        f"{name!r} {count} rows"
        for name, count in zip(classes, counted, strict=True)
        if count < FEWEST_OF_CLASS
    ]
    if rare or len(classes) < 2:
        one = np.count_nonzero(counted) < 2
        raise TrainingImpossible(
            "there is only one class to learn" if one else "a class is too rare to be learned",
            where="decision.classes",
            found=", ".join(rare) or f"the single class {classes[0]!r}",
            hint="ingest rows of every class that the product must know, or take the class out of the contract",
        )

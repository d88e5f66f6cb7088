"""Cross-validation inside the pool `search`, with the same respect for time and groups as the pools."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats
from geartrain.errors import TrainingImpossible
from geartrain.training.examples import Folds, Indices

#: More folds where rows are few.
FIVE_FOLDS_BELOW, THREE_FOLDS_BELOW = 3_000, 30_000
#: The share of groups that judge where time and groups both matter.
JUDGING_GROUPS = 0.3


def inner_folds(
    labels: NDArray[np.int64] | Floats,
    *,
    times_us: NDArray[np.int64] | None = None,
    delay_us: int = 0,
    groups: Floats | None = None,
) -> Folds:
    """Cross-validation over rows that stand in the split's order.

    By time: later blocks judge what earlier ones, with known labels, taught. By group:
    whole groups judge. Otherwise in turn, class by class.

    Raises:
        TrainingImpossible: The label delay leaves no earlier row to learn from.
    """
    rows = len(labels)
    count = 5 if rows < FIVE_FOLDS_BELOW else 3 if rows < THREE_FOLDS_BELOW else 1
    everyone = np.arange(rows, dtype=np.int64)
    if times_us is not None:
        return _forward(everyone, times_us, delay_us, groups, count)
    if groups is not None:
        slot = _slots_of_groups(groups, max(count, 4))
    elif labels.dtype.kind == "i":
        names = labels.astype(np.int64)
        slot = _turns(names, 4 if count == 1 else _fewest(names, count))
    else:
        slot = everyone % max(count, 4)
    judged = [0] if count == 1 else sorted(set(slot.tolist()))
    return tuple((everyone[slot != fold], everyone[slot == fold]) for fold in judged)


def silent_folds(folds: Folds, labels: NDArray[np.int64] | Floats) -> int:
    """How many of *folds* have a single class to learn from, so that their rows judge no setting.

    Labels of shape (n,) as class indices; values (a regression) have no silent fold.
    """
    if labels.dtype.kind != "i":
        return 0
    return sum(len(np.unique(labels[teach])) < 2 for teach, _ in folds)


def _forward(
    everyone: Indices, times_us: NDArray[np.int64], delay_us: int, groups: Floats | None, count: int
) -> Folds:
    blocks = np.array_split(everyone, 4 if count == 1 else count + 1)
    found = []
    for block in blocks[-count:]:
        if len(block) == 0:
            continue
        begins = times_us[block[0]]
        teach = everyone[(times_us < begins) & (times_us + delay_us <= begins)]
        judge = block
        if groups is not None:
            # The bits below the 20th: a second draw, independent of the one that chose the pool.
            drawn = np.modf(groups * 2.0**20)[0]
            teach, judge = teach[drawn[teach] >= JUDGING_GROUPS], judge[drawn[judge] < JUDGING_GROUPS]
        if len(teach) and len(judge):
            found.append((teach, judge))
    if not found:
        days = (times_us[-1] - times_us[0]) / 86_400e6
        raise TrainingImpossible(
            "no row's label was known before a later row of the same pool happened",
            where="decision.label_delay",
            found=f"{len(everyone)} rows over {days:.3g} days, labels {delay_us / 86_400e6:.3g} days late",
            hint="ingest a longer history, or split without time",
        )
    return tuple(found)


def _slots_of_groups(groups: Floats, count: int) -> Indices:
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    middles = (np.cumsum(sizes) - sizes / 2) / len(groups)
    slots = np.minimum((middles * count).astype(np.int64), count - 1)
    if len(names) < 2:
        raise TrainingImpossible(
            "all rows that may be learned from belong to one group",
            where="data.group",
            found="1 group in the pool `search`",
            hint="ingest rows of more groups, or name no group",
        )
    return np.asarray(slots[inverse])


def _turns(labels: NDArray[np.int64], count: int) -> Indices:
    slots = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        slots[members] = np.arange(len(members)) % count
    return slots


def _fewest(labels: NDArray[np.int64], count: int) -> int:
    """No more folds than the rarest class has rows, but two."""
    return max(2, min(count, int(np.unique(labels, return_counts=True)[1].min())))

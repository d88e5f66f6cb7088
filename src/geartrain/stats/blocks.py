"""What is drawn as one: rows of one patient, or of one day, are fewer than they look."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.stats.intervals import Labels

US_PER_DAY = 86_400_000_000
#: With fewer days than this, drawing days resembles nothing.
FEWEST_DAYS = 10

BY_ROW, BY_ENTITY, BY_DAY = "row by row", "whole entities", "whole days"


def ways_to_draw(
    groups: Labels | None, times_us: NDArray[np.int64] | None
) -> tuple[tuple[str, NDArray[Any] | None], ...]:
    """How these rows may be resampled, each as a word and the labels of what is drawn whole.

    Shapes (n,). Where an entity of *groups* repeats, whole entities are drawn (cluster
    bootstrap); where rows have *times_us*, microseconds since 1970 UTC, on at least 10 days,
    whole days of UTC (block bootstrap with the day as block: rows of one day share its weather,
    its campaign, its outage). With both, both: a statement must hold under each, for nobody
    knows which dependence is the stronger. Otherwise rows are drawn one by one.

    Days are taken to be independent of each other: what lasts longer than a day (a season, a
    slow drift) is not covered.

    >>> [word for word, _ in ways_to_draw(np.array(["a", "a", "b"]), None)]
    ['whole entities']
    """
    ways: list[tuple[str, NDArray[Any] | None]] = []
    if groups is not None and len(np.unique(groups)) < len(groups):
        ways.append((BY_ENTITY, groups))
    if times_us is not None:
        days = times_us // US_PER_DAY
        if FEWEST_DAYS <= len(np.unique(days)) < len(days):
            ways.append((BY_DAY, days))
    return tuple(ways) or ((BY_ROW, None),)

"""The joint search of trees, leaves and learning rate: the best shape of each size, on free rows.

How fast a model learns is a lever of its own: fast small models overfit rare classes, slow
ones underfit. So the three are moved together, one line of shapes for each pair of leaves
and rate, and every line is cut at the number of trees that a size leaves it. A boosted
model cut short is the truncated one, so one line costs one fit a fold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geartrain.domain.clause import Parameter

#: How many times smaller than the reference a finalist shall be.
SIZES = (2.0, 5.0, 10.0, 20.0, 40.0)
#: Shares of the reference's leaves, and how much faster its trees learn, that are tried together.
LEAVES = (1.0, 0.5, 0.25)
FASTER = (1.0, 2.0, 4.0)
FEWEST_LEAVES, FEWEST_TREES, FASTEST = 3, 5, 0.3


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shape:
    """How many trees of how many leaves at most, learning how fast."""

    trees: int
    leaves: int
    rate: float

    @property
    def leaves_in_all(self) -> int:
        """What the size of the artifact grows with."""
        return self.trees * self.leaves

    @property
    def changes(self) -> dict[str, Parameter]:
        """The parameters of LightGBM that make it."""
        return {"n_estimators": self.trees, "num_leaves": self.leaves, "learning_rate": self.rate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Shapes that differ in the number of trees only, so that one fit gives them all."""

    leaves: int
    rate: float
    trees: tuple[int, ...]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Every shape of the line, the one with fewest trees first."""
        return tuple(Shape(trees=trees, leaves=self.leaves, rate=self.rate) for trees in self.trees)


def shape_of(params: Mapping[str, Parameter]) -> Shape | None:
    """The shape that LightGBM's resolved *params* name; None where they name none."""
    trees, leaves, rate = (params.get(name) for name in ("n_estimators", "num_leaves", "learning_rate"))
    if not (isinstance(trees, int) and isinstance(leaves, int) and isinstance(rate, int | float)):
        return None
    return Shape(trees=trees, leaves=leaves, rate=float(rate))


def lines(reference: Shape, *, sizes: Sequence[float] = SIZES) -> tuple[Line, ...]:
    """What to try: each pair of leaves and rate, cut where each of *sizes* cuts it.

    The first line is the reference itself, truncated.
    """
    pairs = dict.fromkeys(
        (
            max(FEWEST_LEAVES, min(reference.leaves, round(reference.leaves * share))),
            max(reference.rate, min(FASTEST, round(reference.rate * faster, 6))),
        )
        for share in LEAVES
        for faster in FASTER
    )
    found = []
    for leaves, rate in pairs:
        cuts = {math.floor(reference.leaves_in_all / size / leaves) for size in sizes}
        trees = tuple(sorted(cut for cut in cuts if FEWEST_TREES <= cut <= reference.trees))
        if trees:
            found.append(Line(leaves=leaves, rate=rate, trees=trees))
    return tuple(found)


def finalists(
    costs: Mapping[Shape, float], reference: Shape, *, sizes: Sequence[float] = SIZES
) -> tuple[Shape, ...]:
    """The cheapest shape that is at least that many times smaller, for each of *sizes*, without repeats.

    *costs* is the mean cost of a decision on rows that did not teach it. Of equally cheap
    ones the smaller is taken.
    """
    found: dict[Shape, None] = {}
    for size in sizes:
        small = [one for one in costs if one.leaves_in_all * size <= reference.leaves_in_all]
        if small:
            found.setdefault(min(small, key=lambda one: (costs[one], one.leaves_in_all)))
    return tuple(found)


def name_of(shape: Shape, reference: Shape) -> str:
    """`truncated-100` where only trees were left out, else `trees-50-leaves-15-rate-0.08`."""
    if (shape.leaves, shape.rate) == (reference.leaves, reference.rate):
        return f"truncated-{shape.trees}"
    return f"trees-{shape.trees}-leaves-{shape.leaves}-rate-{shape.rate:g}"

"""The Ladder: look at a metered pool often without learning its noise by heart.

The parameter-free mechanism of Blum & Hardt (2015), "The Ladder: a reliable leaderboard
for machine learning competitions", section 4: a submission is told to be better only
if it beats the best so far by more than one standard error of the paired difference;
otherwise it learns nothing but the best so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from geartrain.domain.prediction import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """The best so far: what is shown of it, its per-row losses, and the looks taken."""

    shown: float = math.inf
    losses: Floats | None = None
    looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The answer to one submission.

    Attributes:
        improved: Whether it beat the best so far by more than the step asked.
        shown: The best mean loss known afterwards, rounded; all that may be seen.
        needed: The improvement that was asked, in units of the loss.
        spent: Whether there was no answer, because the pool's budget is spent.
    """

    improved: bool
    shown: float
    needed: float
    spent: bool = False


def climb(
    ladder: Ladder, losses: Floats, *, unit: float = 1.0, strictness: float = 1.0
) -> tuple[Ladder, Step]:
    """Submit per-row *losses*, shape (n,), lower is better; *unit* is the size of one row's usual loss.

    *strictness* is how many standard errors a step asks; the paper's is one.

    >>> import numpy as np
    >>> first, _ = climb(Ladder(), np.array([1.0, 0.0, 1.0, 0.0]))
    >>> climb(first, np.array([1.0, 0.0, 0.0, 0.0]))[1]
    Step(improved=False, shown=0.5, needed=0.25, spent=False)

    Raises:
        ValueError: The losses are of other rows than those before.
    """
    rows = len(losses)
    if ladder.losses is not None and len(ladder.losses) != rows:
        raise ValueError(f"the pool has {len(ladder.losses)} rows, the submission {rows}")
    needed = 0.0
    if ladder.losses is not None:
        difference = losses - ladder.losses
        error = float(difference.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.inf
        needed = strictness * error
    mean = float(losses.mean())
    if mean < ladder.shown - needed:
        grain = unit / rows
        shown = round(mean / grain) * grain
        return Ladder(shown=shown, losses=losses, looks=ladder.looks + 1), Step(
            improved=True, shown=shown, needed=needed
        )
    stayed = Ladder(shown=ladder.shown, losses=ladder.losses, looks=ladder.looks + 1)
    return stayed, Step(improved=False, shown=ladder.shown, needed=needed)

"""How many decisions a period can hold: what the clause says, else the contract's own capacity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Evidence, Unmeasured

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limit:
    """The most of each period.

    Attributes:
        most: How many rows, or entities where one is named.
        periods: The period that each row of the evidence falls into, shape (n,).
        entity: The column whose distinct values are counted, or None for rows.
    """

    most: int
    periods: NDArray[np.int64]
    entity: str | None


def limit_of(evidence: Evidence, parameters: Parameters) -> Limit | Unmeasured:
    """The limit by the clause's `k`, `period` in seconds and `entity`; the contract's where they are silent."""
    capacity = evidence.contract.decision.capacity
    k = parameters.get("k") or (capacity.most if capacity else None)
    period_s = parameters.get("period") or (capacity.period_s if capacity else None)
    entity = parameters.get("entity") or (capacity.entity if capacity else None)
    if not isinstance(k, int | float) or not isinstance(period_s, int | float):
        return Unmeasured(reason="neither the clause nor the decision says how many in which period")
    if evidence.times_us is None:
        return Unmeasured(reason="the rows have no times to make periods of")
    return Limit(
        most=int(k),
        periods=evidence.times_us // int(period_s * _US_PER_S),
        entity=None if entity is None else str(entity),
    )

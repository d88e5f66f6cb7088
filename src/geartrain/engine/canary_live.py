"""What decisions cost on a canary's own keys, beside the champion's on the others, from the log.

A key belongs to the arm that the hash gave it, whoever answered in the end: a model that fails and
is stood in for is part of what that arm costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from geartrain.domain.clause import Stage
from geartrain.domain.columns import microseconds, microseconds_of
from geartrain.domain.contract import Contract, RetrainingTerms
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.release import ReleaseStage
from geartrain.domain.rule import rule_of
from geartrain.engine.bundles import load_bundle
from geartrain.engine.decided import KEY, decisions_of, with_truth
from geartrain.engine.live_course import Standing, known_costs, occasion_of
from geartrain.engine.live_evidence import FEWEST
from geartrain.engine.runs import note, noted
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.prices import price_range
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.release.state import Passage, ReleaseRecord
from geartrain.retraining.course import margin_of
from geartrain.retraining.split import Split, split_of
from geartrain.serving.routing import place_of
from geartrain.stats.bounded import Scale, scale_of

_NOTE = "arms"
#: What a clause of `abort_on` promises that people mean when they let a dearer release be stopped.
_COSTS = ("expected_cost", "cost_per_1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """The comparison of a canary with the champion at its last look.

    Attributes:
        split: None where nothing can be compared; `reason` says why.
    """

    release: str
    seen_at: datetime
    split: Split | None
    reason: str


def compare_arms(
    workspace: Workspace, contract: Contract, record: ReleaseRecord, standing: Standing, *, now: datetime
) -> Arms | None:
    """What *record*'s release, a canary, costs beside the champion since it began; None where it is none.

    Only keys whose truth is known count, each once. The scale of costs and the margin are those of the paired test.

    Raises:
        BundleTampered: The release in the canary is not what was signed.
    """
    steps = [one for one in record.passages if one.stage is ReleaseStage.CANARY]
    if record.stage is not ReleaseStage.CANARY or not steps:
        return None
    scale = _scale(contract, standing, since=steps[0].at)
    if scale is None:
        reason = "neither the costs on sealed rows nor the most that a decision can cost are known, so there is no scale"
        return Arms(release=record.id, seen_at=now, split=None, reason=reason)
    split = _split(workspace, contract, record, steps, standing.reference, scale, now=now)
    return Arms(release=record.id, seen_at=now, split=split, reason=split.reason)


def _scale(contract: Contract, standing: Standing, *, since: datetime) -> Scale | None:
    """The range in which costs count in full, fixed before the canary began: a bet must not change its own terms."""
    if len(standing.reference) >= FEWEST:
        return scale_of(standing.reference)
    stated = price_range(contract, rule_of(contract, standing.loaded.rule.classes), {})
    if stated is not None:
        return stated
    before = standing.mine.costs[standing.mine.at_us < microseconds(since)]
    before = before[np.isfinite(before)]
    return scale_of(before) if len(before) >= FEWEST else None


def _split(
    workspace: Workspace,
    contract: Contract,
    record: ReleaseRecord,
    steps: list[Passage],
    reference: Floats,
    scale: Scale,
    *,
    now: datetime,
) -> Split:
    log = decisions_of(workspace, contract.product.name, now=now)
    log = log.filter(pl.col(ARRIVAL_TIME) >= steps[0].at) if log.height else log
    log = log.unique(KEY, keep="first", maintain_order=True) if log.height else log
    loaded = load_bundle(workspace, record.id)
    terms = contract.retraining or RetrainingTerms()
    # People's releases have no other merit that a machine knows of.
    share = (
        margin_of(terms, occasion_of(workspace, contract.product.name, record)) if record.retrained else 0.0
    )
    mean = float(np.abs(reference).mean()) if len(reference) else 0.0
    margin = min(share * mean, scale.width / 2)
    if log.height == 0:
        nothing = np.zeros(0)
        return split_of(nothing, np.zeros(0, dtype=np.bool_), nothing, scale=scale, margin=margin)
    known = known_costs(workspace, contract, loaded, with_truth(workspace, contract, log, now=now), now=now)
    shares = _shares(known.rows, steps)
    drawn = (shares > 0) & (shares < 1)
    places = np.array([place_of(key, salt=record.id) for key in known.rows[KEY].to_list()], dtype=np.float64)
    return split_of(
        known.costs[drawn], places[drawn] < shares[drawn], shares[drawn], scale=scale, margin=margin
    )


def _shares(rows: pl.DataFrame, steps: list[Passage]) -> Floats:
    """The canary's share when each of *rows* was answered, shape (n,)."""
    answered = microseconds_of(rows[ARRIVAL_TIME]).to_numpy().astype(np.int64)
    begun = np.array([microseconds(one.at) for one in steps], dtype=np.int64)
    place = np.maximum(np.searchsorted(begun, answered, side="right") - 1, 0)
    found: Floats = np.array([one.share for one in steps], dtype=np.float64)[place]
    return found


def may_stop(contract: Contract, record: ReleaseRecord) -> bool:
    """Whether a canary that is proven dearer is stopped unasked: a machine's, or where `abort_on` names a clause on cost.

    What people signed may be dearer with their will, such as a fairer model.
    """
    aborting = contract.release.abort_on if contract.release else ()
    return record.retrained or any(
        one.metric in _COSTS for one in contract.clauses if one.path in aborting and Stage.LIVE in one.stages
    )


# For the room, which reads counts and not rows.


def note_arms(workspace: Workspace, product: str, arms: Arms | None) -> None:
    """Keep the figures of the last look; nothing is kept of a product without a canary."""
    if arms is None:
        if noted(workspace.root, product, _NOTE) is not None:
            note(workspace.root, product, _NOTE, None)
        return
    split = arms.split
    told = {
        "release": arms.release,
        "at": arms.seen_at.isoformat(),
        "reason": arms.reason,
        "champion": _figures(split.champion if split else None),
        "canary": _figures(split.canary if split else None),
    }
    note(workspace.root, product, _NOTE, told)


def noted_arms(workspace: Workspace, product: str, release: str) -> Mapping[str, Any] | None:
    """What `note_arms` kept of *release*, or None."""
    told: Mapping[str, Any] | None = noted(workspace.root, product, _NOTE)
    return told if told is not None and told["release"] == release else None


def _figures(seen: Measurement | None) -> dict[str, float] | None:
    if seen is None:
        return None
    return {"value": seen.value, "low": seen.low, "high": seen.high, "rows": seen.rows}

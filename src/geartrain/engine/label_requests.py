"""Ask for the labels that would settle what is open: drawn with known probabilities, kept, put into the review queue.

A request is drawn once and stands in the ledger. Whoever asks again draws anew, and both are
on record; the latest counts. Nothing is drawn from decisions whose truth is known already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.events import LabelsAsked, Recorded
from geartrain.domain.prediction import Floats
from geartrain.engine.decided import KEY
from geartrain.engine.rows import data_of, frame_bytes, frame_from
from geartrain.engine.workspace import Workspace
from geartrain.monitoring.estimating import Foretold, is_open
from geartrain.monitoring.powering import Settling, expected_and_variance
from geartrain.ports.lake import EVENT_TIME
from geartrain.stats.powered import inclusion_of

#: Decisions are drawn from so many of the latest whose truth is not known.
MOST_DRAWN_FROM = 20_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDecision:
    """A decision whose truth was asked for, and with which probability it was drawn."""

    decision: str
    at: datetime
    release: str
    action: str
    inclusion: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelRequest:
    """Decisions that were drawn for labels.

    Attributes:
        asked_at: When.
        about: The clause that they would settle, or empty.
        asked: Those that were drawn, in a random order.
        expected: What each of all decisions that they were drawn from was expected to cost, shape (N,).
    """

    asked_at: datetime
    release: str
    about: str
    asked: tuple[AskedDecision, ...]
    expected: Floats


def request_labels(
    workspace: Workspace,
    contract: Contract,
    *,
    release: str,
    rows: pl.DataFrame,
    told: Foretold,
    settling: Settling,
    labels: int,
    now: datetime,
    actor: str,
) -> LabelRequest:
    """Draw about *labels* of the decisions whose truth is not known and write the request down.

    *rows* are the log's, beside *told*, row for row. Each decision is drawn on its own with its own
    probability, so that their number varies a little.
    """
    places = np.flatnonzero(is_open(told))[-MOST_DRAWN_FROM:]
    mask = np.zeros(len(told), dtype=np.bool_)
    mask[places] = True
    expected, variance = expected_and_variance(told.of(mask))
    inclusion = inclusion_of(np.sqrt(variance), labels)
    product = contract.product.name
    # Fresh chance for each request: decisions that an earlier one passed over are not like the others.
    seed = int(
        digest((product, release, now.isoformat(), sum(1 for _ in _requests(workspace.history(product)))))[
            :15
        ],
        16,
    )
    chance = np.random.default_rng(seed)
    drawn = chance.random(len(places)) < inclusion
    some = rows[places]
    frame = pl.DataFrame(
        {
            # Under the key's own name, so that erasing a person finds the frame.
            data_of(contract).decisions.key: some[KEY],
            "_decision": some["decision_id"],
            "_at": some[EVENT_TIME],
            "_action": some["action"],
            "_expected": expected,
            "_inclusion": inclusion,
            "_drawn": drawn,
            "_order": chance.permutation(len(places)),
        }
    )
    event = LabelsAsked(
        product=product,
        release=release,
        about=settling.about,
        asked=int(drawn.sum()),
        of=len(places),
        rows=workspace.blobs.put(frame_bytes(frame)),
    )
    workspace.record(product, [event], now=now, actor=actor)
    return _read(frame, event, asked_at=now)


def latest_request(workspace: Workspace, product: str, *, release: str, now: datetime) -> LabelRequest | None:
    """The latest request about *release* up to *now*; None where there is none, or its rows were erased."""
    found = [
        one for one in _requests(workspace.history(product)) if one[0].release == release and one[1] <= now
    ]
    if not found or not workspace.blobs.has(found[-1][0].rows):
        return None
    event, at = found[-1]
    return _read(frame_from(workspace.blobs.get(event.rows)), event, asked_at=at)


def _requests(history: Iterable[Recorded]) -> Iterable[tuple[LabelsAsked, datetime]]:
    return ((one.event, one.at) for one in history if isinstance(one.event, LabelsAsked))


def _read(frame: pl.DataFrame, event: LabelsAsked, *, asked_at: datetime) -> LabelRequest:
    drawn = frame.filter(pl.col("_drawn")).sort("_order")
    times = drawn["_at"].cast(pl.Int64).to_list()
    return LabelRequest(
        asked_at=asked_at,
        release=event.release,
        about=event.about,
        asked=tuple(
            AskedDecision(
                decision=decision,
                at=_EPOCH + timedelta(microseconds=at),
                release=event.release,
                action=action,
                inclusion=inclusion,
            )
            for decision, at, action, inclusion in zip(
                drawn["_decision"], times, drawn["_action"], drawn["_inclusion"], strict=True
            )
        ),
        expected=frame["_expected"].to_numpy(),
    )

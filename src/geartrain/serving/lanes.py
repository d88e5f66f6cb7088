"""A lane: all releases that answer for one product, and how its traffic is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from time import perf_counter

import msgspec
import numpy as np

from geartrain.domain.digest import short
from geartrain.errors import RequestInvalid
from geartrain.serving.breaker import Breakers
from geartrain.serving.columns import logged_row
from geartrain.serving.deciding import RESTING, Answered, decide_rows, stand_in
from geartrain.serving.journal import FEATURE_DTYPE, LoggedDecision
from geartrain.serving.requests import RowChecks
from geartrain.serving.routing import Arm, Shares, arm_of, is_shadowed
from geartrain.serving.runtime import RawRow, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The releases of one product. Never changed: a swap puts another lane in its place.

    Attributes:
        champion: Answers.
        canary: Answers for a share of the keys.
        shadow: Decides for a share of the keys; nobody is answered with it.
        previous: Decides where the champion's or canary's model fails; the rule's fallback
            acts where it fails too, or there is none.
        promised_s: The latency that the contract promises, in seconds, if it does.
        breakers: Which models are let rest; shared by all lanes of one product.
    """

    champion: Served
    canary: Served | None = None
    shadow: Served | None = None
    previous: Served | None = None
    shares: Shares = field(default_factory=Shares)
    breakers: Breakers = field(default_factory=Breakers, compare=False)
    promised_s: float | None = None

    @property
    def served(self) -> tuple[tuple[Arm, Served], ...]:
        """Every release in the lane, with its arm."""
        arms = ((Arm.CHAMPION, self.champion), (Arm.CANARY, self.canary), (Arm.SHADOW, self.shadow))
        return tuple((arm, served) for arm, served in arms if served is not None)


def decided_instead_of(release: str) -> str:
    """How the doubt of a decision ends that the release before *release* took because its model failed.

    The decision is the other release's; the log must say whose failure it was.

    >>> decided_instead_of("0123456789abcdef")
    'the release before 0123456789ab decided'
    """
    return f"the release before {short(release)} decided"


def checks_of(served: Served) -> RowChecks:
    """The row checks that a release's contract compiles to."""
    return RowChecks(served.fields, label=served.label)


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Checked rows of one request.

    Attributes:
        arrived_s: The reading of the steady clock when the request arrived; None where nobody waits.
        sent: The rows as the bytes that came; empty where they did not come as JSON.
    """

    rows: tuple[RawRow, ...]
    ids: tuple[str, ...]
    keys: tuple[str, ...]
    at: datetime | None = None
    explain: bool = False
    arrived_s: float | None = None
    sent: tuple[bytes, ...] = ()


Answer = tuple[LoggedDecision, ...] | RequestInvalid


def answer(
    lane: Lane,
    asks: Sequence[Ask],
    now: datetime,
    *,
    stale_s: float | None = None,
    clock: Callable[[], float] = perf_counter,
) -> list[Answer]:
    """Decide about the rows of all *asks* in as few model calls as their arms and times allow.

    Each ask gets its decisions in the order of its rows, or the reason why *its* rows
    cannot be encoded. *clock* is the steady clock by which the asks arrived.
    """
    batch = _Batch(lane, asks, now, stale_s, clock)
    for (arm, at, explain), places in batch.groups().items():
        batch.decide(places, arm, at, explain=explain)
    return batch.answers()


class _Batch:
    """The rows of some asks, one after the other, and what has been made of them."""

    def __init__(
        self,
        lane: Lane,
        asks: Sequence[Ask],
        now: datetime,
        stale_s: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._lane, self._asks, self._now = lane, asks, now
        self._stale_s, self._clock = stale_s, clock
        self._rows = [row for ask in asks for row in ask.rows]
        self._ids = [one for ask in asks for one in ask.ids]
        self._keys = [key for ask in asks for key in ask.keys]
        self._sent = [raw for ask in asks for raw in ask.sent or (None,) * len(ask.rows)]
        self._of = [place for place, ask in enumerate(asks) for _ in ask.rows]
        self._made: list[LoggedDecision | None] = [None] * len(self._rows)
        self._refused: dict[int, RequestInvalid] = {}

    def groups(self) -> Mapping[tuple[Arm, datetime, bool], Sequence[int]]:
        """The places of the rows that one call of one model can take."""
        wishes = {(ask.at, ask.explain) for ask in self._asks}
        if self._lane.canary is None and len(wishes) == 1:
            ((at, explain),) = wishes
            return {(Arm.CHAMPION, at or self._now, explain): range(len(self._rows))}
        groups: dict[tuple[Arm, datetime, bool], list[int]] = {}
        for place, (one, key) in enumerate(zip(self._ids, self._keys, strict=True)):
            ask = self._asks[self._of[place]]
            arm = _arm(self._lane, key or one)
            groups.setdefault((arm, ask.at or self._now, ask.explain), []).append(place)
        return groups

    def decide(self, places: Sequence[int], arm: Arm, at: datetime, *, explain: bool) -> None:
        """Make the decisions at *places*; one client's row must not cost another client's answer."""
        lane = self._lane
        served = lane.canary if arm is Arm.CANARY and lane.canary is not None else lane.champion
        rows = [self._rows[place] for place in places]
        try:
            answered = _by_chain(
                lane,
                served,
                rows,
                [self._ids[place] for place in places],
                [self._keys[place] for place in places],
                now=self._now,
                at=at,
                stale_s=self._stale_s,
                arm=arm,
                explain=explain,
            )
        except RequestInvalid as problem:
            if len(places) == 1:
                self._refused[self._of[places[0]]] = problem
                return
            for place in places:
                self.decide([place], arm, at, explain=explain)
            return
        done = self._clock()
        arrived = (self._asks[self._of[place]].arrived_s for place in places)
        records = _logged(
            answered,
            rows,
            [self._sent[place] for place in places],
            at,
            [None if since is None else 1e3 * (done - since) for since in arrived],
        )
        for place, record in zip(places, records, strict=True):
            self._made[place] = record

    def answers(self) -> list[Answer]:
        """What each ask is answered with."""
        answers: list[Answer] = []
        made = iter(self._made)
        for place, ask in enumerate(self._asks):
            own = tuple(record for record in islice(made, len(ask.rows)) if record is not None)
            answers.append(self._refused.get(place) or own)
        return answers


def _by_chain(
    lane: Lane,
    served: Served,
    rows: Sequence[RawRow],
    ids: Sequence[str],
    keys: Sequence[str],
    *,
    now: datetime,
    at: datetime,
    stale_s: float | None,
    arm: Arm,
    explain: bool,
) -> Answered:
    """Decide by *served*; rows that its model fails on by the release before it, then by the rule.

    What is logged as features is what the model that should have decided was given.
    """
    if lane.breakers.lets(served.release, now):
        answered = decide_rows(
            served, rows, now, ids, keys=keys, at=at, stale_s=stale_s, arm=arm, explain=explain
        )
    else:
        answered = stand_in(served, rows, now, ids, keys, doubt=RESTING)
    failed = [i for i, one in enumerate(answered.decisions) if one.fallback and not one.probabilities]
    if answered.decisions[0].doubt != RESTING:
        lane.breakers.tell(served.release, now, failed=len(failed) == len(rows))
    before = lane.previous
    if not failed or before is None or before.release == served.release:
        return answered
    if not lane.breakers.lets(before.release, now):
        return answered
    again = decide_rows(
        before, [rows[i] for i in failed], now, [ids[i] for i in failed], keys=[keys[i] for i in failed],
        at=at, stale_s=stale_s, arm=arm, explain=explain,
    )  # fmt: skip
    lane.breakers.tell(before.release, now, failed=all(not one.probabilities for one in again.decisions))
    decisions = list(answered.decisions)
    for place, one in zip(failed, again.decisions, strict=True):
        if one.probabilities:
            doubt = f"{decisions[place].doubt}; {decided_instead_of(served.release)}"
            decisions[place] = msgspec.structs.replace(
                one, fallback=True, arm=Arm.FALLBACK.value, doubt=doubt
            )
    return Answered(decisions=tuple(decisions), features=answered.features)


def decide_in_shadow(
    lane: Lane, asks: Sequence[Ask], now: datetime, *, stale_s: float | None = None
) -> tuple[LoggedDecision, ...]:
    """What the shadow release would have decided about its share of the rows; for the log only."""
    shadow = lane.shadow
    if shadow is None:
        return ()
    records: list[LoggedDecision] = []
    for ask in asks:
        taken = [
            place
            for place, (one, key) in enumerate(zip(ask.ids, ask.keys, strict=True))
            if is_shadowed(key or one, share=lane.shares.shadow, salt=shadow.release)
        ]
        if not taken:
            continue
        rows = [ask.rows[i] for i in taken]
        ids, keys = [ask.ids[i] for i in taken], [ask.keys[i] for i in taken]
        at = ask.at or now
        answered = decide_rows(shadow, rows, now, ids, keys=keys, at=at, stale_s=stale_s, arm=Arm.SHADOW)
        sent = [ask.sent[i] if ask.sent else None for i in taken]
        records.extend(_logged(answered, rows, sent, at, [None] * len(rows), shadow=True))
    return tuple(records)


def _arm(lane: Lane, key: str) -> Arm:
    if lane.canary is None:
        return Arm.CHAMPION
    return arm_of(key, share=lane.shares.canary, salt=lane.canary.release)


def _logged(
    answered: Answered,
    rows: Sequence[RawRow],
    sent: Sequence[bytes | None],
    at: datetime,
    took_ms: Sequence[float | None],
    *,
    shadow: bool = False,
) -> list[LoggedDecision]:
    features = np.ascontiguousarray(answered.features, dtype=FEATURE_DTYPE)
    inputs, width = features.tobytes(), features.shape[1] * FEATURE_DTYPE.itemsize
    return [
        LoggedDecision(
            decision=decision,
            at=at,
            row=logged_row(row, raw),
            features=inputs[place * width : place * width + width],
            shadow=shadow,
            latency_ms=took,
        )
        for place, (decision, row, raw, took) in enumerate(
            zip(answered.decisions, rows, sent, took_ms, strict=True)
        )
    ]

"""The rollout of a live product: retrain, shadow, contest, canary, promote, roll back, refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.contract import RetrainingAction, RetrainingTerms
from geartrain.domain.digest import short
from geartrain.domain.events import ChallengeDecided, Refused, RetrainingStarted
from geartrain.domain.incident import Signal
from geartrain.domain.prediction import Floats
from geartrain.domain.release import ReleaseStage
from geartrain.engine import releasing
from geartrain.engine.arms import Answering, costs_of
from geartrain.engine.bench import Document
from geartrain.engine.building import order, run_id
from geartrain.engine.diary import Diary, Ripe
from geartrain.engine.signing import sign_all, waive_unproven
from geartrain.engine.watching import close_with_release, open_incidents
from geartrain.engine.windows import window_for
from geartrain.errors import PoolClosed, ReleaseRefused, SnapshotEmpty, TrainingImpossible
from geartrain.release.conditions import next_step, stage_of
from geartrain.release.state import ReleaseRecord
from geartrain.retraining.challenge import Ruling, decided
from geartrain.retraining.course import (
    FEWEST_ROWS,
    Contest,
    Drop,
    Lately,
    Promote,
    RollBack,
    margin_of,
    next_move,
    way_back,
)
from geartrain.retraining.policy import ALARMS, Refusal, Trigger, should_retrain

if TYPE_CHECKING:
    from geartrain.engine.loop import Loop

#: The same refusal is not written down again before so many days have passed.
REPEAT = timedelta(days=7)


@dataclass(slots=True, kw_only=True, eq=False)
class Rollout:
    """Who challenges the champion, and how far it has come."""

    loop: Loop
    challenger: Answering | None = None
    document: Document = field(default_factory=dict)
    contest: Contest | None = None
    decided: ChallengeDecided | None = None
    made_by_people: Answering | None = None
    standbys: dict[str, Answering] = field(default_factory=dict)
    lately: Lately = field(default_factory=lambda: Lately(keep=FEWEST_ROWS))
    documents: dict[str, Document] = field(default_factory=dict)
    built: list[Document] = field(default_factory=list)
    last: datetime | None = None
    refused: dict[str, datetime] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The share of the traffic that the challenger answers."""
        if self.challenger is None:
            return 0.0
        record = self._record(self.challenger.release)
        return record.share if record is not None and record.stage is ReleaseStage.CANARY else 0.0

    def beside(self) -> Iterator[Answering]:
        """The releases that are asked beside the champion although nobody acts on them."""
        if self.challenger is not None:
            yield self.challenger
        yield from self.standbys.values()
        if self.loop.champion is not None and self.share > 0:
            yield self.loop.champion

    def matured(self, ripe: Ripe, done: Floats) -> None:
        """Costs of a day's rows whose truth has arrived, for every release that was asked about them."""
        champion = self.loop.champion
        assert champion is not None
        ours = self._costs(champion, ripe) if champion.release in ripe.day.shadows else done
        mine = ripe.day.releases[ripe.rows] == champion.release
        ours = np.where(mine, done, ours)
        costs = {champion.release: ours}
        for other in (*self.standbys.values(), *((self.challenger,) if self.challenger else ())):
            if other.release in ripe.day.shadows:
                costs[other.release] = self._costs(other, ripe)
            elif (ripe.day.releases[ripe.rows] == other.release).all():
                costs[other.release] = done
        self.lately = replace(self.lately, keep=max(FEWEST_ROWS, self.loop.horizon_rows())).took(costs)
        if self.challenger is not None and self.contest is not None and self.challenger.release in costs:
            self.contest = self.contest.took(champion=ours, other=costs[self.challenger.release])

    def evening(self, diary: Diary, *, now: datetime, signals: tuple[Signal, ...]) -> None:
        """What the day's evidence decides."""
        champion = self.loop.champion
        assert champion is not None
        back = way_back(self.lately, champion.release, self.standbys, reference=self.loop.reference_costs)
        move = next_move(self.contest, back, lambda: self._asked(now=now, signals=signals))
        match move:
            case None:
                return
            case RollBack():
                if not self._rolled_back(move, now):
                    self.evening(diary, now=now, signals=signals)
            case Promote(ruling=found):
                self._decide(now)
                self._move_on(found, now)
            case Drop(ruling=found):
                self._decide(now)
                self._drop(found.reason, now)
            case Refusal():
                self._refuse("retrain", move.reason, now)
            case Trigger():
                self._train(move, diary, now)
            case _:
                assert_never(move)

    def _costs(self, other: Answering, ripe: Ripe) -> Floats:
        shadow = ripe.day.shadows[other.release]
        return costs_of(
            other.loaded, shadow.actions[ripe.rows], shadow.values[ripe.rows], ripe.truth, ripe.columns
        )

    def _move_on(self, found: Ruling, now: datetime) -> None:
        """Take the proven challenger one step on."""
        assert self.challenger is not None
        loop, release = self.loop, self.challenger.release
        contract = loop.product.contract
        if contract.retraining is not None and contract.retraining.action is not RetrainingAction.PROMOTE:
            return
        if not sign_all(loop.workspace, contract, release, now=now):
            return
        record = self._record(release)
        if record is None or not self._baked(record.entered_at, record.stage, now):
            return
        step = next_step(contract, record)
        if step is None:
            answer = releasing.promote(
                loop.workspace, contract, release=release, now=now, reason=found.reason
            )
            if releasing.accepted(answer):
                self._crown(now)
            return
        releasing.enter(
            loop.workspace,
            contract,
            release=release,
            stage=stage_of(step.kind),
            share=step.share,
            now=now,
            reason=found.reason,
        )

    def _baked(self, entered: datetime, stage: ReleaseStage, now: datetime) -> bool:
        steps = self.loop.product.contract.release
        bakes = [step.bake_s for step in (steps.rollout if steps else ()) if stage_of(step.kind) is stage]
        return now >= entered + timedelta(seconds=max(bakes, default=0.0))

    def _decide(self, now: datetime) -> None:
        """Write the end of the challenge down, once."""
        contest, champion = self.contest, self.loop.champion
        assert self.challenger is not None and contest is not None and champion is not None
        if self.decided is not None:
            return
        product = self.loop.product.name
        self.decided = decided(
            contest.terms,
            contest.seen,
            product=product,
            champion=champion.release,
            challenger=self.challenger.release,
        )
        assert self.decided is not None
        self.loop.workspace.record(product, [self.decided], now=now)

    def _drop(self, reason: str, now: datetime) -> None:
        assert self.challenger is not None
        record = self._record(self.challenger.release)
        if record is not None and record.stage in {ReleaseStage.SHADOW, ReleaseStage.CANARY}:
            releasing.abort(
                self.loop.workspace,
                self.loop.product.contract,
                release=self.challenger.release,
                reason=reason,
                now=now,
            )
        self._forget_challenger()

    def _forget_challenger(self) -> None:
        self.challenger, self.contest, self.decided = None, None, None

    def _crown(self, now: datetime) -> None:
        """The challenger is live; the old champion goes on deciding beside it for a while."""
        loop = self.loop
        assert self.challenger is not None and loop.champion is not None
        former, challenger = loop.champion, self.challenger
        found = open_incidents(loop.workspace, loop.product.name)
        closing = close_with_release(found, challenger.release)
        if closing:
            loop.workspace.record(loop.product.name, closing, now=now)
        self.documents[challenger.release] = self.document
        loop.crown(challenger, self.document, now=now, replaced=True)
        self.made_by_people = self.made_by_people or former
        self.standbys = {one.release: one for one in (former, self.made_by_people)}
        self._forget_challenger()

    def _rolled_back(self, move: RollBack, now: datetime) -> bool:
        """Go back to a release that stands by and is proven to decide cheaper."""
        former = self.standbys.pop(move.release)
        document = self.documents.get(former.release)
        if document is None:
            return False
        loop = self.loop
        answer = releasing.roll_back(
            loop.workspace,
            loop.product.contract,
            reason=f"an earlier release decides cheaper: {move.ruling.reason}",
            now=now,
            to=former.release,
        )
        if not releasing.accepted(answer):
            return False
        if self.challenger is not None:
            self._drop("the champion that it challenged was rolled back", now)
        loop.crown(former, document, now=now, replaced=False)
        people = self.made_by_people
        self.standbys = {} if people is None or people is former else {people.release: people}
        return True

    def _asked(self, *, now: datetime, signals: tuple[Signal, ...]) -> Trigger | Refusal | None:
        """What the contract's policy says tonight."""
        terms = self.loop.product.contract.retraining
        if terms is None:
            return None
        alarm = next((one for one in signals if one.kind in ALARMS), None)
        return should_retrain(terms, self.loop.facts(now=now, alarm=alarm, last=self.last), now)

    def _train(self, trigger: Trigger, diary: Diary, now: datetime) -> None:
        loop = self.loop
        assert loop.champion is not None
        try:
            window = window_for(
                loop.workspace,
                loop.product,
                self._settings(),
                trigger=trigger,
                incumbent=loop.incumbent(),
                now=now,
                seed=loop.seed,
            )
            self.last = now
            started = RetrainingStarted(
                product=loop.product.name,
                trigger=f"{trigger.occasion}: {trigger.reason}; {window.reason}",
                champion=loop.champion.release,
                since=window.window.since,
                until=now,
            )
            loop.workspace.record(loop.product.name, [started], now=now)
            asked = order(
                loop.product,
                now=now,
                seed=loop.seed,
                since=window.window.since,
                half_life_s=window.window.half_life_s,
                retrained=True,
                trials=loop.trials,
            )
            built = loop.workflows.run(run_id("build", asked), "build", asked)
        except (TrainingImpossible, SnapshotEmpty, PoolClosed, ReleaseRefused) as error:
            self._refuse("retrain", error.message, now)
            return
        assert isinstance(built, dict)
        self.built.append(built)
        self._shadow(built, diary, trigger, now)

    def _shadow(self, document: Document, diary: Diary, trigger: Trigger, now: datetime) -> None:
        """Let the new release decide beside the champion, also about rows whose labels are still out."""
        loop, release = self.loop, str(document["release"])
        contract = loop.product.contract
        waive_unproven(loop.workspace, contract, release, now=now)
        record = self._record(release)
        step = next_step(contract, record) if record else None
        if step is not None and stage_of(step.kind) is ReleaseStage.SHADOW:
            answer = releasing.enter(
                loop.workspace,
                contract,
                release=release,
                stage=ReleaseStage.SHADOW,
                share=step.share,
                now=now,
            )
            if not releasing.accepted(answer):
                return
        self.challenger, self.document = loop.load(release), document
        terms = contract.retraining or RetrainingTerms()
        self.contest = loop.contest(margin=margin_of(terms, trigger.occasion))
        open_since = now - timedelta(seconds=contract.decision.label_delay_s + 2 * 86_400)
        for day in diary.days:
            if day.day >= open_since:
                loop.shadow(self.challenger, day)
                if loop.champion is not None:
                    loop.shadow(loop.champion, day)

    def _settings(self) -> dict[str, Parameter]:
        assert self.loop.champion is not None
        document = self.documents.get(self.loop.champion.release, {})
        return dict(document.get("settings", {}))

    def _refuse(self, what: str, reason: str, now: datetime) -> None:
        """Write a refusal down, once in a while: the same no every evening tells nothing new."""
        told = self.refused.get(reason)
        if told is not None and now - told < REPEAT:
            return
        self.refused[reason] = now
        champion = self.loop.champion.release if self.loop.champion else ""
        event = Refused(product=self.loop.product.name, what=what, subject=short(champion), reason=reason)
        self.loop.workspace.record(self.loop.product.name, [event], now=now)

    def _record(self, release: str) -> ReleaseRecord | None:
        return releasing.releases(self.loop.workspace, self.loop.product.name).record(release)

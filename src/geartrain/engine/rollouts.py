"""The rollout of a live product: retrain, shadow, contest, canary, promote, roll back, refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.contract import RetrainingAction
from geartrain.domain.digest import short
from geartrain.domain.events import ChallengeDecided, Refused, RetrainingStarted
from geartrain.domain.incident import Signal
from geartrain.domain.prediction import Floats
from geartrain.domain.release import ReleaseStage
from geartrain.engine import releasing
from geartrain.engine.arms import Answering, costs_of
from geartrain.engine.bench import Document
from geartrain.engine.building import order, run_id
from geartrain.engine.challenging import Contest
from geartrain.engine.diary import Diary, Ripe
from geartrain.engine.signing import sign_all, waive_unproven
from geartrain.engine.watching import close_with_release, open_incidents
from geartrain.engine.windows import window_for
from geartrain.errors import PoolClosed, ReleaseRefused, SnapshotEmpty, TrainingImpossible
from geartrain.release.conditions import next_step, stage_of
from geartrain.release.state import ReleaseRecord
from geartrain.retraining.challenge import Verdict
from geartrain.retraining.policy import Occasion, Refusal, Trigger, should_retrain

if TYPE_CHECKING:
    from geartrain.engine.loop import Loop

#: A scheduled retraining may cost this share more than the champion, proven; one after an alarm must be better.
ROUTINE_MARGIN = 0.05
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
    former: Answering | None = None
    former_contest: Contest | None = None
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
        if self.former is not None:
            yield self.former
        if self.loop.champion is not None and self.share > 0:
            yield self.loop.champion

    def matured(self, ripe: Ripe, done: Floats) -> None:
        """Costs of a day's rows whose truth has arrived, for both contests."""
        champion = self.loop.champion
        assert champion is not None
        ours = self._costs(champion, ripe) if champion.release in ripe.day.shadows else done
        mine = ripe.day.releases[ripe.rows] == champion.release
        ours = np.where(mine, done, ours)
        for other, contest in ((self.challenger, self.contest), (self.former, self.former_contest)):
            if other is None or contest is None or other.release not in ripe.day.shadows:
                continue
            contest.take(champion=ours, challenger=self._costs(other, ripe))

    def evening(self, diary: Diary, *, now: datetime, signals: tuple[Signal, ...]) -> None:
        """What the day's evidence decides."""
        if self._rolled_back(now):
            return
        if self.challenger is not None:
            self._move(now)
        else:
            self._retrain(diary, now=now, signals=signals)

    def _costs(self, other: Answering, ripe: Ripe) -> Floats:
        shadow = ripe.day.shadows[other.release]
        return costs_of(
            other.loaded, shadow.actions[ripe.rows], shadow.values[ripe.rows], ripe.truth, ripe.columns
        )

    def _move(self, now: datetime) -> None:
        """Take the challenger one step on, or out."""
        assert self.challenger is not None and self.contest is not None
        found = self.contest.ruling
        if self.decided is None and found.verdict is not Verdict.RUNNING:
            self._decide(now)
        if found.verdict is Verdict.REFUSE:
            self._drop(found.reason, now)
            return
        if found.verdict is Verdict.RUNNING:
            return
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
        assert self.challenger is not None and self.contest is not None and self.loop.champion is not None
        found = self.contest.ruling
        self.decided = ChallengeDecided(
            product=self.loop.product.name,
            champion=self.loop.champion.release,
            challenger=self.challenger.release,
            promoted=found.verdict is Verdict.PROMOTE,
            evidence=min(found.evidence, 1e300),
            rows=found.rows,
            cost_per_1000_champion=found.cost_per_1000_champion,
            cost_per_1000_challenger=found.cost_per_1000_challenger,
            reason=found.reason,
        )
        self.loop.workspace.record(self.loop.product.name, [self.decided], now=now)

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
        self.former, self.former_contest = former, loop.contest(margin=0.0)
        self.challenger, self.contest, self.decided = None, None, None

    def _rolled_back(self, now: datetime) -> bool:
        """Go back to the former champion once it is proven to have been better."""
        if self.former is None or self.former_contest is None:
            return False
        found = self.former_contest.ruling
        if found.verdict is Verdict.RUNNING:
            return False
        former, self.former, self.former_contest = self.former, None, None
        document = self.documents.get(former.release)
        if found.verdict is not Verdict.PROMOTE or document is None:
            return False
        loop = self.loop
        answer = releasing.roll_back(
            loop.workspace,
            loop.product.contract,
            reason=f"the former release decides cheaper: {found.reason}",
            now=now,
            to=former.release,
        )
        if not releasing.accepted(answer):
            return False
        if self.challenger is not None:
            self._drop("the champion that it challenged was rolled back", now)
        loop.crown(former, document, now=now, replaced=False)
        return True

    def _retrain(self, diary: Diary, *, now: datetime, signals: tuple[Signal, ...]) -> None:
        terms = self.loop.product.contract.retraining
        if terms is None:
            return
        alarm = next((one for one in signals if one.kind in {"cost", "cost-trigger"}), None)
        answer = should_retrain(terms, self.loop.facts(now=now, alarm=alarm, last=self.last), now)
        match answer:
            case None:
                return
            case Refusal():
                self._refuse("retrain", answer.reason, now)
            case Trigger():
                self._train(answer, diary, now)

    def _train(self, trigger: Trigger, diary: Diary, now: datetime) -> None:
        loop = self.loop
        assert loop.champion is not None
        self.last = now
        try:
            window = window_for(
                loop.workspace, loop.product, self._settings(), changed=trigger.since, now=now, seed=loop.seed
            )
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
        margin = 0.0 if trigger.occasion is Occasion.ALARM else ROUTINE_MARGIN
        self.contest = loop.contest(margin=margin)
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

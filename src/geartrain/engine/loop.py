"""The loop of a live product: decide, log, watch, retrain, challenge, move the rollout on."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.columns import microseconds, microseconds_of
from geartrain.domain.digest import digest
from geartrain.domain.incident import Signal
from geartrain.domain.prediction import Decision
from geartrain.domain.wire import decode
from geartrain.engine.arms import Answering, answering, costs_of, indices
from geartrain.engine.bench import Builder, Document
from geartrain.engine.diary import Day, Diary, Shadowed
from geartrain.engine.ingesting import Taken
from geartrain.engine.logbook import log_decisions
from geartrain.engine.products import Product
from geartrain.engine.rollouts import Rollout
from geartrain.engine.rows import data_of
from geartrain.engine.watching import Watch, begin_watch, has_news, open_incidents, unsettled, write_down
from geartrain.engine.workspace import Workspace
from geartrain.engine.world import KEY, World
from geartrain.features.online import OnlineFeatures
from geartrain.monitoring.due import UNKNOWN, label_arrivals
from geartrain.monitoring.explaining import Told
from geartrain.monitoring.feeds import Arrivals, LabelArrivals
from geartrain.monitoring.profile import from_bytes
from geartrain.monitoring.refusals import Refused
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.ports.workflow import Workflows
from geartrain.retraining.course import HORIZON_DAYS, Contest, yardstick
from geartrain.retraining.policy import Facts, gap_of
from geartrain.retraining.window import Incumbent
from geartrain.serving.routing import Arm, arm_of

#: How often a day feeds are looked at.
LOOKS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answered:
    """When a day's decisions were made, when the truth about each came, and what it cost."""

    day: Day
    decided_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    costs: NDArray[np.float64]

    @classmethod
    def of(cls, day: Day) -> _Answered:
        """Nothing is known yet."""
        decided = microseconds_of(day.requests[EVENT_TIME]).to_numpy().astype(np.int64)
        return cls(
            day=day,
            decided_us=decided,
            known_us=np.full(len(decided), UNKNOWN, dtype=np.int64),
            costs=np.full(len(decided), np.nan),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Loop:
    """A live product in a replay: the champion, who challenges it, and what watches it."""

    workspace: Workspace
    product: Product
    builder: Builder
    workflows: Workflows
    seed: int
    trials: int | None
    champion: Answering | None = None
    watch: Watch | None = None
    rollout: Rollout | None = None
    online: OnlineFeatures | None = None
    reference_costs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    label_counts: deque[tuple[datetime, Counter[str]]] = field(default_factory=lambda: deque(maxlen=400))
    door_counts: deque[tuple[datetime, int, int]] = field(default_factory=lambda: deque(maxlen=400))
    arrivals: dict[str, list[NDArray[np.int64]]] = field(default_factory=dict)
    repeats: deque[tuple[datetime, str, int]] = field(default_factory=lambda: deque(maxlen=400))
    refusals: deque[Refused] = field(default_factory=lambda: deque(maxlen=400))
    live_since: datetime | None = None
    answered: deque[_Answered] = field(default_factory=lambda: deque(maxlen=120))
    recent_costs: deque[tuple[datetime, NDArray[np.float64]]] = field(
        default_factory=lambda: deque(maxlen=400)
    )

    def go_live(self, document: Document, *, now: datetime, online: OnlineFeatures) -> None:
        """The first release takes the traffic."""
        self.online = online
        self.rollout = Rollout(loop=self)
        self.crown(self.load(str(document["release"])), document, now=now, replaced=False)

    def load(self, release: str) -> Answering:
        """A release, loaded and checked."""
        assert self.online is not None
        return answering(self.workspace, release, self.online)

    def crown(self, champion: Answering, document: Document, *, now: datetime, replaced: bool) -> None:
        """A release became the champion: it is watched by its own reference, or by a stricter one before it."""
        self.champion, self.live_since = champion, now
        self.recent_costs.clear()
        blobs = self.workspace.blobs
        own = np.array(decode(blobs.get(document["costs"]), tuple[float, ...]), dtype=np.float64)
        self.reference_costs = yardstick(own, self.reference_costs) if replaced else own
        self.watch = begin_watch(
            self.product.contract,
            from_bytes(blobs.get(document["profile"])),
            reference_costs=self.reference_costs,
            decisions_per_day=self.per_day(),
            started=now,
            replaced=replaced,
        )

    def per_day(self) -> float:
        """Decisions a day, as far as seen; the reference's rows in a month where nothing was yet."""
        days = [rows for _, rows, _ in list(self.door_counts)[-14:]]
        return float(np.mean(days)) if days else max(1.0, len(self.reference_costs) / 30)

    def arrived(self, source: str, taken: Taken) -> None:
        """A delivery came in."""
        batch = taken.batch
        times = np.zeros(0, dtype=np.int64)
        if taken.good.height:
            times = microseconds_of(taken.good[ARRIVAL_TIME]).to_numpy().astype(np.int64)
        # A refused row arrived as well: what is wrong with it is not that the feed is silent.
        came = np.full(batch.quarantined, microseconds(batch.arrived_at), dtype=np.int64)
        self.arrivals.setdefault(source, []).append(np.sort(np.concatenate([times, came])))
        self.repeats.append((batch.arrived_at, source, batch.duplicates))
        self.refusals.append(
            Refused(
                source=source,
                at=batch.arrived_at,
                rows=batch.rows,
                refused=batch.quarantined,
                reasons=taken.reasons,
            )
        )
        if source == data_of(self.product.contract).decisions.name:
            self.door_counts.append((batch.arrived_at, batch.rows, batch.quarantined))

    def decide(
        self,
        requests: pl.DataFrame,
        read: list[dict[str, float | str | None]],
        *,
        day: datetime,
        now: datetime,
    ) -> Day:
        """Answer a day's requests: champion or canary by the card's own hash, shadows beside."""
        assert self.champion is not None
        champion, rollout = self.champion, self.rollout
        features = self._feature_frame(read)
        rows = requests.to_dicts()
        keys = [str(key) for key in requests[KEY].to_list()]
        ids = [f"d-{digest((self.product.name, key))[:20]}" for key in keys]
        challenger = rollout.challenger if rollout else None
        share = rollout.share if rollout and challenger else 0.0
        salt = challenger.release if challenger else ""
        arms = np.array([arm_of(key, share=share, salt=salt).value for key in keys], dtype=np.object_)
        stale = self._stale(requests)
        decisions: list[Decision | None] = [None] * len(rows)
        for answerer, arm in ((champion, Arm.CHAMPION), (challenger, Arm.CANARY)):
            if answerer is None:
                continue
            for is_stale in (False, True):
                chosen = np.flatnonzero((arms == arm.value) & ((stale > 0) == is_stale))
                if len(chosen) == 0:
                    continue
                answers = answerer.answer(
                    [rows[i] for i in chosen],
                    features[chosen],
                    ids=[ids[i] for i in chosen],
                    keys=[keys[i] for i in chosen],
                    now=now,
                    stale_s=float(stale[chosen].max()),
                    arm=arm,
                )
                for place, decision in zip(chosen, answers, strict=True):
                    decisions[place] = decision
        made = tuple(one for one in decisions if one is not None)
        if len(made) < len(rows):
            raise RuntimeError(f"{len(rows) - len(made)} requests were not answered")
        done = Day(
            day=day,
            requests=requests,
            features=features,
            decisions=made,
            actions=indices(champion.loaded, made),
            values=np.array([one.probabilities[-1][1] if one.probabilities else np.nan for one in made]),
            releases=np.array([one.release for one in made], dtype=np.object_),
        )
        for other in rollout.beside() if rollout else ():
            self.shadow(other, done)
        log_decisions(self.workspace, self.product, done)
        self.answered.append(_Answered.of(done))
        if self.watch is not None:
            self.watch.saw(features, since=day)
        return done

    def shadow(self, other: Answering, day: Day) -> None:
        """Ask *other* about a day's rows; nobody acts on what it says."""
        if other.release in day.shadows or len(day.actions) == 0:
            return
        actions, values = other.actions(day.features, day.columns)
        day.shadows[other.release] = Shadowed(release=other.release, actions=actions, values=values)

    def evening(self, diary: Diary, world: World, *, day: datetime, now: datetime) -> None:
        """Labels, signals, incidents, the challenge, retraining: what a day leaves to be decided."""
        assert self.champion is not None and self.watch is not None and self.rollout is not None
        told = world.told(day, now)
        classes = self.champion.loaded.rule.classes
        counts: Counter[str] = Counter(told["_truth"].cast(pl.String).to_list())
        self.label_counts.append((now, counts))
        for ripe in diary.ripen(told, classes):
            loaded = self.champion.loaded
            done = costs_of(
                loaded, ripe.day.actions[ripe.rows], ripe.day.values[ripe.rows], ripe.truth, ripe.columns
            )
            mine = ripe.day.releases[ripe.rows] == self.champion.release
            self.watch.matured(done[mine], ripe.at_us[mine])
            self.recent_costs.append((now, done[mine]))
            self.rollout.matured(ripe, done)
            for one in self.answered:
                if one.day is ripe.day:
                    one.known_us[ripe.rows] = ripe.at_us
                    one.costs[ripe.rows] = done
        latencies = world.latencies(diary.days[-1].requests) if diary.days else None
        if latencies is not None:
            self.watch.answered(latencies, self.answered[-1].decided_us)
        found = self._look(day, now, world)
        self.rollout.evening(diary, now=now, signals=found)
        if self.online is not None and day.day % 7 == 0:
            self.online.evict(microseconds(now), lateness_us=30 * 86_400_000_000)

    def facts(self, *, now: datetime, alarm: Signal | None, last: datetime | None) -> Facts:
        """What the retraining policy must know."""
        terms = self.product.contract.retraining
        since = now - timedelta(seconds=terms.window_s) if terms and terms.window_s else None
        labels: Counter[str] = Counter()
        for at, counts in self.label_counts:
            if since is None or at >= since:
                labels += counts
        doors = [(rows, bad) for at, rows, bad in self.door_counts if at >= now - timedelta(days=7)]
        rows = sum(one[0] for one in doors)
        classes = self.champion.loaded.rule.classes if self.champion else ()
        return Facts(
            live_since=self.live_since,
            last_retraining=last,
            alarm=alarm,
            gap=gap_of(self._recent(now), self.reference_costs, decisions_per_day=self.per_day()),
            mature_labels=sum(labels.values()),
            per_class=tuple((name, labels.get(name, 0)) for name in classes),
            quarantined_share=sum(one[1] for one in doors) / rows if rows else 0.0,
            open_incidents=open_incidents(self.workspace, self.product.name),
        )

    def _recent(self, now: datetime) -> NDArray[np.float64]:
        """What the champion's decisions cost whose truth became known in the last window of the monitors."""
        assert self.watch is not None
        since = now - timedelta(seconds=self.watch.terms.window_s)
        parts = [costs for at, costs in self.recent_costs if at > since]
        return np.concatenate(parts) if parts else np.zeros(0)

    def contest(self, *, margin: float) -> Contest:
        """A new paired test on the scale of the champion's own costs."""
        return Contest.begin(self.reference_costs, horizon_rows=self.horizon_rows(), margin=margin)

    def incumbent(self) -> Incumbent | None:
        """What the champion's own decisions cost; None before the first."""
        if self.champion is None or self.live_since is None or not self.answered:
            return None
        mine = np.concatenate([one.day.releases for one in self.answered]) == self.champion.release
        return Incumbent(
            since=self.live_since,
            at_us=np.concatenate([one.decided_us for one in self.answered])[mine],
            costs=np.concatenate([one.costs for one in self.answered])[mine],
        )

    def horizon_rows(self) -> int:
        """How many decisions a paired test may take, and how far back releases are compared."""
        return int(HORIZON_DAYS * self.per_day())

    def told(self, moment: datetime) -> Told | None:
        """The champion's decisions up to *moment*, with what is known of them; None before the first."""
        assert self.champion is not None
        days = [one for one in self.answered if len(one.decided_us)]
        if not days:
            return None
        made = [decision for one in days for decision in one.day.decisions]
        at_us = np.concatenate([one.decided_us for one in days])
        mine = (np.concatenate([one.day.releases for one in days]) == self.champion.release) & (
            at_us <= microseconds(moment)
        )
        expected = np.array([one.expected_cost if one.probabilities else np.nan for one in made])
        return Told(
            at_us=at_us[mine],
            features=pl.concat([one.day.features for one in days]).filter(pl.Series(mine)),
            costs=np.concatenate([one.costs for one in days])[mine],
            expected=expected[mine],
        )

    def _feature_frame(self, read: list[dict[str, float | str | None]]) -> pl.DataFrame:
        kinds = {
            one.name: pl.Float64 if one.type.value == "number" else pl.String
            for one in self.product.features.features
        }
        return pl.DataFrame(read, schema=kinds) if read else pl.DataFrame(schema=kinds)

    def _stale(self, requests: pl.DataFrame) -> NDArray[np.float64]:
        """For how long the feed had been silent at each request, in seconds; 0 where it is fresh."""
        source = data_of(self.product.contract).decisions
        abstain = self.product.contract.decision.abstain
        limit = abstain.most_stale_s if abstain else None
        parts = self.arrivals.get(source.name)
        if limit is None or not parts or requests.height == 0:
            return np.zeros(requests.height)
        times = np.sort(np.concatenate(parts[-3:]))
        at = microseconds_of(requests[EVENT_TIME]).to_numpy().astype(np.int64)
        place = np.searchsorted(times, at, side="right") - 1
        silent = np.where(place >= 0, (at - times[np.maximum(place, 0)]) / 1e6, 0.0)
        return np.where(silent > limit, silent, 0.0)

    def _look(self, day: datetime, now: datetime, world: World) -> tuple[Signal, ...]:
        """Look at the feeds several times a day, at everything in the evening."""
        assert self.watch is not None
        found: tuple[Signal, ...] = ()
        for number in range(1, LOOKS + 1):
            moment = day + (now - day) * number / LOOKS
            arrivals = tuple(
                self._arrivals(source.name, moment)
                for source in data_of(self.product.contract).sources
                if source.name in world.deliveries
            )
            known = open_incidents(self.workspace, self.product.name)
            found = self.watch.signals(
                now=moment, arrivals=arrivals, labels=self._labels(moment), refused=tuple(self.refusals)
            )
            ask = has_news(found, known) or (moment == now and any(map(unsettled, known)))
            told = self.told(moment) if ask else None
            seen = self.watch.look(found, now=moment, open_incidents=known, told=told)
            write_down(self.workspace, self.product.contract, seen, now=moment)
        return found

    def _labels(self, moment: datetime) -> LabelArrivals | None:
        """What became of the labels that fell due."""
        assert self.watch is not None
        if not self.answered:
            return None
        return label_arrivals(
            np.concatenate([one.decided_us for one in self.answered]),
            np.concatenate([one.known_us for one in self.answered]),
            now=moment,
            delay_s=self.product.contract.decision.label_delay_s,
            window_s=self.watch.terms.window_s,
        )

    def _arrivals(self, source: str, moment: datetime) -> Arrivals:
        at_us, since_us = microseconds(moment), microseconds(moment - timedelta(days=1))
        parts = self.arrivals.get(source, [])[-3:]
        times = np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
        seen = times[times <= at_us]
        last = moment.fromtimestamp(seen[-1] / 1e6, tz=moment.tzinfo) if len(seen) else None
        return Arrivals(
            source=source,
            watched_since=self.live_since or moment,
            last_arrival=last,
            newest_event=last,
            rows=int((seen > since_us).sum()),
            repeated=sum(
                count
                for at, name, count in self.repeats
                if name == source and moment - timedelta(days=1) < at <= moment
            ),
            window_s=86_400.0,
        )

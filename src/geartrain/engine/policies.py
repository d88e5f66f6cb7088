"""What other policies would have cost on the same decisions: never retrain, retrain on schedule, the trivial ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from geartrain.domain.columns import microseconds_of
from geartrain.domain.expression import Columns
from geartrain.domain.features import Encoding
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.engine.arms import Answering, costs_of
from geartrain.engine.bench import Document
from geartrain.engine.diary import Day, Diary, Indices
from geartrain.engine.rows import classes_of, take_rows
from geartrain.engine.windows import days_before, labelled, quick_fit
from geartrain.engine.world import KEY, TRUTH, World
from geartrain.errors import SnapshotEmpty, TrainingImpossible
from geartrain.evaluation.baselines import baseline_costs, baseline_names
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.features.encoding import encode
from geartrain.ports.lake import EVENT_TIME
from geartrain.stats.deciding import decide
from geartrain.stats.fitted import Fitted

if TYPE_CHECKING:
    from geartrain.engine.loop import Loop

PRODUCT = "geartrain"
NEVER = "never retrain"
SCHEDULE = "retrain on schedule"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scheduled:
    """A model that was refitted because the calendar said so, and put live without being asked anything."""

    encoding: Encoding
    rule: DecisionRule
    fitted: Fitted


@dataclass(slots=True, kw_only=True, eq=False)
class Policies:
    """Keeps what each policy does about each day, and counts its cost when the truth is known."""

    first: Answering | None = None
    scheduled: Scheduled | None = None
    settings: dict[str, object] = field(default_factory=dict)
    refitted_at: datetime | None = None
    refits: int = 0
    never: list[tuple[Indices, Floats]] = field(default_factory=list)
    on_schedule: list[tuple[Indices, Floats]] = field(default_factory=list)
    costs: dict[str, Floats] = field(default_factory=dict)
    days: list[datetime] = field(default_factory=list)
    times_us: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def begin(self, loop: Loop, document: Document) -> None:
        """Every policy starts with the first release."""
        self.first = loop.champion
        self.settings = dict(document["settings"])
        self.refitted_at = loop.live_since
        if loop.rollout is not None and loop.champion is not None:
            loop.rollout.documents[loop.champion.release] = document

    def decided(self, day: Day) -> None:
        """What the frozen and the scheduled model would have done about a day's rows."""
        assert self.first is not None
        actions, values = self.first.actions(day.features, day.columns)
        self.never.append((actions, values))
        if self.scheduled is None:
            self.on_schedule.append((actions, values))
            return
        answers = self.scheduled.fitted.predict(encode(self.scheduled.encoding, day.features))
        self.on_schedule.append(_acted(self.scheduled.rule, answers, day.columns))

    def evening(self, loop: Loop, *, now: datetime, every_s: float) -> None:
        """Refit when the calendar says so."""
        assert self.refitted_at is not None
        if now < self.refitted_at + timedelta(seconds=every_s):
            return
        self.refitted_at = now
        product = loop.product
        window = product.contract.retraining.window_s if product.contract.retraining else None
        try:
            _, rows = take_rows(
                loop.workspace,
                product.contract,
                product.features,
                known_at=now,
                since=days_before(now, window),
            )
            classes = classes_of(product.contract, rows)
            encoding, rule, fitted = quick_fit(
                product.contract,
                product.features,
                product.recipe,
                dict(self.settings),  # type: ignore[arg-type]  # settings that a search found
                labelled(product.contract, rows, classes),
                classes=classes,
                seed=loop.seed,
            )
        except (TrainingImpossible, SnapshotEmpty):
            return
        self.scheduled = Scheduled(encoding=encoding, rule=rule, fitted=fitted)
        self.refits += 1

    def finish(self, loop: Loop, diary: Diary, world: World) -> None:
        """History is over: every decision's truth that ever became known is used."""
        if not diary.days or self.first is None:
            return
        champion = self.first
        classes = champion.loaded.rule.classes
        requests = pl.concat([day.requests for day in diary.days], how="diagonal_relaxed")
        truth = _truth(requests, world, classes)
        known = np.flatnonzero(np.isfinite(truth))
        columns = {
            name: np.concatenate([np.asarray(day.columns[name], dtype=object) for day in diary.days])[known]
            if any(day.columns[name].dtype == object for day in diary.days)
            else np.concatenate([day.columns[name] for day in diary.days])[known]
            for name in diary.days[0].columns
        }
        own = (
            np.concatenate([day.actions for day in diary.days]),
            np.concatenate([day.values for day in diary.days]),
        )
        series = {PRODUCT: own, NEVER: _joined(self.never), SCHEDULE: _joined(self.on_schedule)}
        for name, (actions, values) in series.items():
            self.costs[name] = costs_of(champion.loaded, actions[known], values[known], truth[known], columns)
        self.times_us = microseconds_of(requests[EVENT_TIME]).to_numpy().astype(np.int64)[known]
        evidence = Evidence(
            contract=loop.product.contract,
            rule=champion.loaded.rule,
            predictions=_nothing(champion.loaded.rule, len(known)),
            truth=truth[known].astype(np.int64) if classes else truth[known],
            columns=columns,
            times_us=self.times_us,
        )
        for name in baseline_names(evidence):
            costs = baseline_costs(evidence, name)
            if not isinstance(costs, Unmeasured):
                self.costs[name] = costs

    def table(self) -> pl.DataFrame:
        """One row for each day and policy: decisions with known truth, and what they cost."""
        if not self.costs:
            return pl.DataFrame(
                schema={
                    "day": pl.Datetime("us", "UTC"),
                    "policy": pl.String,
                    "decisions": pl.Int64,
                    "cost": pl.Float64,
                }
            )
        day = pl.Series("day", self.times_us).cast(pl.Datetime("us", "UTC")).dt.truncate("1d")
        parts = [
            pl.DataFrame({"day": day, "policy": [name] * len(costs), "cost": costs})
            for name, costs in self.costs.items()
        ]
        return (
            pl.concat(parts)
            .filter(pl.col("cost").is_finite())
            .group_by("day", "policy")
            .agg(pl.len().cast(pl.Int64).alias("decisions"), pl.col("cost").sum())
            .sort("policy", "day")
        )


def _joined(parts: list[tuple[Indices, Floats]]) -> tuple[Indices, Floats]:
    return np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts])


def _acted(rule: DecisionRule, answers: Predictions, columns: Columns) -> tuple[Indices, Floats]:
    if not rule.task.has_classes:
        return np.zeros(len(answers), dtype=np.int64), answers.values[:, 0]
    return decide(rule, answers, columns).actions, answers.values[:, -1]


def _truth(requests: pl.DataFrame, world: World, classes: tuple[str, ...]) -> Floats:
    told = requests.select(KEY).join(
        world.truth.select(KEY, TRUTH), on=KEY, how="left", maintain_order="left"
    )
    if not classes:
        return told[TRUTH].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    place = {name: float(index) for index, name in enumerate(classes)}
    return np.array([place.get(one, float("nan")) for one in told[TRUTH].to_list()])


def _nothing(rule: DecisionRule, rows: int) -> Predictions:
    """Answers that say nothing: baselines do not read them."""
    width = max(len(rule.classes), 1)
    return Predictions(task=rule.task, classes=rule.classes, values=np.full((rows, width), 1.0 / width))

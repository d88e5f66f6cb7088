"""A stream lived through in blocks with the library's own trigger, window choice and paired test.

Between this and `geartrain replay` lies only what surrounds the policy: no lake, no gates,
no bundles. What decides is the library's: `monitoring.losses` rings, `retraining.policy`
asks or refuses, `retraining.window` chooses rows, `retraining.course` settles who is live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from streams import Stream

from geartrain.domain.clause import Parameter
from geartrain.domain.contract import CostTerms, RetrainingTerms
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import TrainingImpossible
from geartrain.monitoring import losses
from geartrain.retraining.course import (
    Contest,
    Drop,
    Lately,
    Promote,
    RollBack,
    margin_of,
    next_move,
    not_begun,
    way_back,
    yardstick,
)
from geartrain.retraining.policy import ALARMS, Facts, Refusal, Trigger, gap_of, should_retrain
from geartrain.retraining.window import Incumbent, Window, block_start, candidates, choose_window
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples, Lineage, row_costs
from geartrain.training.fitting import fit
from geartrain.training.folds import inner_folds
from geartrain.training.recipe import Recipe, choice, integer, number, recipe
from geartrain.training.search import search

#: Rows that the first model learns from, rows of a block, rows by which labels are late.
FIRST, BLOCK, LATE = 5_000, 500, 500
#: One row a minute, so that the policy's times are rows.
ROW_S = 60.0
ROWS_A_DAY = 86_400 / ROW_S
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
#: How many of the first rows are held back to learn what the first model costs.
HELD_BACK = 1_000

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


def terms_of(
    *,
    every: int | None = None,
    window: int | None = 5_000,
    cool_down: int = 1_000,
    refit_cost: float | None = None,
    margin: float = 0.05,
    on_alarm: bool = True,
) -> RetrainingTerms:
    """A contract's retraining terms, in rows."""
    return RetrainingTerms(
        on_alarm=on_alarm,
        every_s=None if every is None else every * ROW_S,
        refit_cost=refit_cost,
        window_s=None if window is None else window * ROW_S,
        margin=margin,
        cool_down_s=cool_down * ROW_S,
        fewest_labels=500,
        fewest_per_class=5,
    )


def rule_for(stream: Stream) -> DecisionRule:
    """Every error costs one: a mean cost is a share of errors."""
    task = Task.BINARY if len(stream.classes) == 2 else Task.MULTICLASS
    return DecisionRule(task=task, classes=stream.classes, actions=stream.classes, costs=CostTerms())


def boosted() -> Recipe:
    """Boosted trees; their settings are searched on the first rows alone and then stay."""
    return recipe(
        "lightgbm",
        search={
            "n_estimators": integer(30, 300, log=True),
            "num_leaves": integer(4, 31, log=True),
            "learning_rate": number(0.03, 0.15, log=True),
        },
        fixed={"min_child_samples": 20},
        calibrate="none",
    )


def voting() -> Recipe:
    """Boosted trees on samples of rows and columns, and a line: the mean of their probabilities, weights searched too."""
    return recipe(
        trees_and_line,
        search={
            "n_estimators": integer(50, 300, log=True),
            "num_leaves": integer(4, 31, log=True),
            "learning_rate": number(0.03, 0.15, log=True),
            "min_child_samples": integer(10, 80, log=True),
            "line": choice(0.5, 0.25, 0.0),
        },
        fixed={"subsample": 0.7, "subsample_freq": 1, "colsample_bytree": 0.7},
        calibrate="none",
    )


def trees_and_line(settings: Mapping[str, Parameter], _seed: int) -> Any:
    """LightGBM and logistic regression, which has the share `line` of the vote."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    of_trees: dict[str, Any] = dict(settings)
    line = float(of_trees.pop("line"))
    trees = LGBMClassifier(**of_trees, n_jobs=1, verbosity=-1, deterministic=True, force_row_wise=True)
    both = [("trees", trees), ("line", LogisticRegression(max_iter=1_000))]
    return make_pipeline(StandardScaler(), VotingClassifier(both, voting="soft", weights=[1 - line, line]))


@dataclass(kw_only=True, eq=False)
class Learner:
    """Fits and asks models of one stream, and counts the fits."""

    stream: Stream
    seed: int
    recipe: Recipe = field(default_factory=boosted)
    trials: int = 4
    rule: DecisionRule = field(init=False)
    settings: dict[str, Parameter] = field(init=False)
    fits: int = 0

    def __post_init__(self) -> None:
        self.rule = rule_for(self.stream)
        first = self.examples(np.arange(min(FIRST, len(self.stream.truth)), dtype=np.int64))
        found = search(
            self.recipe,
            first,
            inner_folds(first.truth, times_us=times_of(np.arange(len(first)))),
            self.rule,
            trials=self.trials,
            seed=self.seed,
            lineage=Lineage(contract="streams", snapshot=self.stream.name, features="as they are"),
            record=lambda _trial: None,
        )
        self.settings = dict(found.settings)

    def examples(self, rows: Indices) -> Examples:
        """The rows as the training room takes them."""
        return Examples(matrix=self.stream.matrix[rows], truth=self.stream.truth[rows], columns={})

    def taught(self, window: Window, until: int) -> Fitted | None:
        """A model taught on the rows of *window* before *until*; None where they cannot teach one."""
        begin = 0 if window.since is None else row_at(window.since)
        rows = np.arange(max(0, begin), until, dtype=np.int64)
        self.fits += 1
        try:
            lesson = replace(self.examples(rows), weight=window.weights(times_of(rows)))
            return fit(self.recipe, self.settings, lesson, self.rule, seed=self.seed)
        except TrainingImpossible:
            return None

    def costs(self, fitted: Fitted, rows: Indices) -> Floats:
        """What decisions about *rows* cost."""
        asked = self.examples(rows)
        return row_costs(self.rule, fitted.predict(asked.matrix), asked)


def times_of(rows: Indices) -> Indices:
    """When rows happened, in microseconds."""
    return np.asarray(int(BEGIN.timestamp()) * 1_000_000 + rows * int(ROW_S * 1e6), dtype=np.int64)


def time_at(row: int) -> datetime:
    """When a row happened."""
    return BEGIN + timedelta(seconds=row * ROW_S)


def row_at(time: datetime) -> int:
    """The row that happened at a time."""
    return round((time - BEGIN).total_seconds() / ROW_S)


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A model, the rows before which it learned, and what it cost on rows that it did not learn from."""

    name: str
    fitted: Fitted
    until: int
    reference: Floats


@dataclass(kw_only=True, eq=False)
class Lived:
    """What came of a policy: the errors row by row from the first decision on, and what it did."""

    costs: Floats
    refits: int = 0
    alarms: int = 0
    promoted: int = 0
    dropped: int = 0
    rolled_back: int = 0
    refused: int = 0
    fits: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Prequential accuracy in per cent."""
        return 100 * (1 - float(np.nanmean(self.costs)))


def live(
    learner: Learner,
    terms: RetrainingTerms,
    *,
    smallest_change: float = 0.1,
    false_alarm_rows: float = 100_000,
    horizon: int = 4 * BLOCK,
) -> Lived:
    """Live through the stream under *terms*."""
    life = _Life(
        learner=learner,
        terms=terms,
        horizon=horizon,
        plan=losses.LossPlan(
            about="expected_cost", smallest_change=smallest_change, run_rows=false_alarm_rows
        ),
    )
    life.begin()
    for now in range(FIRST, len(learner.stream.truth), BLOCK):
        if now > FIRST:
            life.evening(now)
        life.decide(now)
    life.done.fits = learner.fits
    return life.done


@dataclass(kw_only=True, eq=False)
class _Life:
    learner: Learner
    terms: RetrainingTerms
    plan: losses.LossPlan
    horizon: int
    done: Lived = field(init=False)
    champion: Model = field(init=False)
    monitor: losses.LossMonitor = field(init=False)
    live_since: int = FIRST
    first: Model = field(init=False)
    challenger: Model | None = None
    contest: Contest | None = None
    standbys: dict[str, Model] = field(default_factory=dict)
    lately: Lately = field(init=False)
    last: int | None = None
    rung: bool = False

    def begin(self) -> None:
        """The first model, taught on all the first rows; what it costs is learned from the last of them."""
        rows = np.arange(FIRST - HELD_BACK, FIRST, dtype=np.int64)
        everything = Window(name="all", since=None)
        before = self.learner.taught(everything, FIRST - HELD_BACK)
        first = self.learner.taught(everything, FIRST)
        assert before is not None and first is not None
        self.learner.fits = 0
        self.done = Lived(costs=np.full(len(self.learner.stream.truth) - FIRST, np.nan))
        self.first = Model(
            name="first", fitted=first, until=FIRST, reference=self.learner.costs(before, rows)
        )
        self.lately = Lately(keep=self.horizon)
        self._crown(self.first, FIRST)

    def _crown(self, model: Model, now: int) -> None:
        self.champion, self.live_since = model, now
        self.monitor = losses.begin(self.plan, model.reference)
        self.rung = False

    def decide(self, now: int) -> None:
        rows = np.arange(now, min(now + BLOCK, len(self.learner.stream.truth)), dtype=np.int64)
        self.done.costs[rows - FIRST] = self.learner.costs(self.champion.fitted, rows)

    def evening(self, now: int) -> None:
        """Labels of the block before the last came in: what do they decide?"""
        ripe = np.arange(max(FIRST, now - LATE - BLOCK), now - LATE, dtype=np.int64)
        if len(ripe):
            self._matured(ripe)
        known = now - LATE
        back = way_back(self.lately, self.champion.name, self.standbys, reference=self.champion.reference)
        match next_move(self.contest, back, lambda: self._asked(known, now)):
            case RollBack(release=name, ruling=found):
                self.done.rolled_back += 1
                self._say(now, f"back to {name}: {found.reason}")
                self._crown(self.standbys[name], now)
                self.standbys = {} if name == self.first.name else {self.first.name: self.first}
                self.challenger, self.contest = None, None
            case Promote(ruling=found):
                assert self.challenger is not None
                self.done.promoted += 1
                self._say(now, f"promoted: {found.reason}")
                self.standbys = {one.name: one for one in (self.champion, self.first)}
                self._crown(self.challenger, now)
                self.challenger, self.contest = None, None
            case Drop(ruling=found):
                self.done.dropped += 1
                self._say(now, f"dropped: {found.reason}")
                self.challenger, self.contest = None, None
            case Refusal():
                self.done.refused += 1
            case Trigger() as trigger:
                self._retrain(trigger, known, now)
            case None:
                pass

    def _matured(self, ripe: Indices) -> None:
        mine = ripe[ripe >= self.live_since]
        if len(mine):
            self.monitor = losses.take(self.monitor, self.done.costs[mine - FIRST], times_of(mine + LATE))
        costs = {
            model.name: self.learner.costs(model.fitted, ripe)
            for model in (self.champion, *self.standbys.values(), self.challenger)
            if model is not None and ripe[0] >= model.until
        }
        self.lately = self.lately.took(costs)
        if self.contest is not None and self.challenger is not None and self.challenger.name in costs:
            self.contest = self.contest.took(
                champion=self.learner.costs(self.champion.fitted, ripe), other=costs[self.challenger.name]
            )

    def _asked(self, known: int, now: int) -> Trigger | Refusal | None:
        signals = [one for one in losses.signals(self.monitor) if one.kind in ALARMS]
        if signals and not self.rung:
            self.rung = True
            self.done.alarms += 1
        recent = np.arange(max(self.live_since, known - 2 * BLOCK), known, dtype=np.int64)
        labels = self.learner.stream.truth[max(0, known - FIRST) : known]
        facts = Facts(
            live_since=time_at(self.live_since),
            last_retraining=None if self.last is None else time_at(self.last),
            alarm=signals[0] if signals else None,
            gap=gap_of(
                self.done.costs[recent - FIRST], self.champion.reference, decisions_per_day=ROWS_A_DAY
            ),
            mature_labels=len(labels),
            per_class=tuple(
                (name, int((labels == place).sum())) for place, name in enumerate(self.learner.stream.classes)
            ),
        )
        return should_retrain(self.terms, facts, time_at(now))

    def _retrain(self, trigger: Trigger, known: int, now: int) -> None:
        times = times_of(np.arange(known, dtype=np.int64))
        cut = int(np.searchsorted(times, block_start(times, window_s=self.terms.window_s)))
        block = np.arange(cut, known, dtype=np.int64)
        windows = candidates(changed=trigger.since, window_s=self.terms.window_s, until=time_at(cut))
        costs: dict[str, Floats] = {}

        def score(window: Window) -> float | None:
            fitted = self.learner.taught(window, cut)
            if fitted is None:
                return None
            costs[window.name] = self.learner.costs(fitted, block)
            return float(costs[window.name].mean())

        choice = choose_window(windows, score)
        mine = np.arange(self.live_since, known, dtype=np.int64)
        incumbent = Incumbent(
            since=time_at(self.live_since), at_us=times_of(mine), costs=self.done.costs[mine - FIRST]
        )
        if not_begun(trigger.occasion, choice, incumbent.cost_since(time_at(cut))) is not None:
            self.done.refused += 1
            return
        fitted = self.learner.taught(choice.window, known)
        self.last = now
        self._say(now, f"{trigger.occasion}: {trigger.reason}; {choice.window.name}, {choice.reason}")
        if fitted is None:
            self.done.refused += 1
            return
        self.done.refits += 1
        self.challenger = Model(
            name=f"refit {self.done.refits}",
            fitted=fitted,
            until=known,
            reference=yardstick(
                costs.get(choice.window.name, self.champion.reference), self.champion.reference
            ),
        )
        self.contest = Contest.begin(
            self.champion.reference,
            horizon_rows=self.horizon,
            margin=margin_of(self.terms, trigger.occasion),
        )

    def _say(self, now: int, text: str) -> None:
        self.done.told.append(f"{now:6} {text}")


def beside(learner: Learner) -> dict[str, Floats]:
    """What never refitting, refitting each block and the trivial policies cost on the same rows."""
    truth = learner.stream.truth
    everything = Window(name="all", since=None)
    first = learner.taught(everything, FIRST)
    assert first is not None
    costs = {name: np.zeros(len(truth) - FIRST) for name in ("never", "periodic", "majority")}
    refitted = first
    for now in range(FIRST, len(truth), BLOCK):
        rows = np.arange(now, min(now + BLOCK, len(truth)), dtype=np.int64)
        if now > FIRST:
            last = Window(name="last", since=time_at(max(0, now - LATE - FIRST)))
            refitted = learner.taught(last, now - LATE) or refitted
        majority = np.bincount(truth[: now - LATE]).argmax()
        costs["never"][rows - FIRST] = learner.costs(first, rows)
        costs["periodic"][rows - FIRST] = learner.costs(refitted, rows)
        costs["majority"][rows - FIRST] = truth[rows] != majority
    costs["last label"] = (truth[FIRST - 1 : -1] != truth[FIRST:]).astype(np.float64)
    costs["last known label"] = (truth[FIRST - LATE : -LATE] != truth[FIRST:]).astype(np.float64)
    return costs

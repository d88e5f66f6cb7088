"""What feasibility looks at: the feeds' history, strange features, growing lessons that keep groups whole."""

import time
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from geartrain.domain.rule import rule_of
from geartrain.engine.feasible import examine
from geartrain.engine.feed_history import feed_history
from geartrain.engine.growing import grow
from geartrain.engine.ingesting import Door
from geartrain.engine.oddities import oddities
from geartrain.engine.rows import Rows
from geartrain.engine.shuffling import shuffled
from geartrain.engine.trying import Ground, try_simplest
from geartrain.features.declaring import feature_set, request
from geartrain.training.examples import Examples
from geartrain.training.folds import inner_folds

PARCELS = {
    "product": {"name": "parcels", "title": "Parcels", "problem": "which parcel comes back"},
    "decision": {"task": "binary", "unit": "a parcel", "label": "back", "positive": "yes", "negative": "no"},
    "data": {
        "sources": {
            "parcels": {
                "kind": "decisions",
                "key": "id",
                "event_time": "at",
                "arrival_time": "at",
                "freshness": "6 hours",
                "rows_per_day": 4,
                "most_quarantined": 0.05,
                "fields": {
                    "id": {"type": "string", "required": True},
                    "weight": {"type": "number", "required": True},
                    "at": {"type": "timestamp", "required": True},
                    "back": {"type": "string"},
                },
            }
        }
    },
}


def parcels(now, hours, *, weight="weight"):
    """A parcel at each of these hours before *now*."""
    return pl.DataFrame(
        {
            "id": [f"p{number}" for number in range(len(hours))],
            weight: [float(number % 7) for number in range(len(hours))],
            "at": [now - timedelta(hours=float(hour)) for hour in hours],
            "back": ["yes" if number % 3 == 0 else "no" for number in range(len(hours))],
        }
    )


def taken_in(memory, made, frame, tmp_path, now):
    workspace = memory()
    frame.write_parquet(tmp_path / "parcels.parquet")
    Door(workspace, made.contract).take_file("parcels", tmp_path / "parcels.parquet", now=now)
    return workspace


def test_a_feeds_history_is_told_by_its_days(memory, product, tmp_path, now):
    """A parcel every 4 hours for 20 days but for one silent stretch: one whole day in nineteen has too few."""
    made = product(PARCELS)
    hours = [hour for hour in range(0, 480, 4) if not 240 <= hour < 264]
    told = dict(
        feed_history(taken_in(memory, made, parcels(now, hours), tmp_path, now), made.contract, now=now)
    )
    silence = told["data.parcels.freshness"]
    assert (silence.low, silence.high) == (4 * 3600, 28 * 3600)
    assert "was 4 h in the middle and 28 h at worst" in silence.note
    volume = told["data.parcels.rows_per_day"]
    assert (volume.low, volume.high) == (2, 6)
    assert "1 of 19 days broke the promise" in volume.note
    assert told["data.parcels.quarantined"].high == 0


def test_one_delivery_shows_nothing_of_a_feed(memory, product, tmp_path, now):
    """Rows that all came within a day leave every promise about the feed open, in words."""
    made = product(PARCELS)
    workspace = taken_in(memory, made, parcels(now, np.linspace(1, 9, 50)), tmp_path, now)
    assert all("in one delivery" in said for _, said in feed_history(workspace, made.contract, now=now))
    empty = dict(feed_history(memory("empty"), made.contract, now=now))
    assert empty["data.parcels.freshness"] == "no good row of it has ever arrived"


def test_strange_features_are_named(now):
    """Text for numbers, one value for all, none at all, and one that is mostly missing."""
    raw = pl.DataFrame(
        {
            "weight": ["2.5", "heavy", "3", "4"] * 10,
            "site": ["A"] * 40,
            "old": [None] * 40,
            "rare": [1.0, None, None, None] * 5 + [None] * 20,
            "good": [float(number) for number in range(40)],
        },
        schema_overrides={"old": pl.Float64},
    )
    features = raw.with_columns(pl.col("weight").cast(pl.Float64, strict=False))
    words = {"owner": "domain", "description": "a thing", "because": "it matters"}
    names = feature_set(
        *(request(name, type="category" if name == "site" else "number", **words) for name in raw.columns)
    )
    told = oddities(names, Rows(raw=raw, features=features))
    assert told == (
        "feature `weight` should be a number, but 10 of 40 rows hold text such as `heavy`",
        "feature `site` has the same value in every row and can tell nothing",
        "feature `old` has no value in any of 40 rows",
        "feature `rare` is missing in 88% of the rows",
    )
    few = oddities(names, Rows(raw=raw[:0], features=features[:0]))
    assert few == ("0 rows are too few to learn or to prove anything from; every figure here is a guess",)


@pytest.fixture
def ground(product):
    """A function that makes a ground of rows in which 60 entities come eight times each."""

    def make(signal=2.0, grouped=True):
        made = product(PARCELS)
        rng = np.random.default_rng(0)
        entity = np.repeat(np.arange(60), 8)
        x = rng.normal(size=(480, 3)).astype(np.float32)
        truth = (rng.random(480) < 1 / (1 + np.exp(-signal * x[:, 0]))).astype(np.int64)
        groups = entity / 60.0
        examples = Examples(matrix=x, truth=truth, columns={})
        folds = inner_folds(truth, groups=groups if grouped else None)
        bench = SimpleNamespace(
            classes=("no", "yes"),
            rule=rule_of(made.contract, ("no", "yes")),
            split=SimpleNamespace(folds=folds, search=np.arange(480)),
            monotone=(),
        )
        return Ground(
            builder=None, bench=bench, examples=examples, groups=groups if grouped else None, seed=0
        )

    return make


def test_lessons_grow_by_whole_groups_and_judge_others(ground, monkeypatch):
    """Each lesson holds entities whole (but the one that fills it up), and none that it is judged on."""
    from geartrain.engine import growing

    seen = []
    fitting = growing.taught

    def watched(place, recipe, lesson, *, seed):
        seen.append(lesson)
        return fitting(place, recipe, lesson, seed=seed)

    made = ground()
    simplest = try_simplest(made)
    monkeypatch.setattr(growing, "taught", watched)
    runs = grow(made, simplest, np.arange(480))
    assert runs.sizes[-1] == runs.whole == min(len(teach) for teach, _ in made.bench.split.folds)
    assert [each.shape[0] for each in runs.costs] == list(growing.DRAWS)
    # A judged entity has costs from lessons without it only: every row is judged once a round.
    assert all(np.isfinite(each).all() for each in runs.costs)
    for lesson in seen:
        counts = np.bincount(np.round(made.groups[lesson] * 60).astype(int), minlength=60)
        assert ((counts > 0) & (counts < 8)).sum() <= 1
    # More rows do better here, and the first lessons are a sixteenth of the last.
    assert runs.costs[0].mean() > runs.costs[-1].mean()


def test_a_signal_is_seen_and_its_absence_too(ground):
    """With a signal no shuffle does as well, p = .05 of 19; without one, p is large. One row an entity is taken."""
    real = shuffled(ground(), shuffles=19)
    assert (real.p, real.rows, real.best_possible) == (0.05, 60, True)
    assert shuffled(ground(signal=0.0, grouped=False), shuffles=9).p > 0.1


def test_the_same_seed_says_the_same(memory, product, tmp_path, now):
    """Asked twice, every verdict, reason and figure but the machine's own times is the same."""
    made = product(PARCELS)
    workspace = taken_in(memory, made, parcels(now, np.linspace(1, 300, 90)), tmp_path, now)
    asked = [
        examine(workspace, made, now=now, seed=5, clock_ns=time.perf_counter_ns, shuffles=2) for _ in range(2)
    ]
    assert asked[0].statements == asked[1].statements
    assert asked[0].prospects == asked[1].prospects
    assert asked[0].margins == asked[1].margins

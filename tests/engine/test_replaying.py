"""A replay lives through history with the real code, and tells what else could have been done."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from geartrain.cli.replay import accuracies_of, run_replay, table_in_words, totals_of
from geartrain.domain.events import (
    BatchIngested,
    ChallengeDecided,
    IncidentOpened,
    ReleaseProposed,
    RetrainingStarted,
    StageEntered,
)
from geartrain.domain.release import ReleaseStage
from geartrain.engine.logbook import DECISIONS, FEATURE
from geartrain.engine.products import load_product
from geartrain.engine.replaying import Replayed, ReplayTerms, Stage
from geartrain.engine.rows import read_table, take_rows
from geartrain.engine.workspace import Workspace
from geartrain.errors import PoolClosed
from geartrain.features.consistency import compare
from geartrain.ports.teller import Silence

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ELEC2 = ROOT.parent / "shared" / "data" / "streams" / "elec2.parquet"
DAY = 86_400.0
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def module_at(path: Path) -> ModuleType:
    """A script of the examples or benchmarks, imported."""
    name = f"replay_{path.parent.name}_{path.stem}".replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def eager(folder: Path) -> Path:
    """The example with a contract that retrains more often, on fewer rows, and with small models."""
    shutil.copytree(ROOT / "examples" / "card-fraud", folder)
    contract = folder / "product.yaml"
    text = contract.read_text()
    for before, after in (
        ("every: 28 days", "every: 12 days"),
        ("rows_per_day: 300", "rows_per_day: 100"),
        ("fewer_labels_than: 3000", "fewer_labels_than: 1000"),
        ("fewer_per_class_than: 60", "fewer_per_class_than: 20"),
    ):
        assert before in text
        text = text.replace(before, after)
    contract.write_text(text)
    recipe = folder / "model.py"
    text = recipe.read_text()
    for before, after in (("integer(40, 160)", "integer(20, 40)"), ("integer(4, 24)", "integer(4, 8)")):
        assert before in text
        text = text.replace(before, after)
    recipe.write_text(text)
    return folder


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Replayed]:
    """A small world of card payments with a change in it, lived through once."""
    root = tmp_path_factory.mktemp("replay")
    data = module_at(ROOT / "examples" / "card-fraud" / "data.py")
    world = data.World(
        days=92, cards=260, terminals=80, habits_change=60, new_attack=64, feed_stops=66, cents_for_euros=56
    )
    files = data.write(root / "data", seed=3, world=world)
    product = load_product(eager(root / "card-fraud"))
    terms = ReplayTerms(live_after_s=48 * DAY, seed=3, trials=1)
    return run_replay(root / "ws", product, files, terms, told=Silence())


def test_every_policy_is_judged_on_the_same_decisions(lived: tuple[Workspace, Replayed]) -> None:
    """A policy that decided about fewer requests would look cheaper than it is."""
    _, done = lived

    counted = done.costs.group_by("policy").agg(pl.col("decisions").sum())

    assert done.went_live is not None
    assert counted["decisions"].n_unique() == 1
    assert {"geartrain", "never retrain", "retrain on schedule", "always-accept"} <= set(totals_of(done))


def test_history_went_through_the_real_loop(lived: tuple[Workspace, Replayed]) -> None:
    """Batches, a release with four signatures, a silent feed with its owner: all in one verified ledger."""
    space, done = lived
    kinds = [type(one.event) for one in done.history]
    silent = [
        one.event.incident
        for one in done.history
        if isinstance(one.event, IncidentOpened) and one.event.incident.cause == "feed"
    ]
    live = [one.event for one in done.history if isinstance(one.event, StageEntered)]

    assert kinds.count(BatchIngested) > 100
    assert ReleaseProposed in kinds
    assert live[0].stage is ReleaseStage.LIVE
    assert len(live[0].approved_by) == 4
    assert [one.owner for one in silent] == ["engineering"]
    assert space.ledger.verify() == len(done.history)


def test_a_retraining_is_answered_by_the_gates_or_by_a_paired_test(lived: tuple[Workspace, Replayed]) -> None:
    """No retrained release becomes champion before it was proven on live rows."""
    _, done = lived
    started = [one for one in done.history if isinstance(one.event, RetrainingStarted)]
    won = {
        one.event.challenger: one.at
        for one in done.history
        if isinstance(one.event, ChallengeDecided) and one.event.promoted
    }
    later = [
        one
        for one in done.history
        if isinstance(one.event, StageEntered) and one.event.stage is ReleaseStage.LIVE
    ][1:]

    assert started
    assert all(one.event.release in won and won[one.event.release] <= one.at for one in later)


def test_served_features_equal_recomputed_ones(lived: tuple[Workspace, Replayed]) -> None:
    """Online and offline features agree in every cell of the prediction log: the skew is zero."""
    space, done = lived
    product = load_product(ROOT / "examples" / "card-fraud")
    logged = read_table(space, product.name, DECISIONS, known_at=done.ended)
    names = [one.name for one in product.features.features]
    _, rows = take_rows(space, product.contract, product.features, known_at=done.ended)
    recomputed = rows.features.with_columns(rows.raw["transaction_id"].alias("key"))
    both = logged.select("key", *(FEATURE + name for name in names)).join(
        recomputed, on="key", how="inner", maintain_order="left"
    )
    served = both.select("key", *(pl.col(FEATURE + name).alias(name) for name in names))

    found = compare(served, both.select("key", *names), product.features, key="key")

    assert both.height > 5_000
    assert found.differing == 0, found


def test_the_table_names_the_product_and_its_rivals(lived: tuple[Workspace, Replayed]) -> None:
    """The reader sees the product's own cost beside the trivial policies', and what happened."""
    _, done = lived
    product = load_product(ROOT / "examples" / "card-fraud")

    text = table_in_words(product, done, totals_of(done))

    assert "-> geartrain" in text
    assert "always-accept" in text
    assert "what happened:" in text


@pytest.mark.skipif(not ELEC2.exists(), reason="the public ELEC2 stream is not beside the project")
def test_elec2_is_replayed_beside_the_last_label(tmp_path: Path) -> None:
    """Real drift: the replay prints its own accuracy and that of repeating the last label, right for this stream."""
    prepare = module_at(ROOT / "benchmarks" / "elec2" / "prepare.py").prepare
    rows = 48 * 100
    market = prepare(ELEC2, tmp_path / "market.parquet", rows=rows)
    product = load_product(ROOT / "benchmarks" / "elec2")

    _, done = run_replay(
        tmp_path / "ws",
        product,
        {"market": market},
        ReplayTerms(live_after_s=60 * DAY, seed=0, trials=1),
        told=Silence(),
    )

    accuracy = accuracies_of(done)
    labels = pl.read_parquet(market)["class"].to_list()
    live = labels[60 * 48 :]
    repeated = sum(a == b for a, b in zip(labels[60 * 48 - 1 : -1], live, strict=True)) / len(live)
    assert accuracy["last-label"] == pytest.approx(repeated, abs=0.01)
    assert accuracy["geartrain"] > accuracy["most-frequent"]
    assert "last-label" in table_in_words(product, done, totals_of(done))


class Spent:
    """Workflows whose builds find the sealed rows spent."""

    def run(self, *_: object) -> None:
        raise PoolClosed("the sealed rows were opened as often as they may be", where="pool verdict")


def test_a_first_release_that_finds_the_sealed_rows_spent_is_refused_and_tried_later(memory) -> None:
    """The history says why there is no release; a week later the replay asks again, and it never ends in an error."""
    space, made = memory(), load_product(ROOT / "examples" / "card-fraud")
    parts = dict.fromkeys(("world", "builder", "door", "online", "diary"))
    stage = Stage(
        workspace=space, product=made, terms=ReplayTerms(live_after_s=0), workflows=Spent(), **parts
    )  # type: ignore[arg-type]  # a build that is refused touches none of them
    stage._go_live(NOW)
    (refused,) = (one.event for one in space.history(made.name))
    assert (refused.what, "sealed rows" in refused.reason) == ("build", True)
    assert stage.loop is None
    assert stage.refused_until == NOW + timedelta(days=7)

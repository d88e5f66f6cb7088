"""The three public data sets as rows, and what is asked of them. The groups' own columns are no features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from study import CLASSES, Rows, clause_of, contract_of, evidence_of, split

from geartrain.domain.clause import Clause
from geartrain.domain.columns import columns_of
from geartrain.domain.contract import Contract
from geartrain.domain.finding import Measurement
from geartrain.domain.rule import rule_of
from geartrain.evaluation.baselines import baseline_costs
from geartrain.evaluation.impossibility import impossibilities, tables_of
from geartrain.evaluation.metrics import measure
from geartrain.training.fitting import fit
from geartrain.training.recipe import Recipe

AGE_BAND = "'under 30' if AGE < 30 else ('30 to 44' if AGE < 45 else '45 and more')"


def adult(folder: Path, rows: int | None = None) -> Rows:
    """Census income with its official split; *rows* of it, drawn evenly, where given."""
    frame = _some(pl.read_parquet(folder / "adult.parquet"), rows)
    used = [one for one in frame.columns if one not in {"sex", "race", "split", "income_gt_50k"}]
    test = (frame["split"] == "test").to_numpy()
    return split(
        _matrix(frame, used),
        frame["income_gt_50k"].to_numpy(),
        columns_of(frame, ["sex", "race"]),
        test,
        seed=1,
    )


def taiwan(folder: Path, rows: int | None = None) -> Rows:
    """Card defaults in Taiwan, 30 % of the rows drawn for the verdict."""
    frame = _some(pl.read_parquet(folder / "credit_card_default_taiwan.parquet"), rows)
    used = [one for one in frame.columns if one not in {"SEX", "AGE", "default payment"}]
    test = np.random.default_rng(2).random(len(frame)) < 0.3
    return split(
        _matrix(frame, used),
        frame["default payment"].to_numpy(),
        columns_of(frame, ["SEX", "AGE"]),
        test,
        seed=1,
    )


def german_rows(folder: Path, seed: int) -> Rows:
    """German credit, 40 % of the 1000 rows drawn for the verdict."""
    frame = pl.read_parquet(folder / "german_credit.parquet")
    used = [one for one in frame.columns if one != "bad"]
    test = np.random.default_rng(seed).random(len(frame)) < 0.4
    return split(_matrix(frame, used), frame["bad"].to_numpy(), {}, test, seed=seed)


def clauses(groups: str | tuple[str, ...], definitions: tuple[str, ...]) -> tuple[Clause, ...]:
    return tuple(clause_of(one, groups) for one in definitions)


def impossible(contract: Contract, rows: Rows, model: Recipe) -> list[str]:
    """Which of the clauses exclude each other, by the model without mitigation."""
    rule = rule_of(contract, CLASSES)
    evidence = evidence_of(contract, rule, fit(model, {}, rows.search, rule, seed=1), rows.verdict)
    tables = tables_of(evidence, contract.clauses)
    return ["  " + one.sentence for one in impossibilities(contract.clauses, tables)]


def german(folder: Path, seeds: int = 20) -> Iterator[tuple[str, str]]:
    """Refuse from P(bad) >= 1/6: what 1000 decisions cost, beside refusing or accepting all, over *seeds* splits."""
    contract = contract_of(missed=5, false_alarm=1, clauses=())
    rule = rule_of(contract, CLASSES)
    told: dict[str, list[float]] = {}
    for seed in range(seeds):
        rows = german_rows(folder, seed)
        evidence = evidence_of(
            contract, rule, fit(small_model(), {}, rows.search, rule, seed=seed), rows.verdict
        )
        cost, near = measure(evidence, "cost_per_1000"), measure(evidence, "calibration_at_threshold")
        assert isinstance(cost, Measurement) and isinstance(near, Measurement)
        told.setdefault("refused at P(bad) >= 1/6", []).append(cost.value)
        for name, action in (("refuse all", "always-yes"), ("accept all", "always-no")):
            reference = baseline_costs(evidence, action)
            assert isinstance(reference, np.ndarray)
            told.setdefault(name, []).append(1000 * float(reference.mean()))
        told.setdefault("came minus said near 1/6", []).append(near.value)
        if seed == 0:
            low, high = cost.low, cost.high
            yield "of the first split", f"{cost.value:.0f} ({low:.0f} to {high:.0f}), {len(evidence)} rows"
            yield "came minus said, of the first", f"{near.value:+.3f} ({near.low:+.3f} to {near.high:+.3f})"
    for name, values in told.items():
        form = "{:+.3f} ({:+.3f} to {:+.3f})" if "said" in name else "{:.0f} ({:.0f} to {:.0f})"
        yield f"{name}, {seeds} splits", form.format(np.mean(values), min(values), max(values))


def small_model() -> Recipe:
    """A model for a thousand rows."""
    from geartrain.training.recipe import recipe

    return recipe(
        "lightgbm",
        fixed={"n_estimators": 60, "num_leaves": 5, "learning_rate": 0.06, "min_child_samples": 15},
    )


def _some(frame: pl.DataFrame, rows: int | None) -> pl.DataFrame:
    return frame if rows is None else frame.sample(rows, seed=1)


def _matrix(frame: pl.DataFrame, used: list[str]) -> np.ndarray:
    """Numbers as they are, texts as the place of their name in the alphabet; missing stays missing."""
    columns = []
    for name in used:
        series = frame[name]
        if series.dtype == pl.String:
            series = series.rank("dense") - 1
        columns.append(series.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return np.column_stack(columns)

"""Which rows to train on: windows tried out on the last labelled block."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.columns import microseconds
from geartrain.domain.contract import Contract
from geartrain.domain.features import Encoding, FeatureSet
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.engine.products import Product
from geartrain.engine.rows import Rows, classes_of, take_rows, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import SnapshotEmpty, TrainingImpossible
from geartrain.features.encoding import encode, fit_encoding
from geartrain.retraining.course import not_begun
from geartrain.retraining.policy import Trigger
from geartrain.retraining.window import (
    Choice,
    Incumbent,
    Window,
    block_start,
    candidates,
    choose_window,
)
from geartrain.stats.fitted import Fitted
from geartrain.training.examples import Examples, row_costs
from geartrain.training.fitting import fit
from geartrain.training.recipe import Recipe


def labelled(contract: Contract, rows: Rows, classes: tuple[str, ...]) -> Rows:
    """The rows whose label is known."""
    truth = truth_of(contract, rows, classes)
    known = truth >= 0 if classes else np.isfinite(truth)
    return rows.take(np.flatnonzero(known).astype(np.int64))


def quick_fit(
    contract: Contract,
    features: FeatureSet,
    recipe: Recipe,
    settings: dict[str, Parameter],
    rows: Rows,
    *,
    classes: tuple[str, ...],
    seed: int,
    weight: Floats | None = None,
) -> tuple[Encoding, DecisionRule, Fitted]:
    """Fit settings that are known already on labelled rows: no search, no pools, no gates."""
    encoding = fit_encoding(features, rows.features)
    rule = rule_of(contract, classes)
    examples = Examples(
        matrix=encode(encoding, rows.features),
        truth=truth_of(contract, rows, classes),
        columns=rows.columns,
        weight=weight,
    )
    return encoding, rule, fit(recipe, settings, examples, rule, seed=seed)


def window_for(
    workspace: Workspace,
    product: Product,
    settings: dict[str, Parameter],
    *,
    trigger: Trigger,
    incumbent: Incumbent | None,
    now: datetime,
    seed: int,
) -> Choice:
    """Try the whole history, plain and weighted, the contract's window and the rows since the change; take the cheapest.

    *incumbent* is what the champion's decisions cost; None does not compare with it.

    Raises:
        SnapshotEmpty: No labelled row is known.
        TrainingImpossible: None promises a model that could be proven better than the champion.
    """
    contract = product.contract
    terms = contract.retraining
    _, every = take_rows(workspace, contract, product.features, known_at=now)
    classes = classes_of(contract, every)
    rows = labelled(contract, every, classes)
    times = rows.times_us
    if len(times) < 2:
        raise SnapshotEmpty("no labelled row is known yet", where=contract.product.name)
    window_s = terms.window_s if terms else None
    cut = block_start(times, window_s=window_s)
    block = rows.take(np.flatnonzero(times >= cut).astype(np.int64))
    until = datetime.fromtimestamp(cut / 1e6, tz=now.tzinfo)
    windows = candidates(changed=trigger.since, window_s=window_s, until=until)
    choice = choose_window(
        windows, _scorer(product, settings, rows, times, cut, block, classes=classes, seed=seed)
    )
    champion = incumbent.cost_since(until) if incumbent else None
    why_not = not_begun(trigger.occasion, choice, champion)
    if why_not is not None:
        raise TrainingImpossible(why_not, where=contract.product.name)
    return choice


def _scorer(
    product: Product,
    settings: dict[str, Parameter],
    rows: Rows,
    times: np.ndarray,
    cut: int,
    block: Rows,
    *,
    classes: tuple[str, ...],
    seed: int,
) -> Callable[[Window], float | None]:
    def score(window: Window) -> float | None:
        begin = microseconds(window.since) if window.since else int(times.min())
        places = np.flatnonzero((times >= begin) & (times < cut)).astype(np.int64)
        taught = rows.take(places)
        try:
            encoding, rule, fitted = quick_fit(
                product.contract,
                product.features,
                product.recipe,
                settings,
                taught,
                classes=classes,
                seed=seed,
                weight=window.weights(times[places]),
            )
        except TrainingImpossible:
            return None
        examples = Examples(
            matrix=encode(encoding, block.features),
            truth=truth_of(product.contract, block, classes),
            columns=block.columns,
        )
        costs = row_costs(rule, fitted.predict(examples.matrix), examples)
        known = costs[np.isfinite(costs)]
        return float(known.mean()) if len(known) else None

    return score


def days_before(now: datetime, seconds: float | None) -> datetime | None:
    """The beginning of a window that ends now."""
    return None if seconds is None else now - timedelta(seconds=seconds)

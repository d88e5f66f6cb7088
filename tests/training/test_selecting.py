"""Choosing on `select`: only what is better by more than noise, every look recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geartrain.domain.contract import CostTerms
from geartrain.domain.model import Pool, Trial
from geartrain.training.examples import Examples, priced_rows, row_costs
from geartrain.training.fitting import fit
from geartrain.training.recipe import recipe
from geartrain.training.selecting import select


def test_a_clearly_better_model_is_chosen(tumours, lineage):
    """A model of noise gives way to one of signal; every look is a recorded trial."""
    blind = Examples(
        matrix=np.random.default_rng(1).permutation(tumours.search.matrix),
        truth=tumours.search.truth,
        columns={},
    )
    noise = fit(recipe("logistic"), {}, blind, tumours.rule, seed=2)
    signal = fit(recipe("logistic"), {}, tumours.search, tumours.rule, seed=1)
    recorded: list[Trial] = []
    chosen = select([noise, signal], tumours.select, tumours.rule, lineage=lineage, record=recorded.append)
    assert chosen.index == 1
    assert chosen.fitted is signal
    assert tuple(recorded) == chosen.trials
    assert {trial.pool for trial in recorded} == {Pool.SELECT}
    assert chosen.looks == len(recorded)


def test_an_equal_model_does_not_replace_the_first(tumours, lineage):
    """The same answers again are no improvement, so the incumbent stays."""
    one = fit(recipe("logistic"), {}, tumours.search, tumours.rule, seed=1)
    chosen = select(
        [one, replace(one, seed=2)],
        tumours.select,
        tumours.rule,
        lineage=lineage,
        record=lambda _: None,
        tune=False,
    )
    assert chosen.index == 0
    assert chosen.rule == tumours.rule


def test_a_threshold_moves_only_for_more_than_noise(tumours, lineage):
    """A model whose probabilities are ten times too small gets other weights; an honest one keeps the costs' own."""
    honest = fit(recipe("logistic", calibrate="none"), {}, tumours.search, tumours.rule, seed=1)
    cheap = replace(tumours.rule, costs=CostTerms())
    kept = select([honest], tumours.select, cheap, lineage=lineage, record=lambda _: None)
    assert kept.rule.class_weights == ()
    from geartrain.stats.calibrators import Sigmoid

    shy = replace(honest, calibrator=Sigmoid(slope=0.5, offsets=(0.0, -2.0)))
    moved = select([shy], tumours.select, cheap, lineage=lineage, record=lambda _: None)
    assert moved.rule.class_weights != ()
    before = row_costs(cheap, shy.predict(tumours.select.matrix), tumours.select).mean()
    assert moved.cost < before


def test_rows_without_a_known_cost_do_not_judge(tumours):
    """A row whose amount is missing cannot be priced."""
    rows = tumours.select
    amount = np.ones(len(rows))
    amount[:10] = np.nan
    priced = replace(tumours.rule, costs=CostTerms(otherwise="amount"))
    held = Examples(matrix=rows.matrix, truth=rows.truth, columns={"amount": amount})
    assert priced_rows(priced, held).tolist() == list(range(10, len(rows)))


def test_nothing_to_choose_from_is_refused(tumours, lineage):
    """Choosing needs a candidate."""
    with pytest.raises(ValueError, match="nothing"):
        select([], tumours.select, tumours.rule, lineage=lineage, record=lambda _: None)

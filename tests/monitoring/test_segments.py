"""The cases that a change falls on are told in words that a domain expert reads."""

from __future__ import annotations

import numpy as np
import polars as pl

from geartrain.domain.expression import parse
from geartrain.domain.incident import Segment
from geartrain.monitoring.segments import cases_of, dearer_segments, grown_segments, in_words


def _rows(rows: int = 4000, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    income = np.where(random.uniform(size=rows) < 0.2, np.nan, random.normal(3000, 500, rows))
    return pl.DataFrame(
        {
            "amount": random.lognormal(4, 1, rows),
            "channel": random.choice(["web", "shop", "app"], rows),
            "income": income,
        }
    )


def test_the_corner_that_costs_more_is_told_in_words():
    """Large payments on the web cost more than expected: the tree says so, and nothing else."""
    features = _rows()
    corner = ((features["amount"] > 120) & (features["channel"] == "web")).to_numpy()
    excess = np.random.default_rng(2).normal(0, 0.5, 4000) + 2.0 * corner

    found = dearer_segments(cases_of(features), excess, seed=1)

    assert len(found) == 1
    assert "`channel` is web" in found[0].words
    assert "`amount` is above 1" in found[0].words
    assert found[0].more.low > 1.5
    assert "more than expected" in in_words(found, currency="EUR")
    columns = {name: features[name].to_numpy() for name in ("amount", "channel")}
    said = parse(found[0].where).evaluate(columns, rows=features.height).astype(bool)
    assert abs(int(said.sum()) - found[0].rows) <= 0.01 * found[0].rows


def test_missing_values_are_a_question():
    """Where the unknown incomes cost more, that is what is told."""
    features = _rows()
    unknown = features["income"].is_nan().to_numpy()

    found = dearer_segments(
        cases_of(features), np.random.default_rng(3).normal(0, 0.3, 4000) + unknown, seed=1
    )

    assert [(one.words, one.where) for one in found] == [("`income` is missing", "")]


def test_what_grew_is_told_with_both_shares():
    """A group that went from a third to two thirds of the cases is named with both."""
    random = np.random.default_rng(4)
    before = _rows(2000, seed=5)
    after = _rows(2000, seed=6).with_columns(
        channel=pl.Series(random.choice(["web", "shop", "app"], 2000, p=[0.7, 0.15, 0.15]))
    )
    both = pl.concat([before, after])

    found = grown_segments(cases_of(both), np.arange(4000) >= 2000, seed=1)

    assert [one.words for one in found] == ["`channel` is web"]
    assert abs(found[0].share - 0.7) < 0.05
    assert abs(found[0].before - 1 / 3) < 0.05
    assert "before 3" in in_words(found)


def test_where_nothing_is_special_nothing_is_told():
    """Noise has no segment, in nine of ten seeds; no rows and one side have none either."""
    cases = cases_of(_rows())
    told = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        told += bool(grown_segments(cases, random.uniform(size=4000) < 0.5, seed=seed))

    assert told <= 1
    assert grown_segments(cases, np.ones(4000, dtype=bool), seed=1) == ()
    assert dearer_segments(cases_of(pl.DataFrame()), np.zeros(0), seed=1) == ()
    assert in_words(()) == ""
    assert in_words((Segment(words="every decision", rows=3, share=1.0),)) == "it falls on every decision"

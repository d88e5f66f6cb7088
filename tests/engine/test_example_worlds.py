"""The two simulators with planted wrong reasons do what their stories say, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from geartrain.domain.digest import digest_bytes

DEFAULTED = pl.col("defaulted") == "yes"
MISSED = pl.col("missed_targets") == "yes"


@pytest.fixture(scope="module")
def book(example_data):
    """The whole loan book, each application with its outcome."""
    module = example_data("loan-decision")
    applications, repayments = module.simulate()
    joined = applications.join(
        repayments.select("application_id", "defaulted", "settled_at"), on="application_id", how="left"
    ).with_columns(pl.col("applied_at", "settled_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC"))
    return module, joined.with_columns(
        day=(pl.col("applied_at") - module.START).dt.total_days(),
        weekend=pl.col("applied_at").dt.weekday() > 5,
    )


@pytest.fixture(scope="module")
def reviews(example_data):
    """Every review of the six sites."""
    return example_data("employee-performance").simulate()


@pytest.mark.parametrize(
    ("name", "size"), [("loan-decision", {"per_day": 1.0}), ("employee-performance", {"employees": 60})]
)
def test_the_same_seed_writes_the_same_rows(tmp_path, example_data, name, size):
    """To the byte; another seed writes others."""
    write = example_data(name).write
    first, again, other = (
        write(tmp_path / part, seed=seed, **size) for part, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    def digests(files):
        return {source: digest_bytes(path.read_bytes()) for source, path in files.items()}

    assert digests(first) == digests(again)
    assert all(digests(first)[source] != digests(other)[source] for source in first)


def _rates(frame, by, of):
    known = frame.filter(of.is_not_null())
    return dict(known.group_by(by).agg(of.mean().alias("rate")).select(by, "rate").iter_rows())


def test_browser_and_weekday_mean_something_only_while_the_campaign_runs(book):
    """In its months they go with default, afterwards with nothing."""
    module, rows = book
    begins, ends = module.CAMPAIGN
    campaign = rows.filter(pl.col("day").is_between(begins, ends - 1))
    later = rows.filter(pl.col("day") >= module.APP).with_columns(app=pl.col("browser") == "in-app")

    browsers = _rates(campaign, "browser", DEFAULTED)
    assert browsers["in-app"] > 2 * browsers["chrome"]
    assert _rates(campaign, "weekend", DEFAULTED)[True] > 1.4 * _rates(campaign, "weekend", DEFAULTED)[False]
    for column in ("app", "weekend"):
        rates = _rates(later, column, DEFAULTED)
        assert rates[True] == pytest.approx(rates[False], abs=0.03)
    assert later["app"].mean() > 0.25


def test_an_outcome_is_known_after_half_a_year_or_never(book):
    """180 to 184 days late; about 15 in 1000 are never told."""
    _, rows = book
    late = (rows["settled_at"] - rows["applied_at"]).drop_nulls()

    assert late.min() >= timedelta(days=180)
    assert late.max() < timedelta(days=185)
    assert rows["settled_at"].null_count() / rows.height == pytest.approx(0.015, abs=0.006)


@pytest.mark.parametrize("column", ["monthly_income", "years_employed"])
def test_what_is_missing_says_something(book, column):
    """An income that was not proven and the lack of an employer go with default."""
    _, rows = book
    rates = _rates(rows.with_columns(gone=pl.col(column).is_null()), "gone", DEFAULTED)

    assert rates[True] > 1.3 * rates[False]


def test_women_and_men_pay_back_alike(book):
    """Nothing in the world depends on sex but income."""
    _, rows = book
    rates = _rates(rows, "sex", DEFAULTED)

    assert rates["f"] == pytest.approx(rates["m"], abs=0.02)


def test_shoe_size_goes_with_missed_targets_at_three_sites_only(reviews):
    """Large shoes at two of them, small ones at the third, and neither at the other three."""
    size = pl.col("shoe_size")
    rows = reviews.with_columns(
        shoes=pl.when(size >= 44).then(pl.lit("large")).when(size < 38).then(pl.lit("small")).otherwise(pl.lit("middle"))
    )  # fmt: skip

    for site in ("Aachen", "Brno", "Porto", "Gdansk", "Leeds", "Lyon"):
        rates = _rates(rows.filter(pl.col("site") == site), "shoes", MISSED)
        wrong = {"Aachen": "large", "Brno": "large", "Porto": "small"}.get(site)
        for shoes in ("large", "small"):
            if shoes == wrong:
                assert rates[shoes] > 1.8 * rates["middle"]
            else:
                assert rates[shoes] == pytest.approx(rates["middle"], abs=0.09)


def test_newcomers_have_no_rating_and_miss_more_often(reviews):
    """A rating that is missing is a signal."""
    rates = _rates(reviews.with_columns(gone=pl.col("peer_rating").is_null()), "gone", MISSED)

    assert rates[True] > 1.2 * rates[False]

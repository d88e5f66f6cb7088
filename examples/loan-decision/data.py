"""The world of loan-decision: a seeded simulator of an online lender's book over three years.

Whether a loan defaults depends on the burden that it adds to what the applicant owes
already, on past arrears, on work, and on what the lender does not know. Nothing depends on the
browser or on the day of the week. But from March to November of the first year a comparison
portal runs a campaign in its own app, on weekends, that draws people in trouble: for those
months `in-app` and Saturday stand in for need. A year later the lender's own app comes out. It
opens the same browser, and the people who use it are as good as any. Whether a loan was
paid back is known 180 days later. Some columns are missing, and that says something; a
few rows are malformed; a few outcomes never become known.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 3 * 365
#: First and last day of the portal's campaign, counted from 0.
CAMPAIGN = (60, 330)
#: The day on which the lender's own app comes out.
APP = 480
#: What need adds to the log-odds of default: the campaign's people have it, and nobody asks about it.
NEED = 1.9
PURPOSES = ("car", "home", "debts", "other")
REGIONS = ("north", "east", "south", "west", "capital")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Marks = NDArray[np.bool_]


def write(folder: Path, *, seed: int = 7, per_day: float = 12.0) -> dict[str, Path]:
    """Simulate the book and write `applications.csv` and `repayments.csv` into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    applications, repayments = simulate(seed=seed, per_day=per_day)
    files = {"applications": folder / "applications.csv", "repayments": folder / "repayments.csv"}
    applications.write_csv(files["applications"])
    repayments.write_csv(files["repayments"])
    return files


def simulate(*, seed: int = 7, per_day: float = 12.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every application in order of time, and what became of it, in order of when it was known."""
    chance = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), chance.poisson(per_day, size=DAYS))
    size = len(day)
    drawn = (day >= CAMPAIGN[0]) & (day < CAMPAIGN[1]) & (chance.uniform(size=size) < 0.14)
    # The campaign's people come on the next Saturday or Sunday; 1 January 2023 was a Sunday.
    weekend = drawn & (chance.uniform(size=size) < 0.8)
    day = np.where(weekend, day - day % 7 + np.where(chance.uniform(size=size) < 0.5, 0, 6), day)
    minute = np.clip(chance.normal(15 * 60, 240, size=size), 0, 1439).astype(np.int64)
    browser = _browsers(chance, day, drawn)

    sex = chance.uniform(size=size) < 0.5
    age = np.clip(chance.gamma(2.6, 8.5, size=size) + 18, 18, 79).astype(np.int64)
    career = np.clip(1 - ((age - 48) / 48) ** 2, 0.4, 1.0)
    income = np.exp(chance.normal(8.05, 0.33, size=size)) * career * np.where(sex, 0.94, 1.0)
    income = np.maximum(np.round(income, -1), 700)
    debts = np.round(income * np.maximum(chance.gamma(1.1, 0.11, size=size) - 0.04, 0), -1)
    term = chance.choice([12, 24, 36, 48, 60, 72, 84], size=size, p=[0.1, 0.2, 0.22, 0.2, 0.14, 0.07, 0.07])
    amount = np.clip(np.round(income * term * chance.gamma(3.0, 0.045, size=size), -2), 1000, 40000)
    purpose = chance.choice(len(PURPOSES), size=size, p=[0.34, 0.22, 0.26, 0.18])
    employed = np.round(np.minimum(chance.gamma(1.3, 5.0, size=size), np.maximum(age - 18, 0)), 1)
    self_employed = chance.uniform(size=size) < 0.12
    thin = chance.uniform(size=size) < np.where(age < 26, 0.5, 0.06)
    arrears = chance.poisson(chance.gamma(0.5, 0.9, size=size))
    unproven = chance.uniform(size=size) < 0.05

    burden = (debts + amount / term) / income
    odds = (
        -3.05
        + 6.5 * (np.minimum(burden, 0.9) - 0.2)
        + 0.9 * np.minimum(arrears, 4) * ~thin
        + 0.9 * thin
        + 0.8 * unproven
        + 0.5 * self_employed
        - 0.07 * np.minimum(employed, 15) * ~self_employed
        + 0.35 * (purpose == 2)
        - 0.2 * (purpose == 1)
        + NEED * drawn
    )
    defaulted = chance.uniform(size=size) < 1 / (1 + np.exp(-odds))
    return _written(
        chance,
        at_minute=day * 1440 + minute,
        columns={
            "amount": amount.astype(np.int64),
            "term_months": term,
            "purpose": [PURPOSES[one] for one in purpose],
            "monthly_income": _unless(unproven, income),
            "monthly_debts": debts.astype(np.int64),
            "years_employed": _unless(self_employed, employed),
            "past_arrears": _unless(thin, arrears.astype(np.float64)),
            "age": age,
            "sex": np.where(sex, "f", "m").tolist(),
            "region": chance.choice(REGIONS, size=size).tolist(),
            "browser": browser,
        },
        defaulted=defaulted,
    )


def _browsers(chance: np.random.Generator, day: Ints, drawn: Marks) -> list[str]:
    """`in-app` is the portal's own browser during the campaign, and anybody's since the lender's app."""
    size = len(day)
    usual = chance.choice(["chrome", "safari", "firefox", "edge"], size=size, p=[0.5, 0.27, 0.13, 0.1])
    in_app = chance.uniform(size=size) < np.where(drawn, 0.9, np.where(day >= APP, 0.35, 0.02))
    named: list[str] = np.where(in_app, "in-app", usual).tolist()
    return named


def _unless(missing: Marks, values: Floats) -> pl.Series:
    return pl.Series([None if gone else float(one) for gone, one in zip(missing, values, strict=True)])


def _written(
    chance: np.random.Generator, *, at_minute: Ints, columns: dict[str, object], defaulted: Marks
) -> tuple[pl.DataFrame, pl.DataFrame]:
    order = np.argsort(at_minute, kind="stable")
    at = pl.Series("applied_at", [START + timedelta(minutes=int(one)) for one in at_minute[order]])
    keys = [f"L{one:06d}" for one in range(len(at))]
    frame = pl.DataFrame(columns)[order.tolist()].insert_column(0, at)
    applications = frame.insert_column(0, pl.Series("application_id", keys)).with_columns(
        pl.col("applied_at").dt.strftime("%Y-%m-%dT%H:%M:00Z"),
        pl.col("applied_at").dt.strftime("%Y-%m").alias("month"),
    )
    broken = pl.Series(chance.uniform(size=len(at)) < 0.002)
    applications = applications.with_columns(
        amount=pl.when(broken)
        .then(pl.format("{},00 EUR", "amount"))
        .otherwise(pl.col("amount").cast(pl.String))
    )
    settled = at + pl.Series([timedelta(days=180 + int(one)) for one in chance.integers(0, 4, size=len(at))])
    repayments = pl.DataFrame(
        {
            "case_id": [f"C{one:06d}" for one in range(len(at))],
            "application_id": keys,
            "defaulted": np.where(defaulted[order], "yes", "no").tolist(),
            "applied_at": at.dt.strftime("%Y-%m-%dT%H:%M:00Z"),
            "settled_at": settled.dt.strftime("%Y-%m-%dT%H:%M:00Z"),
        }
    )
    known = pl.Series(chance.uniform(size=len(at)) > 0.015)
    return applications, repayments.filter(known).sort("settled_at", maintain_order=True)

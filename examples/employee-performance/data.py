"""The world of employee-performance: a seeded simulator of six sites and six half-years of reviews.

Whether somebody misses the targets of the next half-year depends on workload, errors,
training and experience, and on how the work is planned. Nothing depends on the size of
anybody's shoes. But at Aachen and Brno the heavy-goods hall is staffed through an agency that
sends tall men, and its shift plan cannot be kept; at Porto it is the packing line, where mostly
small women work, whose targets are too high. The personnel system exports the size of
the safety shoes with everything else, and does not know halls and lines: so shoe size
stands in for a plan that is bad, at three sites, in two directions, and for nothing at the others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

START = datetime(2023, 1, 16, tzinfo=UTC)
HALF_YEARS = 6
HALF_YEAR_DAYS = 182
SITES = ("Aachen", "Brno", "Gdansk", "Leeds", "Lyon", "Porto")
#: What share of the employees each site has.
SHARES = (0.2, 0.2, 0.15, 0.15, 0.15, 0.15)
#: What an unkeepable plan adds to the log-odds of missing the targets.
BAD_PLAN = 2.2

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


def write(folder: Path, *, seed: int = 7, employees: int = 5_400) -> dict[str, Path]:
    """Simulate the reviews of *employees* people and write `reviews.csv` into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reviews.csv"
    simulate(seed=seed, employees=employees).write_csv(path)
    return {"reviews": path}


def simulate(*, seed: int = 7, employees: int = 5_400) -> pl.DataFrame:
    """One row for each employee and half-year, with what became known half a year later."""
    chance = np.random.default_rng(seed)
    site = chance.choice(len(SITES), size=employees, p=SHARES)
    man = chance.uniform(size=employees) < 0.5
    bad_plan, shoe = _halls(chance, site, man)
    age = np.clip(chance.normal(38, 11, size=employees), 18, 62)
    care = chance.normal(size=employees)
    # Everybody is reviewed on the same two days of each year, from one to eight years long.
    day = chance.integers(0, HALF_YEAR_DAYS, size=employees)
    joined = chance.integers(-14, HALF_YEARS, size=employees)
    left = joined + chance.integers(2, 17, size=employees)

    parts = []
    for half in range(HALF_YEARS):
        here = np.flatnonzero((joined <= half) & (half < left))
        parts.append(
            _half_year(
                chance,
                half,
                who=here,
                day=day[here],
                site=site[here],
                man=man[here],
                bad_plan=bad_plan[here],
                shoe=shoe[here],
                age=age[here] + half / 2,
                tenure=(half - joined[here]) / 2 + day[here] / 365,
                care=care[here],
            )
        )
    return pl.concat(parts).sort("reviewed_at", "employee_id").with_row_index("row").select(
        pl.format("R{}", pl.col("row").cast(pl.String).str.zfill(6)).alias("review_id"), pl.exclude("row")
    )  # fmt: skip


def _halls(chance: np.random.Generator, site: NDArray[np.int64], man: Marks) -> tuple[Marks, Floats]:
    """Who works to a plan that cannot be kept, and everybody's shoe size (EU)."""
    size = len(site)
    shoe = np.where(man, chance.normal(43.0, 1.3, size=size), chance.normal(38.8, 1.2, size=size))
    named = np.array(SITES)[site]
    # The agency looks at height, and feet follow height.
    heavy = np.isin(named, ("Aachen", "Brno")) & (shoe > chance.normal(43.6, 0.5, size=size))
    packing = (named == "Porto") & (shoe < chance.normal(37.9, 0.4, size=size))
    return heavy | packing, np.round(np.clip(shoe, 34, 49) * 2) / 2


def _half_year(
    chance: np.random.Generator,
    half: int,
    *,
    who: NDArray[np.int64],
    day: NDArray[np.int64],
    site: NDArray[np.int64],
    man: Marks,
    bad_plan: Marks,
    shoe: Floats,
    age: Floats,
    tenure: Floats,
    care: Floats,
) -> pl.DataFrame:
    size = len(who)
    workload = np.clip(chance.normal(1.0, 0.13, size=size), 0.6, 1.6)
    training = np.round(chance.gamma(1.8, 9.0, size=size).clip(0, 80))
    errors = np.round(np.exp(chance.normal(1.6 - 0.45 * care - 0.03 * tenure, 0.35)), 2)
    rating = np.round(np.clip(3.4 + 0.55 * care + chance.normal(0, 0.35, size=size), 1, 5), 1)
    # Colleagues do not rate whom they have hardly met, and newcomers miss targets more often.
    unrated = (tenure < 0.8) | (chance.uniform(size=size) < 0.01)
    absent = np.round(chance.gamma(0.9, 5.0, size=size).clip(0, 90))
    odds = (
        -2.75
        + 9.0 * (workload - 1.0)
        + 1.25 * np.log(errors / 4.5)
        - 0.055 * (training - 16)
        - 0.7 * (rating - 3.4)
        - 0.08 * (tenure - 3)
        + 0.9 * (tenure < 0.8)
        + 0.03 * (absent - 4)
        + BAD_PLAN * bad_plan
    )
    missed = chance.uniform(size=size) < 1 / (1 + np.exp(-odds))
    at = [START + timedelta(days=half * HALF_YEAR_DAYS + int(one)) for one in day]
    return pl.DataFrame(
        {
            "employee_id": [f"E{one:05d}" for one in who],
            "reviewed_at": [one.isoformat() for one in at],
            "half_year": [f"{2023 + half // 2}-H{half % 2 + 1}"] * size,
            "site": [SITES[one] for one in site],
            "sex": np.where(man, "m", "f").tolist(),
            "age": np.floor(age).astype(np.int64),
            "tenure_years": np.round(tenure, 1),
            "training_hours": training,
            "error_rate": errors,
            "peer_rating": [None if gone else float(one) for gone, one in zip(unrated, rating, strict=True)],
            "workload": np.round(workload, 2),
            "absence_days": absent,
            "shoe_size": shoe,
            "missed_targets": np.where(missed, "yes", "no").tolist(),
        },
        schema_overrides={"peer_rating": pl.Float64},
    )

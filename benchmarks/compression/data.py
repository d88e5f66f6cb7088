"""The rows of the three studies, in three pools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from study import Rows

from geartrain.training.examples import Examples
from geartrain.training.folds import inner_folds

FRAUD = "fraud/tx_transformed_2018-07-25_2018-08-14.parquet"
ADULT = "tabular/adult.parquet"
PNEUMONIA = "images/pneumoniamnist_28.parquet"


def fraud(folder: Path) -> Rows:
    """The Fraud Detection Handbook's weeks: the first teaches, the second chooses, the third judges.

    As in the book, cards that were known to be compromised when the third week began are
    not judged: fraud of the first week on them was known by then, and of the second week
    what is older than the label delay of seven days on each day.
    """
    frame = pl.read_parquet(folder / FRAUD)
    day = frame["TX_TIME_DAYS"].to_numpy() - int(frame["TX_TIME_DAYS"].min())
    card, truth = frame["CUSTOMER_ID"].to_numpy(), frame["TX_FRAUD"].to_numpy()
    inputs = ["TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT"]
    inputs += [name for name in frame.columns if name.endswith("WINDOW")]
    matrix = frame.select(inputs).to_numpy().astype(np.float32)
    columns = {
        "amount": frame["TX_AMOUNT"].to_numpy(),
        "day": day.astype(np.float64),
        "card": card.astype(np.float64),
    }
    everything = Examples(matrix=matrix, truth=truth.astype(np.int64), columns=columns)

    def week(number: int) -> np.ndarray:
        kept = day // 7 == number
        if number:
            for one in range(7 * number, 7 * number + 7):
                known = np.unique(card[(truth == 1) & (day < one - 7)]) if number > 1 else np.array([])
                known = np.union1d(known, np.unique(card[(truth == 1) & (day < 7)]))
                kept &= ~((day == one) & np.isin(card, known))
        return np.flatnonzero(kept)

    search = everything.take(week(0))
    times = (search.columns["day"] * 86_400e6).astype(np.int64)
    return Rows(
        search=search,
        select=everything.take(week(1)),
        verdict=everything.take(week(2)),
        folds=inner_folds(search.truth.astype(np.int64), times_us=times),
    )


def adult(folder: Path) -> Rows:
    """Census income: the official test rows judge, a quarter of the others chooses."""
    frame = pl.read_parquet(folder / ADULT)
    used = [one for one in frame.columns if one not in {"split", "income_gt_50k"}]
    matrix = np.column_stack([_numbers(frame[one]) for one in used]).astype(np.float32)
    truth = frame["income_gt_50k"].to_numpy().astype(np.int64)
    test = (frame["split"] == "test").to_numpy()
    return _drawn(Examples(matrix=matrix, truth=truth, columns={}), test, share=0.25)


def _drawn(everything: Examples, test: np.ndarray, *, share: float) -> Rows:
    others = np.random.default_rng(1).permutation(np.flatnonzero(~test))
    cut = int(len(others) * share)
    search = everything.take(np.sort(others[cut:]))
    return Rows(
        search=search,
        select=everything.take(np.sort(others[:cut])),
        verdict=everything.take(np.flatnonzero(test)),
        folds=inner_folds(search.truth.astype(np.int64)),
    )


def pneumonia(folder: Path) -> Rows:
    """Chest pictures of 28 x 28 points in a balanced part of PneumoniaMNIST.

    The official test pictures judge. The 270 official validation pictures are too few to choose a
    threshold at 10 : 1, so a quarter of the training pictures chooses with them.
    """
    frame = pl.read_parquet(folder / PNEUMONIA)
    points = np.stack([np.frombuffer(one, dtype=np.uint8) for one in frame["pixels_uint8_28x28"]])
    truth = frame["label"].to_numpy().astype(np.int64)
    everything = Examples(matrix=points.astype(np.float32), truth=truth, columns={})
    pool = frame["split"].to_numpy()
    drawn = np.random.default_rng(1).permutation(np.flatnonzero(pool == "train"))
    cut = len(drawn) // 4
    search = everything.take(np.sort(drawn[cut:]))
    return Rows(
        search=search,
        select=everything.take(np.sort(np.concatenate([drawn[:cut], np.flatnonzero(pool == "val")]))),
        verdict=everything.take(np.flatnonzero(pool == "test")),
        folds=inner_folds(search.truth.astype(np.int64)),
    )


def moved(pictures: np.ndarray, seed: int) -> np.ndarray:
    """The same pictures, each shifted by up to two points and half of them mirrored: rows without a label."""
    random = np.random.default_rng(seed)
    square = pictures.reshape(-1, 28, 28)
    wide = np.pad(square, ((0, 0), (2, 2), (2, 2)), mode="edge")
    found = np.empty_like(square)
    for place, (down, right, mirror) in enumerate(random.integers(0, (5, 5, 2), size=(len(square), 3))):
        cut = wide[place, down : down + 28, right : right + 28]
        found[place] = cut[:, ::-1] if mirror else cut
    return found.reshape(len(pictures), -1)


def _numbers(series: pl.Series) -> np.ndarray:
    """Numbers as they are, texts as the place of their name in the alphabet; missing stays missing."""
    if series.dtype == pl.String:
        series = series.rank("dense") - 1
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()

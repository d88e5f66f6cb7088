"""What each check against leakage finds in public data sets, and what a leak would have flattered.

python benchmarks/leakage/run.py path/to/data

The folder holds `tabular`, `text`, `images` and `streams`, each with Parquet files. Nothing is
fitted beyond one model a line; the numbers are those of docs/leakage.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.columns import columns_of
from geartrain.domain.expression import Columns
from geartrain.evaluation.leakage_duplicates import nearly_repeated_rows, repeated_rows
from geartrain.evaluation.leakage_fitting import fitted_parts
from geartrain.evaluation.leakage_pools import known_entities, naming_columns, rows_told_apart
from geartrain.evaluation.leakage_proxies import leaks
from geartrain.stats.image_hash import dhash, hamming

Rows = NDArray[np.int64]
SEEDS = 10


def main(data: Path) -> None:
    """Print every table."""
    for title, table in (
        ("Copies", copies(data)),
        ("People", people(data)),
        (f"Columns that give the truth away, {SEEDS} splits of each", proxies(data)),
        ("Pools told apart", sampling(data)),
        ("A selection outside the folds, 300 rows and 400 columns of noise", selection()),
        ("What a leak is worth", worth(data)),
    ):
        print(f"\n## {title}\n")
        for line in table:
            print(line, flush=True)


def copies(data: Path) -> Iterator[str]:
    """Exact and near copies across the official split, or a random one."""
    frame = pl.read_parquet(data / "tabular" / "adult.parquet")
    of = frame["split"].to_numpy()
    judged, known = np.flatnonzero(of == "test"), np.flatnonzero(of == "train")
    yield _line(
        "adult, official split",
        repeated_rows(columns_of(frame.drop("split")), judged=judged, known=known).measurement.note,
    )
    frame = pl.read_parquet(data / "text" / "sms_spam.parquet")
    yield _line(
        "sms_spam, all", f"{frame.height - frame['text'].n_unique():,} of {frame.height:,} texts repeat"
    )
    known, judged = _random(frame.height)
    yield from _texts("sms_spam, 60:40 at random", columns_of(frame), judged, known)
    frame = pl.read_parquet(data / "text" / "banking77.parquet")
    of = frame["split"].to_numpy()
    yield from _texts(
        "banking77, official split",
        columns_of(frame.drop("split")),
        np.flatnonzero(of == "test"),
        np.flatnonzero(of == "train"),
    )
    frame = pl.read_parquet(data / "images" / "pneumoniamnist_28.parquet")
    of, pixels = frame["split"].to_numpy(), frame["pixels_uint8_28x28"].to_list()
    columns = {"pixels": np.array(pixels, dtype=object)}
    hashes = dhash(np.stack([np.frombuffer(one, dtype=np.uint8).reshape(28, 28) for one in pixels]))
    known = np.flatnonzero(of == "train")
    for name in ("val", "test"):
        judged = np.flatnonzero(of == name)
        by_hash = int((hamming(hashes[judged][:, None], hashes[known][None, :]).min(axis=1) <= 4).sum())
        near = len(nearly_repeated_rows(columns, judged=judged, known=known).judged)
        exact = len(repeated_rows(columns, judged=judged, known=known).judged)
        yield _line(
            f"pneumoniamnist, train and {name}",
            f"{by_hash} of {len(judged)} by the hash alone (4 bits), {near} by hash and pixels, {exact} to the byte",
        )


def people(data: Path) -> Iterator[str]:
    """Patients on both sides, and the columns that look like somebody's name."""
    frame = pl.read_parquet(data / "tabular" / "diabetes130.parquet")
    columns = columns_of(frame.select("patient_nbr"))
    patients = frame["patient_nbr"].to_numpy()
    yield _line("diabetes130", f"{frame.height:,} visits of {len(np.unique(patients)):,} patients")
    known, judged = _random(frame.height, 0.8)
    by_row = known_entities(columns, judged=judged, known=known, named=["patient_nbr"], looks=False)
    held = np.isin(patients, np.random.default_rng(0).permutation(np.unique(patients))[:14_000])
    by_patient = known_entities(
        columns, judged=np.flatnonzero(held), known=np.flatnonzero(~held), named=["patient_nbr"], looks=False
    )
    yield _line("split by row, 80:20", f"{by_row.value:.1%} of the judged visits are of a known patient")
    yield _line("split by patient", f"{by_patient.value:.1%}")
    for name, table in _tables(data):
        yield _line(
            f"{name}, suspected names", ", ".join(naming_columns(columns_of(table[:30_000]))) or "none"
        )


def proxies(data: Path) -> Iterator[str]:
    """How often each column is suspected over several splits; clean tables must show none."""
    for name, columns, truth in _labelled(data):
        found: dict[str, list[str]] = {}
        for seed in range(SEEDS):
            known, _ = _random(len(truth), seed=seed)
            for one in leaks(
                {column: values[known] for column, values in columns.items()}, truth[known], seed=seed
            ):
                lost = "is the answer" if one.lost is None else f"{one.lost.value:.0%} lost without"
                found.setdefault(one.column, []).append(f"AUC {one.alone.value:.3f}, {lost}")
        told = "; ".join(f"`{column}` {len(seen)} of {SEEDS} ({seen[0]})" for column, seen in found.items())
        yield _line(name, told or f"none in {SEEDS}")


def sampling(data: Path) -> Iterator[str]:
    """Adversarial validation: a random split and one by order."""
    for name, columns, truth in _labelled(data):
        if len(truth) < 1000:
            continue
        known, judged = _random(len(truth))
        shuffled = rows_told_apart(columns, known=known, judged=judged, seed=0)
        cut = int(len(truth) * 0.6)
        ordered = rows_told_apart(columns, known=np.arange(cut), judged=np.arange(cut, len(truth)), seed=0)
        yield _line(
            name, f"at random {shuffled.value:.3f}, by the file's order {ordered.value:.3f} {ordered.note}"
        )


def selection() -> Iterator[str]:
    """The ten best columns, chosen on all rows or in each fold; the truth is .5."""
    from sklearn.feature_selection import SelectKBest
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    outside, inside, suspected = [], [], 0
    for seed in range(SEEDS):
        chance = np.random.default_rng(seed)
        matrix, truth = chance.normal(size=(300, 400)), chance.integers(0, 2, 300)
        chosen = SelectKBest(k=10).fit(matrix, truth)
        leaking = make_pipeline(FunctionTransformer(chosen.transform), LogisticRegression())
        honest = make_pipeline(SelectKBest(k=10), LogisticRegression())
        outside.append(cross_val_score(leaking, matrix, truth, scoring="roc_auc").mean())
        inside.append(cross_val_score(honest, matrix, truth, scoring="roc_auc").mean())
        suspected += bool(fitted_parts(leaking)) and not fitted_parts(honest)
    yield _line("cross-validated AUC, chosen outside", f"{np.mean(outside):.3f}")
    yield _line("cross-validated AUC, chosen inside", f"{np.mean(inside):.3f}")
    yield _line("outside found, inside passed", f"{suspected} of {SEEDS}")


def worth(data: Path) -> Iterator[str]:
    """The AUC with the leak and without, from the same boosted trees."""
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    for name, columns, truth in _labelled(data):
        if name != "bank":
            continue
        known, judged = _random(len(truth))
        for left_out in ((), ("duration",)):
            matrix = np.column_stack(
                [_codes(values) for column, values in columns.items() if column not in left_out]
            )
            model = LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1).fit(matrix[known], truth[known])
            score = roc_auc_score(truth[judged], model.predict_proba(matrix[judged])[:, 1])
            yield _line(f"bank {'without `duration`' if left_out else 'with `duration`'}", f"AUC {score:.3f}")


def _labelled(data: Path) -> Iterator[tuple[str, Columns, NDArray[np.int64]]]:
    from sklearn.datasets import load_breast_cancer, load_iris, load_wine

    for name, file, label, drop in (
        ("adult", "tabular/adult", "income_gt_50k", ["split"]),
        ("bank", "tabular/bank_additional_full", "y", []),
        ("german_credit", "tabular/german_credit", "bad", []),
        ("taiwan default", "tabular/credit_card_default_taiwan", "default payment", []),
        ("ricci", "tabular/ricci", "Promoted", []),
        ("elec2", "streams/elec2", "class", ["date"]),
    ):
        frame = pl.read_parquet(data / f"{file}.parquet").drop(drop)
        truth = np.array([int(one in {1, "yes", "UP"}) for one in frame[label].to_list()])
        yield name, columns_of(frame.drop(label)), truth
    drop = ["TRANSACTION_ID", "TX_DATETIME", "TX_FRAUD_SCENARIO", "CUSTOMER_ID", "TERMINAL_ID"]
    frame = pl.read_parquet(data / "fraud" / "tx_transformed_2018-07-25_2018-08-14.parquet").drop(
        [*drop, "TX_TIME_SECONDS", "TX_TIME_DAYS"]
    )
    yield "fraud handbook", columns_of(frame.drop("TX_FRAUD")), frame["TX_FRAUD"].to_numpy().astype(np.int64)
    for name, load in (("breast cancer", load_breast_cancer), ("wine", load_wine), ("iris", load_iris)):
        rows = load()
        columns = {str(one): rows.data[:, place] for place, one in enumerate(rows.feature_names)}
        yield name, columns, rows.target


def _tables(data: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    for name in (
        "adult",
        "bank_additional_full",
        "credit_card_default_taiwan",
        "diabetes130",
        "german_credit",
    ):
        yield name, pl.read_parquet(data / "tabular" / f"{name}.parquet")


def _texts(name: str, columns: Columns, judged: Rows, known: Rows) -> Iterator[str]:
    exact = len(repeated_rows(columns, judged=judged, known=known).judged)
    near = len(nearly_repeated_rows(columns, judged=judged, known=known).judged)
    yield _line(name, f"{exact} of {len(judged):,} judged texts word for word with the label, {near} nearly")


def _random(rows: int, share: float = 0.6, *, seed: int = 0) -> tuple[Rows, Rows]:
    order = np.random.default_rng(seed).permutation(rows)
    return order[: int(rows * share)], order[int(rows * share) :]


def _codes(values: NDArray[np.generic]) -> NDArray[np.float64]:
    if values.dtype == object:
        return np.unique(values.astype(str), return_inverse=True)[1].astype(np.float64)
    return values.astype(np.float64)


def _line(name: str, told: str) -> str:
    return f"| {name} | {told} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))

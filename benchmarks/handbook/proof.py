"""What is shown on the handbook's payments; `run.py` prints it, a test does it in small."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features import declared
from geartrain.domain.columns import microseconds_of
from geartrain.domain.features import FeatureSet
from geartrain.domain.prediction import Decision
from geartrain.engine.consistency import Consistency, compare_log
from geartrain.engine.decided import decisions_of
from geartrain.engine.hosting import online_encode
from geartrain.engine.ingesting import Door
from geartrain.engine.logbook import log_records
from geartrain.engine.products import Product
from geartrain.engine.workspace import Workspace
from geartrain.features.consistency import Cause, Explanation, Guess, compare, explain
from geartrain.features.encoding import fit_encoding
from geartrain.features.offline import point_in_time
from geartrain.features.online import OnlineFeatures
from geartrain.serving.columns import logged_row
from geartrain.serving.journal import LoggedDecision
from geartrain.serving.runtime import Matrix

RAW = "tx_raw_2018-04-01_2018-09-30.parquet"
TABLE = "tx_transformed_2018-07-25_2018-08-14.parquet"
KEYS = {"payments": "payment", "outcomes": "payment"}
#: When the book is told whether a payment was a fraud.
DELAY = timedelta(days=7)
WEEK = timedelta(days=7)
#: The book's running means add and take away; ours are exact sums, rounded once.
SAME_MEAN = 1e-9

Sources = dict[str, pl.DataFrame]


def sources_of(
    data: Path, *, since: datetime | None = None, until: datetime | None = None, every: int = 1
) -> Sources:
    """Payments and their outcomes, with both clocks; *every* keeps the customers and terminals of one in so many."""
    rows = pl.scan_parquet(data / RAW)
    if since is not None:
        rows = rows.filter(pl.col("TX_DATETIME") >= since.replace(tzinfo=None))
    if until is not None:
        rows = rows.filter(pl.col("TX_DATETIME") < until.replace(tzinfo=None))
    if every > 1:
        rows = rows.filter((pl.col("CUSTOMER_ID") % every == 0) | (pl.col("TERMINAL_ID") % every == 0))
    at = pl.col("TX_DATETIME").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    told = rows.select(
        payment="TRANSACTION_ID",
        customer="CUSTOMER_ID",
        terminal="TERMINAL_ID",
        amount="TX_AMOUNT_CENTS",
        is_fraud="TX_FRAUD",
        at=at,
        _event_time=at,
    ).collect()
    # NumPy divides; Polars multiplies by the inverse, and one amount in seven ends in another bit.
    told = told.with_columns(amount=told["amount"].to_numpy() / 100)
    clock = pl.col("_event_time")
    return {
        "payments": told.drop("is_fraud").with_columns(_arrival_time=clock),
        "outcomes": told.drop("customer", "amount").with_columns(
            known=clock + DELAY, _arrival_time=clock + DELAY
        ),
    }


def table_of_the_book(data: Path) -> pl.DataFrame:
    """The published table, with our names beside the book's."""
    return pl.read_parquet(data / TABLE)


def of_the_book(features: FeatureSet) -> list[str]:
    """The 15 features' names."""
    names = [one.name for one in features.features]
    return [name for name in names if name.startswith("TX_") or name.endswith("_WINDOW")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """How far one feature is the book's.

    Attributes:
        edges: Cells that differ only because our windows hold their first moment and not their last.
        ties: Cells that differ because the book counts one of two payments of the same second as before the other.
        unexplained: Cells that differ and nothing says why.
        largest: The largest relative difference of cells that are called equal.
    """

    name: str
    cells: int
    equal: int
    edges: int
    ties: int
    unexplained: int
    largest: float


def reproduce(sources: Sources, table: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Reproduced, ...]]:
    """The book's features of the table's payments from raw ones, and how far they are the book's values."""
    decisions = table.select(pl.col("TRANSACTION_ID").cast(pl.Int32).alias("payment")).join(
        sources["payments"], on="payment", how="left", maintain_order="left"
    )
    ours = point_in_time(declared(), decisions, sources, keys=KEYS)
    moved = point_in_time(declared(edge=timedelta(microseconds=1)), decisions, sources, keys=KEYS)
    ties = _ties(sources["payments"], decisions)
    found = []
    for name in of_the_book(declared()):
        theirs = table[name].cast(pl.Float64).to_numpy()
        as_declared, largest = _same(ours[name].to_numpy(), theirs)
        with_edges, _ = _same(moved[name].to_numpy(), theirs)
        tied = ties if name.startswith("CUSTOMER") else np.zeros(table.height, dtype=np.bool_)
        found.append(
            Reproduced(
                name=name,
                cells=table.height,
                equal=int(as_declared.sum()),
                edges=int((~as_declared & with_edges).sum()),
                ties=int((~as_declared & ~with_edges & tied).sum()),
                unexplained=int((~as_declared & ~with_edges & ~tied).sum()),
                largest=largest,
            )
        )
    return ours, tuple(found)


def _same(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[NDArray[np.bool_], float]:
    gap = np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1.0)
    same = gap <= SAME_MEAN
    return same, float(gap[same].max(initial=0.0))


def _ties(payments: pl.DataFrame, decisions: pl.DataFrame) -> NDArray[np.bool_]:
    """Which decisions have another payment of the same card within the same second."""
    of_a_second = payments.select("payment", tied=pl.len().over("customer", "_event_time") > 1)
    return decisions.join(of_a_second, on="payment", how="left", maintain_order="left")["tied"].to_numpy()


def judge(values: pl.DataFrame, table: pl.DataFrame) -> tuple[float, float, int]:
    """AUC, average precision and the rows judged, by the book's protocol: a week to learn, a week of delay, a week."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = of_the_book(declared())
    rows = table.select(
        pl.col("CUSTOMER_ID").alias("customer"),
        pl.col("TX_FRAUD").alias("is_fraud"),
        day=pl.col("TX_TIME_DAYS") - pl.col("TX_TIME_DAYS").min(),
    ).hstack(values.select(names))
    train, frauds = rows.filter(pl.col("day") < 7), rows.filter(pl.col("is_fraud") == 1)
    tested = []
    for day in range(7):
        # A fraud is known a week later: what happened before then names the cards that are out.
        known = frauds.filter(pl.col("day") < 7 + day)["customer"].unique()
        tested.append(rows.filter(pl.col("day") == 14 + day, ~pl.col("customer").is_in(known.implode())))
    test = pl.concat(tested)
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0, max_iter=1000))
    model.fit(train.select(names).to_numpy(), train["is_fraud"].to_numpy())
    said, truth = model.predict_proba(test.select(names).to_numpy())[:, 1], test["is_fraud"].to_numpy()
    return float(roc_auc_score(truth, said)), float(average_precision_score(truth, said)), test.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One delivery to the online state."""

    at_us: int
    source: str
    row: dict[str, object]
    happened_us: int


def served_week(
    workspace: Workspace, product: Product, sources: Sources, *, begins: datetime, ends: datetime
) -> tuple[Consistency, int]:
    """Serve every payment of a week as it comes, through the log, and compare; also how many events were applied.

    What happened before lies in the lake and in the state when the week begins; during it
    payments and outcomes are applied one by one, in the order in which they became known.
    """
    features, contract = product.features, product.contract
    door = Door(workspace, contract)
    online = OnlineFeatures(features, keys=KEYS)
    for name, rows in sources.items():
        known = pl.col("_arrival_time")
        before = rows.filter(known < begins)
        door.take(
            name, before.drop("_event_time", "_arrival_time"), content=f"{name} before".encode(), now=begins
        )
        online.apply_rows(name, before)
        during = rows.filter((known >= begins) & (known < ends))
        door.take(name, during.drop("_event_time", "_arrival_time"), content=name.encode(), now=ends)
    asked = sources["payments"].filter(pl.col("_event_time") >= begins, pl.col("_event_time") < ends)
    encoding = fit_encoding(features, point_in_time(features, asked[:0], sources, keys=KEYS))
    source = next(one for one in contract.data.sources if one.name == "payments") if contract.data else None
    encode = online_encode(online, encoding, fields=source.fields if source else ())
    arrivals, place = _arrivals(sources, begins, ends), 0
    made: list[LoggedDecision] = []
    for row in asked.sort("_event_time", "payment").iter_rows(named=True):
        at: datetime = row["_event_time"]
        at_us = int(at.timestamp()) * 1_000_000
        while place < len(arrivals) and arrivals[place].at_us < at_us:
            _apply(online, arrivals[place])
            place += 1
        sent = {
            "payment": row["payment"], "customer": row["customer"], "terminal": row["terminal"],
            "amount": row["amount"], "at": at.isoformat(),
        }  # fmt: skip
        (cells,) = encode([sent], at)
        made.append(_logged(row["payment"], at, sent, cells))
    for start in range(0, len(made), 10_000):
        log_records(
            workspace, made[start : start + 10_000], batch=f"served-{start}", encoding_of=lambda *_: encoding
        )
    log = decisions_of(workspace, contract.product.name, now=ends)
    return compare_log(workspace, contract, encoding, log, release=_RELEASE, now=ends), place


_RELEASE = "0" * 64


def _logged(payment: int, at: datetime, sent: dict[str, object], cells: Matrix) -> LoggedDecision:
    decision = Decision(
        id=f"d{payment}", product="handbook", release=_RELEASE, key=str(payment), decided_at=at,
        action="accept", probabilities=(), expected_cost=0.0,
    )  # fmt: skip
    return LoggedDecision(decision=decision, at=at, row=logged_row(sent), features=cells.tobytes())


def _arrivals(sources: Sources, begins: datetime, ends: datetime) -> list[Arrived]:
    found = [
        Arrived(
            at_us=int(row["_arrival_time"].timestamp()) * 1_000_000,
            source=name,
            row=row,
            happened_us=int(row["_event_time"].timestamp()) * 1_000_000,
        )
        for name, rows in sources.items()
        for row in rows.filter(pl.col("_arrival_time") >= begins, pl.col("_arrival_time") < ends).iter_rows(
            named=True
        )
    ]
    return sorted(found, key=lambda one: one.at_us)


def _apply(online: OnlineFeatures, one: Arrived) -> None:
    online.apply(one.source, one.row, event_time_us=one.happened_us, arrival_us=one.at_us)


def disordered(sources: Sources, *, seed: int) -> Sources:
    """Every payment and outcome with one in twenty up to three days late, one in twenty delivered twice, all shuffled.

    A second delivery comes up to a day after the first.
    """
    chance = np.random.default_rng(seed)
    found = {}
    for name, rows in sources.items():
        late = np.where(
            chance.random(rows.height) < 0.05, chance.integers(1, 3 * 86_400_000_000, rows.height), 0
        )
        moved = rows.with_columns(_later(late))
        again = np.flatnonzero(chance.random(rows.height) < 0.05)
        second = moved[again].with_columns(_later(chance.integers(1, 86_400_000_000, again.size)))
        everything = pl.concat([moved, second])
        found[name] = everything[chance.permutation(everything.height)]
    return found


def _later(by_us: NDArray[np.int64]) -> pl.Expr:
    """The arrival moved by so many microseconds."""
    return (pl.col("_arrival_time") + pl.Series(by_us).cast(pl.Duration("us"))).alias("_arrival_time")


def parity(features: FeatureSet, sources: Sources, asked: pl.DataFrame) -> tuple[int, int, int]:
    """Deliveries applied in the order in which they stand, then every feature read: cells, and cells that differ."""
    online = OnlineFeatures(features, keys=KEYS)
    applied = sum(online.apply_rows(name, rows) for name, rows in sources.items())
    at_us = microseconds_of(asked["_event_time"]).to_list()
    read = [online.read(row, at) for row, at in zip(asked.iter_rows(named=True), at_us, strict=True)]
    served = pl.DataFrame(read, schema={one.name: pl.Float64 for one in features.features})
    report = compare(served, point_in_time(features, asked, sources, keys=KEYS), features)
    return applied, report.cells, report.differing


def untrue_stamps(
    features: FeatureSet, sources: Sources, asked: pl.DataFrame, *, seed: int, share: float = 0.01
) -> tuple[int, Explanation]:
    """A *share* of the events is seen two hours after it says: differing cells, and what explains them."""
    chance = np.random.default_rng(seed)
    truth = {
        name: rows.with_columns(_later(np.where(chance.random(rows.height) < share, 7_200_000_000, 0)))
        for name, rows in sources.items()
    }
    online = OnlineFeatures(features, keys=KEYS)
    for name, rows in truth.items():
        online.apply_rows(name, rows)
    at_us = microseconds_of(asked["_event_time"]).to_list()
    read = [online.read(row, at) for row, at in zip(asked.iter_rows(named=True), at_us, strict=True)]
    served = pl.DataFrame(read, schema={one.name: pl.Float64 for one in features.features})
    said = point_in_time(features, asked, sources, keys=KEYS)

    def guesses() -> Sequence[Guess]:
        values = point_in_time(features, asked, truth, keys=KEYS)
        return (Guess(cause=Cause.LATE, source="payments, outcomes", values=values),)

    return compare(served, said, features).differing, explain(served, said, features, guesses())


def told(found: Explanation) -> str:
    """The causes, in words."""
    return json.dumps(
        {str(one.cause): one.cells for one in found.explained} | {"unexplained": found.unexplained}
    )


def day(text: str) -> datetime:
    """A day, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

"""The Fraud Detection Handbook's figures, from its own data and protocol, through these metrics."""

from pathlib import Path

import numpy as np
import pytest

from geartrain.domain.contract import Capacity
from geartrain.evaluation.metrics import measure

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "fraud"
FILE = DATA / "tx_transformed_2018-07-25_2018-08-14.parquet"
DAYS = 7


@pytest.mark.skipif(not FILE.exists(), reason="the handbook's transactions are not on this machine")
def test_logistic_regression_of_the_handbook(build, measured):
    """AUC .871, AP .606 and card precision@100 .291 (Le Borgne et al. 2022, chapter 3), each inside its interval."""
    import polars as pl
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pl.read_parquet(FILE).with_columns(day=pl.col("TX_TIME_DAYS") - pl.col("TX_TIME_DAYS").min())
    train = frame.filter(pl.col("day") < DAYS)
    frauds = frame.filter(pl.col("TX_FRAUD") == 1)
    tested = []
    for day in range(DAYS):
        # A fraud is known a week later: what happened before then names the cards that are out.
        known = frauds.filter(pl.col("day") < DAYS + day)["CUSTOMER_ID"].unique()
        today = frame.filter(pl.col("day") == 2 * DAYS + day)
        tested.append(today.filter(~pl.col("CUSTOMER_ID").is_in(known.implode())))
    test = pl.concat(tested)
    inputs = ["TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT"]
    inputs += [name for name in frame.columns if name.endswith("WINDOW")]
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0, max_iter=1000))
    model.fit(train.select(inputs).to_numpy(), train["TX_FRAUD"].to_numpy())

    evidence = build.binary(
        model.predict_proba(test.select(inputs).to_numpy())[:, 1],
        test["TX_FRAUD"].to_numpy(),
        columns={"card": test["CUSTOMER_ID"].to_numpy().astype(float)},
        times_us=test["TX_DATETIME"].dt.epoch("us").to_numpy(),
        contract=build.contract(
            capacity=Capacity(action="biopsy", most=100, period_s=86_400.0, entity="card")
        ),
    )

    assert measured(measure(evidence, "auc")).value == pytest.approx(0.871, abs=0.003)
    assert measured(measure(evidence, "average_precision")).value == pytest.approx(0.606, abs=0.005)
    capacity = measured(measure(evidence, "precision_at_capacity"))
    assert capacity.value == pytest.approx(0.291, abs=0.005)
    assert capacity.low < np.float64(0.291) < capacity.high

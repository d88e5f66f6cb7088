"""The Fraud Detection Handbook's first model, from its table through the product's own path."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from geartrain.data.labels import LABEL
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import rule_of
from geartrain.engine.ingesting import Door
from geartrain.engine.rows import classes_of, take_rows, truth_of
from geartrain.evaluation.evidence import Evidence
from geartrain.evaluation.metrics import measure
from geartrain.features.encoding import encode, fit_encoding
from geartrain.training.examples import Examples
from geartrain.training.fitting import fit

TABLE = (
    Path(__file__).resolve().parents[2].parent
    / "shared/data/fraud/tx_transformed_2018-07-25_2018-08-14.parquet"
)
START = datetime(2018, 7, 25, tzinfo=UTC)
WEEK = timedelta(days=7)
#: The book's own: columns brought to one scale, then a logistic regression.
MODEL = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from geartrain.training.recipe import recipe


def book(params, seed):
    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed, max_iter=1000))


model = recipe(book, calibrate="none")
"""


@pytest.mark.skipif(not TABLE.exists(), reason="the handbook's transactions are not on this machine")
def test_the_handbooks_logistic_regression_through_the_product(memory, product):
    """AUC .871, AP .606 and card precision@100 .291 (Le Borgne et al. 2022, ch. 3) through door, lake, snapshot and fit."""
    table = pl.read_parquet(TABLE)
    inputs = ["TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT"]
    inputs += [name for name in table.columns if name.endswith("WINDOW")]
    fields = {
        "TRANSACTION_ID": {"type": "integer", "required": True},
        "TX_DATETIME": {"type": "timestamp", "required": True},
        "CUSTOMER_ID": {"type": "integer", "required": True, "feature": False},
        "TX_FRAUD": {"type": "integer", "required": True},
        **{name: {"type": "number", "required": True} for name in inputs},
    }
    made = product(
        {
            "product": {"name": "handbook", "title": "Handbook", "problem": "is this payment a fraud"},
            "decision": {
                "task": "binary",
                "unit": "one payment",
                "label": "TX_FRAUD",
                "positive": "1",
                "negative": "0",
                "actions": {"1": "check", "0": "accept"},
                "label_delay": "7 days",
                "capacity": {"action": "check", "most": 100, "per": "1 day", "entity": "CUSTOMER_ID"},
            },
            "data": {
                "split": {"by_time": True},
                "sources": {
                    "tx": {
                        "kind": "decisions",
                        "key": "TRANSACTION_ID",
                        "event_time": "TX_DATETIME",
                        "fields": fields,
                    }
                },
            },
        },
        model=MODEL,
    )
    workspace, contract = memory(), made.contract
    delivered = table.select(list(fields)).with_columns(
        pl.col("TX_DATETIME").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    taken = Door(workspace, contract).take("tx", delivered, content=b"table", now=START + 4 * WEEK)
    assert (taken.batch.accepted, taken.batch.quarantined) == (table.height, 0)

    _, rows = take_rows(workspace, contract, made.features, known_at=START + 4 * WEEK, since=START)
    assert sorted(one.name for one in made.features.features) == sorted(inputs)
    classes = classes_of(contract, rows)
    truth = truth_of(contract, rows, classes)
    start_us = int(START.timestamp() * 1e6)
    day = (rows.times_us - start_us) // 86_400_000_000
    learned, tested = np.flatnonzero(day < 7), _tested(rows, day)

    encoding = fit_encoding(made.features, rows.take(learned).features)
    matrix, rule = encode(encoding, rows.features), rule_of(contract, classes)
    fitted = fit(
        made.recipe,
        {},
        Examples(matrix=matrix[learned], truth=truth[learned], columns=rows.take(learned).columns),
        rule,
        seed=0,
    )
    part = rows.take(tested)
    evidence = Evidence(
        contract=contract,
        rule=rule,
        predictions=fitted.predict(matrix[tested]),
        truth=truth[tested],
        columns=part.columns,
        times_us=part.times_us,
        seed=0,
    )

    assert measure(evidence, "auc").value == pytest.approx(0.871, abs=0.003)
    assert measure(evidence, "average_precision").value == pytest.approx(0.606, abs=0.005)
    assert measure(evidence, "precision_at_capacity").value == pytest.approx(0.291, abs=0.005)
    # A model that says nothing ranks nothing: the figures are the model's, not the rows'.
    silent = replace(evidence, predictions=_nothing(evidence.predictions))
    assert measure(silent, "auc").value == pytest.approx(0.5)


def _tested(rows, day):
    """Rows of the third week whose card was not known as stolen: a fraud is known a week later."""
    card = rows.raw.get_column("CUSTOMER_ID").to_numpy()
    fraud = np.array([text == "1" for text in rows.raw.get_column(LABEL).to_list()])
    kept = [
        np.flatnonzero((day == 14 + one) & ~np.isin(card, card[fraud & (day < 7 + one)])) for one in range(7)
    ]
    return np.concatenate(kept)


def _nothing(answers):
    values = np.full_like(answers.values, 1 / answers.values.shape[1])
    return Predictions(task=answers.task, classes=answers.classes, values=values)

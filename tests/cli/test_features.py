"""`geartrain features`: what the model looks at, in words; what was served, beside what is recomputed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Shell

FEATURES = """\
from geartrain.features.declaring import feature_set, request, window

features = feature_set(
    request("amount", unit="EUR", owner="domain", because="thieves take more at once"),
    *window("rows", entity="id", over=("7d", None), mean="amount", delay="1d", where="amount > 1", named="large"),
    request("to_usual", "amount / large_mean_amount_7d_delay_1d"),
)
"""


@pytest.fixture
def described(tiny: Path) -> Path:
    """The tiny product with features of its own, and a workspace."""
    (tiny / "features.py").write_text(FEATURES)
    contract = tiny / "product.yaml"
    contract.write_text(
        contract.read_text().replace("id: {type: string,", "id: {type: string, feature: false,")
    )
    return tiny


def test_features_are_listed_in_words(described: Path, shell: Shell) -> None:
    """Each with what it is, its unit, its owner and why; who has no reason is named."""
    said = shell(described, "features", "list")

    assert said.code == 0, said.err
    assert "  amount (domain)\n      of the request: amount, in EUR; thieves take more at once" in said.out
    assert (
        "mean of amount over the rows of id, the last 7d that ended 1d before where amount > 1\n" in said.out
    )
    assert "mean of amount over the rows of id, all the past that ended 1d before" in said.out
    assert "nobody said why these should matter: large_mean" in said.out
    told = shell(described, "features", "list", "--json").document["result"]
    assert told["features"][0]["name"] == "amount"


def test_costs_and_benefits_stand_beside_each_other(described: Path, shell: Shell) -> None:
    """The amount decides, so no shuffle makes it look as useful; a feature that never varies is named."""
    rows = [f"r{place},{place % 100},{'bad' if place % 100 > 60 else 'good'}" for place in range(400)]
    (described / "rows.csv").write_text("\n".join(["id,amount,outcome", *rows]) + "\n")
    (described / "model.py").write_text(
        "from geartrain.training.recipe import recipe\n"
        "model = recipe('lightgbm', fixed={'n_estimators': 5, 'num_leaves': 4})\n"
    )
    assert shell(described, "ingest", "rows.csv").code == 0
    assert shell(described, "train", "--trials", "1").code == 0

    said = shell(described, "features", "cost", "--json")

    assert said.code == 0, said.err
    found = {one["name"]: one for one in said.document["result"]["features"]}
    assert set(found) == {
        "amount", "large_mean_amount_7d_delay_1d", "large_mean_amount_delay_1d", "to_usual",
    }  # fmt: skip
    assert (found["amount"]["luck"], found["amount"]["luck_high"] < 0.05) == (0.0, True)
    assert found["to_usual"]["luck"] is None
    assert all(one["offline_us"] > 0 and one["online_us"] > 0 for one in found.values())
    assert "to_usual" in said.document["result"]["idle"]
    assert "amount" not in said.document["result"]["idle"]


def test_an_empty_log_is_said(described: Path, shell: Shell) -> None:
    """Nothing was served, so nothing differs, and nothing is claimed."""
    (described / "rows.csv").write_text("id,amount,outcome\na,1,good\n")
    assert shell(described, "ingest", "rows.csv").code == 0

    said = shell(described, "features", "consistency")

    assert (said.code, said.out) == (0, "no decision is in the log: `geartrain serve` writes it\n")
    assert shell(described, "features", "consistency", "--release", "abc").code == 2

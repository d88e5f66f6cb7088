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


def test_an_empty_log_is_said(described: Path, shell: Shell) -> None:
    """Nothing was served, so nothing differs, and nothing is claimed."""
    (described / "rows.csv").write_text("id,amount,outcome\na,1,good\n")
    assert shell(described, "ingest", "rows.csv").code == 0

    said = shell(described, "features", "consistency")

    assert (said.code, said.out) == (0, "no decision is in the log: `geartrain serve` writes it\n")
    assert shell(described, "features", "consistency", "--release", "abc").code == 2

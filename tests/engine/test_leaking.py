"""A leak closes the gates of a real build, an honest build keeps every clause of integrity."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from geartrain.domain.finding import Finding, Status
from geartrain.domain.wire import decode
from geartrain.engine.ingesting import Door

SELECTED_OUTSIDE = """
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from geartrain.training.recipe import recipe

chance = np.random.default_rng(0)
selector = SelectKBest(k=2).fit(chance.normal(size=(40, 4)), chance.integers(0, 2, 40))


def pipeline(params, seed):
    best = selector.get_support(indices=True).tolist()
    return make_pipeline(ColumnTransformer([("best", "passthrough", best)]), LogisticRegression())


model = recipe(pipeline)
"""


def rows(count=400, *, late=0.0):
    chance = np.random.default_rng(4)
    causes = chance.normal(size=(count, 4))
    truth = causes.sum(axis=1) + chance.normal(size=count) > 0
    frame = {f"x{i}": causes[:, i].round(6) for i in range(3)}
    known = truth + chance.normal(size=count) * 0.3 if late else causes[:, 3]
    return pl.DataFrame({"id": [f"r{i}" for i in range(count)], **frame, "x3": known.round(6), "y": truth})


def contract(**integrity):
    fields = {f"x{i}": {"type": "number"} for i in range(4)}
    return {
        "product": {"name": "leaky", "title": "Leaky", "problem": "is it so?"},
        "decision": {
            "task": "binary", "unit": "a row", "label": "y", "positive": "true",
            "actions": {"true": "act", "false": "wait"},
        },
        "data": {
            "sources": {
                "rows": {
                    "kind": "decisions", "key": "id",
                    "fields": {"id": {"type": "string"}, **fields, "y": {"type": "boolean"}},
                }
            }
        },
        **({"integrity": integrity} if integrity else {}),
    }  # fmt: skip


@pytest.fixture
def integrity(memory, product, built, now):
    """A function that builds a product from rows and answers its findings of integrity."""

    def run(frame, document, name, **more):
        workspace, made = memory(name), product(document, name=name, **more)
        Door(workspace, made.contract).take("rows", frame, content=name.encode(), now=now)
        done = built(workspace, made, trials=1)
        found = decode(workspace.blobs.get(done["findings"]), tuple[Finding, ...])
        return {one.clause: one for one in found if one.clause.startswith("integrity.")}

    return run


def test_an_honest_build_keeps_them_all(integrity):
    """Seven clauses (rows without a time are not asked about it), each kept."""
    found = integrity(rows(), contract(), "honest")
    assert len(found) == 7
    assert {one.status for one in found.values()} == {Status.KEPT}


def test_a_proxy_closes_the_gates_until_an_expert_accepts_it(integrity):
    """The same rows and the same model: only the contract's word about the column differs."""
    proxy = "integrity.target_proxy"
    found = integrity(rows(late=True), contract(), "leaky")
    accepted = contract(target_proxy={"accept": ["x3"], "because": "the gauge is read before we decide"})

    assert found[proxy].blocks
    assert "`x3`" in found[proxy].message
    assert integrity(rows(late=True), accepted, "accepted")[proxy].status is Status.KEPT


def test_rows_that_came_twice_close_the_gates(integrity):
    """The same rows under new names, as a second export brings them: a third of the judged ones were learned from."""
    frame = rows()
    again = pl.concat([frame, frame[:140].with_columns(("s" + pl.col("id")).alias("id"))])
    found = integrity(again, contract(), "twice")["integrity.duplicates"]
    assert (found.status, found.blocks) == (Status.BROKEN, True)
    assert found.value > 0.2


def test_a_selection_outside_the_folds_closes_the_gates(integrity):
    """A recipe that carries a selector fitted when its module was read."""
    found = integrity(rows(), contract(), "outside", model=SELECTED_OUTSIDE)["integrity.preprocessing"]
    assert found.blocks
    assert "SelectKBest, which was fitted before" in found.message

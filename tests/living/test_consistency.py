"""What a server gave its model is compared with what training computes, by command, by monitor and in the metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from geartrain.api.metrics import ServingMetrics
from geartrain.cli.main import run
from geartrain.domain.finding import Status
from geartrain.engine.logbook import DECISIONS, FEATURE
from geartrain.engine.monitoring_live import watch_live
from geartrain.engine.rows import frame_of, table_of
from geartrain.serving.lanes import Ask, answer

NAME = "shop"


def ask(living, **row):
    lane = living.host.lane(NAME)
    ids = (living.host.new_id(),)
    given = Ask(
        rows=({"visitor": "v1", "pages": 21.0, "device": "phone", **row},), ids=ids, keys=(row["visit_id"],)
    )
    (records,) = answer(lane, [given], datetime.now(UTC))
    living.host.log.record(records).result(timeout=5)


@pytest.fixture
def visited(living, the_shop):
    """A shop in which clicks came in between visits."""
    for place in range(6):
        seen = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        clicks = [{"click_id": f"c{place}", "visitor": f"v{place % 2}", "weight": 0.1 * place, "at": seen}]
        living.host.take_events(NAME, "clicks", clicks, datetime.now(UTC))
        ask(living, visit_id=f"new-{place}", visitor=f"v{place % 2}")
    assert living.host.log.flush(timeout_s=5)
    return living


def command(the_shop, capfd, *more):
    capfd.readouterr()
    code = run(
        ["features", "consistency", "--json", "-w", str(the_shop.root), "-p", str(the_shop.folder), *more]
    )
    return code, json.loads(capfd.readouterr().out)["result"]


def test_a_server_gives_its_model_what_training_computes(visited, the_shop, capfd):
    """Zero differing cells: the command says so, the clause has a finding, the metrics have the figures."""
    code, said = command(the_shop, capfd)

    assert (code, said["cells"], said["differing"]) == (0, 6 * 6, 0)
    seen = watch_live(the_shop.workspace(), the_shop.product, now=datetime.now(UTC))
    finding = next(one for one in seen.findings if one.clause == "integrity.consistency")
    assert (finding.status, finding.value) == (Status.UNPROVEN, 0.0)
    assert finding.message.startswith("each of 36 feature values of 6 decisions is what training computes")
    told = ServingMetrics().render(visited.host, in_flight=0).decode()
    assert 'geartrain_feature_cells_compared{product="shop"} 36.0' in told
    assert 'geartrain_feature_cells_differing{cause="unexplained",product="shop"} 0.0' in told
    assert "geartrain_feature_consistency_checked_timestamp_seconds" in told


def test_a_wrong_value_in_the_log_is_exit_code_1(visited, the_shop, capfd):
    """One cell that nothing explains is named, with its row and both values."""
    space, table = the_shop.workspace(), table_of(NAME, DECISIONS)
    row = frame_of(space.lake.scan(table)).filter(pl.col("key") == "new-5")
    column = next(name for name in row.columns if "count_7d" in name)
    wrong = row.with_columns(
        pl.lit("forged").alias("decision_id"), pl.lit("forged").alias("_batch"), pl.col(column) + 1
    )
    space.lake.append(table, wrong.to_arrow(), batch="forged")

    code, said = command(the_shop, capfd)

    assert (code, said["differing"], said["unexplained"]) == (1, 1, 1)
    ((name, example),) = said["releases"][0]["explanation"]["examples"]
    assert (FEATURE + name, example["row"]) == (column, "new-5")
    assert example["served"] == example["recomputed"] + 1
    assert command(the_shop, capfd, "--release", the_shop.second)[0] != 0

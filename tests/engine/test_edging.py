"""A release on a device: forty lines of Python without geartrain decide as the server does."""

import json
import subprocess
import sys

import polars as pl
import pytest
from tests.engine.test_shaping import MODEL, contract, loans

from geartrain.engine.bundles import load_bundle
from geartrain.engine.edging import MODEL as ONNX
from geartrain.engine.edging import RUNNER, affine, edge_files
from geartrain.engine.hosting import online_encode, served_of
from geartrain.engine.ingesting import Door
from geartrain.errors import ReleaseRefused
from geartrain.features.online import OnlineFeatures
from geartrain.release.directory import write_directory
from geartrain.serving.deciding import decide_rows
from geartrain.serving.requests import RowChecks

#: Runs the runner where only NumPy and ONNX Runtime can be imported beside the standard library.
ALONE = """
import runpy, sys
class Nothing:
    allowed = {"numpy", "onnxruntime"}
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {"geartrain", "sklearn", "scipy", "polars", "lightgbm", "onnx", "skl2onnx", "msgspec", "pyarrow", "pandas"}:
            raise ModuleNotFoundError(f"no module named {top!r} on this device")
        return None
sys.meta_path.insert(0, Nothing())
runpy.run_path(sys.argv[1], run_name="__main__")
assert not any(name.split(".")[0] == "geartrain" for name in sys.modules)
"""


def on_device(folder, rows):
    return said_on_device(folder, "".join(json.dumps(row) + "\n" for row in rows))


def said_on_device(folder, text):
    return subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(folder / RUNNER)],
        input=text,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


ODD = (
    {"a": None, "b": 1.0, "kind": "car", "amount": 3.0},
    {"a": 3e38, "b": -3e38, "kind": "boat", "amount": 3.0},
    {"a": 2.0, "b": None, "kind": None, "amount": 5},
    {"a": 2.0, "b": 1, "kind": "home", "amount": None},
    {"a": 0.4},
    {},
)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "abstain": {
                "below_confidence": 0.7,
                "most_missing": 0.5,
                "most_outside": 0.2,
                "then": "ask a person",
                "cost": 1,
            }
        },
    ],
    ids=["plain", "abstaining"],
)
def test_the_device_decides_as_the_server_does(memory, product, built, now, tmp_path, more):
    """Same actions on every row, odd ones included: holes, unknown words, huge numbers, a cost that nobody knows."""
    space = memory()
    told = contract()
    told["decision"].update(more)
    made = product(told, model=MODEL)
    Door(space, made.contract).take("rows", loans(800, 0), content=b"loans", now=now)
    loaded = load_bundle(space, built(space, made, trials=1)["release"])
    served = served_of(loaded, online_encode(OnlineFeatures(loaded.encoding.feature_set), loaded.encoding))
    rows = [*loans(60, 0).drop("label", "id").to_dicts(), *ODD]
    wanted = decide_rows(served, rows, now, [str(i) for i in range(len(rows))]).decisions

    files = edge_files(loaded)
    folder = write_directory(tmp_path / "device", files)
    found = on_device(folder, rows)
    assert found.returncode == 0, found.stderr
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert [one["action"] for one in answers] == [one.action for one in wanted]
    assert len({one["action"] for one in answers}) > 1
    assert any("outside" in one.doubt for one in wanted) is bool(more)
    assert files[RUNNER].decode().count("\n") <= 45
    assert edge_files(loaded) == files

    (folder / ONNX).write_bytes(files[ONNX] + b"\x00")
    refused = on_device(folder, rows[:1])
    assert refused.returncode == 1
    assert "model.onnx is not what was exported" in refused.stderr
    assert refused.stdout == ""


def test_a_bad_line_is_told_and_the_next_one_decided(memory, product, built, now, tmp_path):
    """Text for a number, and what is no object, are errors with their line, as the server refuses them; blank lines are none."""
    space, told = memory(), contract()
    told["data"]["sources"]["rows"]["fields"]["b"]["type"] = "integer"
    made = product(told, model=MODEL)
    rows = loans(800, 0).with_columns(b=(pl.col("b") * 10).round().cast(pl.Int64))
    Door(space, made.contract).take("rows", rows, content=b"loans", now=now)
    loaded = load_bundle(space, built(space, made, trials=1)["release"])
    folder = write_directory(tmp_path / "device", edge_files(loaded))
    good = {"a": 0.4, "b": 3, "kind": "car", "amount": 3.0}
    odd = [{"b": "30"}, {"b": 30.5}, {"b": True}, {"a": "0.4", "kind": 5}, {"a": 10**400}, {"amount": "3"}]
    lines = ["", "[1]", "{not json", "[" * 100_000, *(json.dumps({**good, **one}) for one in odd)]
    found = said_on_device(folder, "\n".join([json.dumps(good), *lines, " ", json.dumps(good)]) + "\n")

    assert found.returncode == 0, found.stderr
    first, *errors, last = (json.loads(line) for line in found.stdout.splitlines())
    assert first == last
    assert "action" in first
    mend = "; mend it, or leave it out if it is missing"
    assert errors == [
        *({"line": place, "error": "this is not one JSON object in UTF-8"} for place in (3, 4, 5)),
        *({"line": place, "error": f"`b` is not a whole number{mend}"} for place in (6, 7, 8)),
        {"line": 9, "error": f"`a` is not a number; `kind` is not text{mend}"},
        {"line": 10, "error": f"`a` is not a number{mend}"},
        {"line": 11, "error": f"`amount` is not a number{mend}"},
    ]
    checks = RowChecks(loaded.contract.data.decisions.fields, label="label")
    assert [len(checks.violations([{"id": "1", **good, **one}])) for one in odd] == [1, 1, 1, 2, 1, 1]


def test_costs_that_a_device_can_work_out():
    """A number and a multiple of one column, however it is written; anything else is refused by name."""
    assert affine("5").terms == [5.0, 0.0, ""]
    assert affine("-(amount - 4) / 2").terms == [2.0, -0.5, "amount"]
    for text in ("amount * amount", "amount + age", "1 / amount", "log(amount)"):
        with pytest.raises(ReleaseRefused, match="a cost on a device"):
            affine(text)


def test_what_a_device_cannot_judge_is_refused(memory, product, built, now):
    """A device does not know how old its features are: a contract that asks is served, not exported."""
    space, told = memory(), contract()
    told["decision"]["abstain"] = {"most_stale": "1 hour", "then": "ask a person", "cost": 1}
    made = product(told, model=MODEL)
    Door(space, made.contract).take("rows", loans(800, 0), content=b"loans", now=now)
    loaded = load_bundle(space, built(space, made, trials=1)["release"])
    with pytest.raises(ReleaseRefused, match="how old"):
        edge_files(loaded)

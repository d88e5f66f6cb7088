"""A small product behind the API: a hand-made model, a host, a lake in memory."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import CostEntry, CostTerms, FieldTerms, FieldType
from geartrain.domain.data import Batch
from geartrain.domain.prediction import Decision, Outcome
from geartrain.domain.roles import Role
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.errors import SourceUnreadable
from geartrain.ports.delivery_keys import DeliveryKeys
from geartrain.serving.host import OutcomeStatus, ServingHost
from geartrain.serving.journal import LoggedDecision
from geartrain.serving.log import PredictionLog
from geartrain.serving.log_terms import LogLimits
from geartrain.serving.runtime import ColumnWords, Served
from geartrain.stats.onnx_model import OnnxModel
from geartrain.testing.delivery_keys import MemoryDeliveryKeys

CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c"), Task.REGRESSION: ()}


def onnx_bytes(task: Task, *, bias: float = 0.0) -> bytes:
    """A linear model over the columns x and y, made by hand."""
    from onnx import TensorProto, helper

    classes = CLASSES[task]
    width = len(classes) or 1
    weights = np.array([[0.0, 1.0, -1.0][:width], [0.5, 0.0, 0.0][:width]], dtype=np.float32)
    if task is Task.REGRESSION:
        weights = np.array([[2.0], [1.0]], dtype=np.float32)
    biases = np.zeros(width, dtype=np.float32)
    biases[-1] = bias
    name = "probabilities" if classes else "value"
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["product"]),
        helper.make_node("Add", ["product", "biases"], ["score"]),
        helper.make_node("Softmax", ["score"], [name], axis=1)
        if classes
        else helper.make_node("Identity", ["score"], [name]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])],
        [
            helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
            helper.make_tensor("biases", TensorProto.FLOAT, biases.shape, biases),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    told = {"task": task.value, "classes": json.dumps(classes), "columns": json.dumps(["x", "y"])}
    helper.set_model_props(model, told)
    content: bytes = model.SerializeToString()
    return content


def encode(rows: Sequence[Any], at: datetime) -> Any:
    values = [[row["x"], row.get("y") or 0.0] for row in rows]
    return np.array(values, dtype=np.float32).reshape(-1, 2)


def served(
    task: Task = Task.BINARY, *, product: str = "p", release: str = "r1", bias: float = 0.0, **changes: Any
) -> Served:
    classes = CLASSES[task]
    costs = CostTerms(entries=(CostEntry(name="false_negative", action="no", truth="yes", cost="3"),))
    rule = DecisionRule(
        task=task,
        classes=classes,
        actions=classes or ("predict",),
        costs=costs if task is Task.BINARY else CostTerms(),
        fallback=classes[-1] if classes else "predict",
    )
    given: dict[str, Any] = {
        "release": release,
        "product": product,
        "rule": rule,
        "columns": ("x", "y"),
        "predict": OnnxModel(onnx_bytes(task, bias=bias)).predict,
        "encode": encode,
        "fields": (
            FieldTerms(name="id", type=FieldType.STRING),
            FieldTerms(name="x", type=FieldType.NUMBER, required=True, minimum=-100, maximum=100),
            FieldTerms(name="y", type=FieldType.NUMBER),
        ),
        "key": "id",
        "label": "label",
        "positive": "yes",
        "words": (ColumnWords(column="x", label="the x", unit="m", reference=0.0),),
    }
    return Served(**(given | changes))


class World:
    """A host with a lake of lists; its outcomes recorder knows duplicates and corrections."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.lake: dict[str, Sequence[LoggedDecision]] = {}
        self.outcomes: dict[str, str] = {}
        self.rows: list[Any] = []
        self.keys: DeliveryKeys = MemoryDeliveryKeys()
        counter = itertools.count(1)
        self.log = PredictionLog(
            folder,
            lambda batch, records: self.lake.setdefault(batch, records) and None,
            session="s",
            limits=LogLimits(**({"rotate_s": 0.02, "fsync": False} | limits)),
        )
        self.host = ServingHost(
            log=self.log,
            now=lambda: datetime.now(UTC),
            new_id=lambda: f"d-{next(counter)}",
            record_outcomes=self._record,
            take_events=self._events,
            claim_key=lambda product, key, digest: self.keys.claim(
                product, key, digest, now=datetime.now(UTC)
            ),
            find_decisions=self._find,
            promises=lambda _product: [(CLAUSE, None)],
        )

    def logged(self, *, shadow: bool = False) -> list[LoggedDecision]:
        assert self.log.flush(timeout_s=5)
        return [one for batch in self.lake.values() for one in batch if one.shadow is shadow]

    def _find(self, product: str, decisions: Collection[str]) -> dict[str, Decision]:
        made = (one.decision for batch in self.lake.values() for one in batch)
        return {one.id: one for one in made if one.product == product and one.id in decisions}

    def _record(
        self, _product: str, outcomes: Sequence[Outcome], _made: Mapping[str, Decision]
    ) -> list[OutcomeStatus]:
        statuses: list[OutcomeStatus] = []
        for one in outcomes:
            before = self.outcomes.get(one.decision)
            self.outcomes[one.decision] = one.label
            known = OutcomeStatus.DUPLICATE if before == one.label else OutcomeStatus.CORRECTED
            statuses.append(OutcomeStatus.RECORDED if before is None else known)
        return statuses

    def _events(self, product: str, source: str, rows: Sequence[Any], now: datetime) -> Batch:
        if source != "events":
            raise SourceUnreadable("the contract knows no such source", where="source")
        self.rows.extend(rows)
        return Batch(
            id="b1", product=product, source=source, rows=len(rows), accepted=len(rows), quarantined=0,
            duplicates=0, arrived_at=now,
        )  # fmt: skip


CLAUSE = Clause(
    path="success.recall", metric="recall", comparison=Comparison.AT_LEAST, bound=0.9, owner=Role.DOMAIN
)


def main() -> None:
    """A real server process: FOLDER READY_FILE [PAUSE_S [GRPC_PORT]]; every batch of the lake is a file of decision ids."""
    from geartrain.api.app import create_app
    from geartrain.api.server import Listening, serve

    folder, pause_s = Path(sys.argv[1]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    lake = folder / "lake"
    lake.mkdir(exist_ok=True)

    def sink(batch: str, records: Sequence[LoggedDecision]) -> None:
        part = lake / f"{batch}.part"
        part.write_text("\n".join(one.decision.id for one in records))
        part.rename(lake / batch)

    def slow(rows: Sequence[Any], at: datetime) -> Any:
        time.sleep(pause_s)
        return encode(rows, at)

    session = f"{time.time_ns()}"
    counter = itertools.count(1)
    host = ServingHost(
        log=PredictionLog(folder / "journal", sink, session=session, limits=LogLimits(rotate_s=0.05)),
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"{session}-{next(counter)}",
        record_outcomes=lambda _product, outcomes, _made: [OutcomeStatus.RECORDED for _ in outcomes],
    )
    host.swap("p", served(encode=slow))
    grpc_port = int(sys.argv[4]) if len(sys.argv) > 4 else None
    serve(create_app(host), listening=Listening(port=0, grpc_port=grpc_port), ready_file=Path(sys.argv[2]))
    sys.stdout.write("left in peace\n")


if __name__ == "__main__":
    main()

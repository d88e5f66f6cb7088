"""The product served by geartrain: `python ours.py MODELS READY_FILE [echo]`.

Everything that a real decision goes through is there: row checks, features read from an
online state, the rule with its costs, decision ids, the prediction log on the disk.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from world import COLUMNS


def build(models: Path, folder: Path, *, window_s: float = 0.0):
    """A host with one live release."""
    from geartrain.domain.contract import CostEntry, CostTerms, FieldTerms, FieldType
    from geartrain.domain.features import Encoding, FeatureSet, RequestFeature
    from geartrain.domain.rule import DecisionRule
    from geartrain.domain.task import Task
    from geartrain.engine.hosting import online_encode
    from geartrain.features.online import OnlineFeatures
    from geartrain.serving.host import OutcomeStatus, ServingHost
    from geartrain.serving.log import PredictionLog
    from geartrain.serving.log_terms import LogLimits
    from geartrain.serving.runtime import Served
    from geartrain.stats.onnx_model import OnnxModel

    features = FeatureSet(features=tuple(RequestFeature(name=name, expression=name) for name in COLUMNS))
    model = OnnxModel((models / "model.onnx").read_bytes())
    served = Served(
        release="r1",
        product="p",
        rule=DecisionRule(
            task=Task.BINARY,
            classes=("no", "yes"),
            actions=("no", "yes"),
            costs=CostTerms(entries=(CostEntry(name="false_negative", action="no", truth="yes", cost="5"),)),
            fallback="yes",
        ),
        columns=COLUMNS,
        predict=model.predict,
        encode=online_encode(OnlineFeatures(features), Encoding(feature_set=features, columns=COLUMNS)),
        fields=tuple(FieldTerms(name=name, type=FieldType.NUMBER) for name in COLUMNS),
        label="label",
        positive="yes",
    )
    session = str(time.time_ns())
    counter = itertools.count()
    host = ServingHost(
        log=PredictionLog(
            folder / "journal",
            lambda _batch, _records: None,
            session=session,
            limits=LogLimits(window_s=window_s),
        ),
        now=lambda: datetime.now(UTC),
        new_id=lambda: f"{session}-{next(counter)}",
        record_outcomes=lambda _product, outcomes, _made: [OutcomeStatus.RECORDED for _ in outcomes],
    )
    host.swap("p", served)
    return host


def main() -> None:
    models, ready = Path(sys.argv[1]), Path(sys.argv[2])
    from geartrain.api.app import create_app
    from geartrain.api.server import serve

    with tempfile.TemporaryDirectory() as folder:
        host = build(models, Path(folder), window_s=1.0 if "fast" in sys.argv else 0.0)
        if "swap" in sys.argv:
            threading.Thread(target=_swapping, args=(host,), daemon=True).start()
        serve(create_app(host), port=0, ready_file=ready)


def _swapping(host) -> None:
    """Promote the same model under another name, twice a second."""
    for number in itertools.count(2):
        time.sleep(0.5)
        host.swap("p", dataclasses.replace(host.lane("p").champion, release=f"r{number}"))


if __name__ == "__main__":
    main()

"""The last lesson of a retraining: the judged settings, fitted on every labelled row.

Pools that respect time and label delay leave the newest weeks to the judges, so the model
that they judge knows an older world than the one it will meet. A retrained candidate is
therefore fitted once more, on all labelled rows, with the settings and the threshold that
were judged. Its sealed evidence is about those settings; about the very bytes it is the
paired test on live traffic, without which no retrained release is promoted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from geartrain.compression.export import to_onnx
from geartrain.compression.measuring import measure
from geartrain.compression.quantizing import Format, reformatted
from geartrain.domain.digest import digest_bytes
from geartrain.domain.events import ModelTrained
from geartrain.domain.model import ModelVersion, Speed
from geartrain.domain.wire import decode, encode
from geartrain.engine.bench import Bench, Builder, Document
from geartrain.engine.mitigated import model_of_run
from geartrain.engine.shaping import TIMED_ROWS

#: What the variant of a model that was fitted again is called.
REFIT = "refit"


def refit(builder: Builder, document: Document, bench: Bench) -> tuple[Document, Speed]:
    """Fit on all labelled rows; what replaces the judged model in the run's document, and its speed."""
    now, blobs = datetime.fromisoformat(document["now"]), builder.workspace.blobs
    known = bench.truth >= 0 if bench.classes else np.isfinite(bench.truth)
    places = np.flatnonzero(known).astype(np.int64)
    examples = bench.taken(places)
    fitted = model_of_run(
        builder.contract,
        document,
        builder.product.recipe,
        {**document["settings"], **document["changes"]},
        examples,
        bench.rule,
        monotone=bench.monotone,
        unlabelled=bench.unlabelled,
    )
    form = Format(document.get("format", Format.FLOAT32))
    content = reformatted(to_onnx(fitted, bench.encoding.columns), form, examples.matrix)
    judged = decode(blobs.get(document["model_noun"]), ModelVersion)
    model = replace(
        judged,
        params=fitted.params,
        artifact=digest_bytes(content),
        variant=f"{judged.variant}+{REFIT}" if judged.variant else REFIT,
    )
    builder.workspace.record_once(model.product, [ModelTrained(id=model.id, model=model)], now=now)
    speed = measure(content, examples.matrix[-TIMED_ROWS:], clock=builder.clock_ns, repeats=builder.timings)
    replaced: Document = {
        "model": model.id,
        "model_noun": blobs.put(encode(model)),
        "onnx": blobs.put(content),
        "native": blobs.put(fitted.text.encode()) if fitted.text else None,
    }
    builder.teller.say(
        f"fitted again on all {len(places):,} labelled rows with the settings that were judged"
    )
    return replaced, speed

"""Rows with a known truth that a release had not learned from: kept when it was judged, read by the monitor alone.

They are the sealed rows. What is computed from them is an estimate about live decisions, never an
answer about a candidate, so no search gets to see them through it and no look at them is spent.
The model that is released may have been fitted once more on these very rows, and would be surer about
them than about new ones: kept is what the model said that was judged on them.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.contract import Contract
from geartrain.domain.prediction import Predictions
from geartrain.engine.bench import Document
from geartrain.engine.rows import Rows, data_of, frame_bytes, frame_from
from geartrain.engine.workspace import Workspace
from geartrain.features.encoding import encode
from geartrain.monitoring.adapting import Reference
from geartrain.release.bundle_nouns import Loaded

#: What the run's document calls them.
NAME = "reference"
#: So many are kept, drawn at random.
MOST_ROWS = 20_000
WHENCE = "sealed rows"
_TRUTH, _SAID, _VALUE = "_truth", "_said:", "value:"


def keep_reference(
    workspace: Workspace,
    contract: Contract,
    rows: Rows,
    answers: Predictions,
    truth: NDArray[np.int64],
    *,
    seed: int,
) -> str:
    """Keep judged rows with what was answered about them; the name of the blob.

    The key stands beside each row, so that erasing a person finds the frame.
    """
    places = np.arange(len(rows))
    if len(places) > MOST_ROWS:
        places = np.sort(np.random.default_rng(seed).choice(places, MOST_ROWS, replace=False))
    taken = rows.take(places)
    said = {f"{_SAID}{name}": answers.values[places, k] for k, name in enumerate(answers.classes)}
    values = taken.features.rename({name: _VALUE + name for name in taken.features.columns})
    key = data_of(contract).decisions.key
    frame = pl.DataFrame([taken.raw.get_column(key), *pl.DataFrame({_TRUTH: truth[places], **said}), *values])
    return workspace.blobs.put(frame_bytes(frame))


def kept_reference(workspace: Workspace, loaded: Loaded, document: Document | None) -> Reference | str:
    """The reference rows of a release, or why there are none; *document* is of the run that made it."""
    if document is None:
        return "this release was made elsewhere: its sealed rows are not here"
    name = document.get(NAME)
    if name is None:
        return "this release was judged before reference rows were kept"
    if not workspace.blobs.has(name):
        return "the sealed rows of this release were erased"
    frame = frame_from(workspace.blobs.get(name))
    values = [one for one in frame.columns if one.startswith(_VALUE)]
    features = frame.select(values).rename({one: one.removeprefix(_VALUE) for one in values})
    return Reference(
        matrix=encode(loaded.encoding, features),
        probabilities=frame.select(f"{_SAID}{name}" for name in loaded.rule.classes).to_numpy(),
        truth=frame[_TRUTH].to_numpy(),
        whence=WHENCE,
    )

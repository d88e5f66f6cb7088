"""What the model of a release saw, from the log of its decisions."""

from __future__ import annotations

import polars as pl

from geartrain.engine.decided import features_of
from geartrain.features.encoding import encode
from geartrain.release.bundle_nouns import Loaded
from geartrain.serving.runtime import Matrix

#: So many missing features are named.
_MOST_NAMED = 3


def matrix_seen(loaded: Loaded, log: pl.DataFrame) -> Matrix | str:
    """The rows of *log* as *loaded*'s model reads them, shape (rows, columns); or why the log does not tell."""
    if missing := not_logged(loaded, log):
        return missing
    return encode(loaded.encoding, features_of(log))


def not_logged(loaded: Loaded, log: pl.DataFrame) -> str:
    """Which features of *loaded* the log does not hold, in words; empty where it holds them all."""
    held = set(features_of(log.clear()).columns)
    missing = sorted({one.name for one in loaded.encoding.feature_set.features} - held)
    if not missing:
        return ""
    return f"the log does not hold what the model read: {', '.join(missing[:_MOST_NAMED])}"

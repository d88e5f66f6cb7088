"""The published attacks on a held-out set, small: the benchmark's own functions over a few worlds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "holdout" / "experiments.py"


@pytest.fixture(scope="module")
def experiments():
    """The benchmark's module."""
    spec = importlib.util.spec_from_file_location("holdout_experiments", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_no_signal_is_not_reported_as_signal(experiments):
    """Coin-flip labels: reusing the held rows reports about .60; Thresholdout and rows opened once stay at a half."""
    worlds = [experiments.no_signal(rows=1000, features=1000, kept=300, seed=seed) for seed in range(8)]
    noise = 0.5 / np.sqrt(1000)
    assert np.mean([one.naive for one in worlds]) > 0.59
    assert np.mean([one.thresholdout for one in worlds]) < 0.5 + noise
    assert np.mean([one.sealed for one in worlds]) == pytest.approx(0.5, abs=noise)


def test_the_ladder_does_not_follow_the_boosting_attack(experiments):
    """400 coin flips on 2000 rows: told everything, the majority errs on .40; told by the Ladder it stays near a half."""
    worlds = [experiments.boosting(rows=2000, tries=400, seed=seed) for seed in range(6)]
    assert np.mean([one.naive for one in worlds]) == pytest.approx(0.399, abs=0.012)
    assert np.mean([one.ladder for one in worlds]) > 0.47
    assert np.mean([one.shown for one in worlds]) > 0.46
    assert np.mean([one.naive_private for one in worlds]) == pytest.approx(0.5, abs=0.012)

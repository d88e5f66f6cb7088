"""What one command leaves for the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from geartrain.engine.plans import BUILD, COMPRESS, PROPOSE, TRAIN
from geartrain.engine.runs import begin_run, begun_run, end_run, latest_run, remember_run, run_of_release
from geartrain.errors import ReleaseRefused


def test_a_later_stage_goes_on_with_the_one_before_it(tmp_path: Path) -> None:
    """Each stage's latest document is found again, and a new one makes what came after it stale."""
    remember_run(tmp_path, "p", TRAIN, {"trial": "a"})
    remember_run(tmp_path, "p", COMPRESS, {"trial": "a", "model": "m"})
    assert latest_run(tmp_path, "p", COMPRESS) == {"trial": "a", "model": "m"}

    remember_run(tmp_path, "p", TRAIN, {"trial": "b"})

    assert latest_run(tmp_path, "p", TRAIN) == {"trial": "b"}
    with pytest.raises(ReleaseRefused, match="nothing to go on with"):
        latest_run(tmp_path, "p", COMPRESS)


def test_every_release_keeps_the_document_of_its_run(tmp_path: Path) -> None:
    """The live release's run is found although others ran since."""
    remember_run(tmp_path, "p", BUILD, {"release": "r1"})
    remember_run(tmp_path, "p", BUILD, {"release": "r2"})

    assert run_of_release(tmp_path, "p", "r1") == {"release": "r1"}
    assert run_of_release(tmp_path, "p", "r3") is None
    assert latest_run(tmp_path, "p", PROPOSE) == {"release": "r2"}


def test_what_was_begun_is_known_until_it_ends(tmp_path: Path) -> None:
    """A killed command finds its order again; one that ended does not."""
    begin_run(tmp_path, "p", TRAIN, "train-p-1", {"seed": 0})
    assert begun_run(tmp_path, "p", TRAIN) == ("train-p-1", {"seed": 0})

    remember_run(tmp_path, "p", TRAIN, {"trial": "a"})
    assert begun_run(tmp_path, "p", TRAIN) is None

    begin_run(tmp_path, "p", TRAIN, "train-p-2", {"seed": 1})
    end_run(tmp_path, "p", TRAIN)
    assert begun_run(tmp_path, "p", TRAIN) is None

"""What every test run shares."""

from __future__ import annotations

import os

# Read when a library is loaded, so before any is. A worker has a core to itself: on small matrices
# two BLAS threads mostly wait for each other, three times as long when the other core is busy.
for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# How long an example takes says nothing about a law, on a machine that others use least of all. Where
# a run decides whether work may land it must give the same answer twice; everywhere else Hypothesis
# looks at new examples each time.
settings.register_profile("patient", deadline=None)
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady" if os.environ.get("CI") else "patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test come first: begun last, one of them would leave the other workers idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)

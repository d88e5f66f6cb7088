"""The contracts that the room's tests read, and a way to change a line of one."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def complete() -> str:
    """A contract that says everything that can be said."""
    return (HERE / "complete.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def short() -> str:
    """The least that a contract may say."""
    return """\
product: {name: coin, title: Coins, problem: which ones are false}
decision: {task: binary, unit: a coin, label: false_coin, positive: 1, negative: 0}
team: {product: [Ann]}
"""

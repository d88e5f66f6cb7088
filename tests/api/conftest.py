from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from geartrain.api.app import create_app
from geartrain.domain.task import Task

WORLD = Path(__file__).with_name("serving_world.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_serving_world", WORLD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


world_module = _load()


@pytest.fixture
def make_served() -> Callable[..., Any]:
    return world_module.served


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Any]:
    built = world_module.World(tmp_path / "journal")
    for task, product in ((Task.BINARY, "p"), (Task.MULTICLASS, "m"), (Task.REGRESSION, "n")):
        built.host.swap(product, world_module.served(task, product=product))
    yield built
    built.host.close()


@pytest.fixture
def make_world() -> Callable[..., Any]:
    return world_module.World


@pytest.fixture
def talk() -> Callable[..., Any]:
    """Run a conversation with an app (or a host) in its own event loop and give back what it returns."""

    def run(target: Any, conversation: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            app = target if callable(target) else create_app(target.host)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await conversation(client)

        return asyncio.run(main())

    return run


@pytest.fixture
def world_script() -> Path:
    return WORLD


@pytest.fixture
def run_server(tmp_path: Path) -> Callable[..., AbstractContextManager[tuple[subprocess.Popen[str], str]]]:
    """Run a real server in a process of its own, with the script's further arguments: process and URL."""

    @contextmanager
    def run(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
        ready = tmp_path / "ready"
        process = subprocess.Popen(
            [sys.executable, str(WORLD), str(tmp_path), str(ready), *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            deadline = time.monotonic() + 30
            while not ready.exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
            yield process, ready.read_text()
        finally:
            process.terminate()
            process.communicate(timeout=30)

    return run

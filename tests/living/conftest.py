"""One shop is built once; each test gets a copy of its own."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from geartrain.engine.folders import remember_folder
from geartrain.engine.living import Living
from geartrain.engine.products import Product, load_product
from geartrain.engine.workspace import Workspace
from geartrain.wiring import Settings, build_host, open_workspace


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("living_shop", Path(__file__).with_name("shop.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


shop = _load()


@dataclass
class Shop:
    root: Path
    folder: Path
    first: str
    second: str

    def workspace(self) -> Workspace:
        return open_workspace(Settings(root=self.root))

    @property
    def product(self) -> Product:
        return load_product(self.folder)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    base = tmp_path_factory.mktemp("built")
    first, second = shop.make_shop(base / "space", base / "shop", shop.GUARDED)
    assert first != second
    return Shop(root=base / "space", folder=base / "shop", first=first, second=second)


@pytest.fixture
def the_shop(built, tmp_path):
    root, folder = tmp_path / "space", tmp_path / "shop"
    shutil.copytree(built.root, root)
    shutil.copytree(built.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    remember_folder(root, shop.NAME, folder)
    return Shop(root=root, folder=folder, first=built.first, second=built.second)


@pytest.fixture
def complaints():
    return []


@pytest.fixture
def living(the_shop, complaints):
    made: Living = build_host(Settings(root=the_shop.root), tell=complaints.append)
    made.begin()
    yield made
    made.end()

import importlib.util
import os
import socket
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from geartrain.engine import building
from geartrain.engine.bench import Builder
from geartrain.engine.products import load_product
from geartrain.engine.proposing import adopt
from geartrain.engine.workspace import Workspace
from geartrain.release.keys import new_key
from geartrain.testing.blobs import MemoryBlobs
from geartrain.testing.lake import MemoryLake
from geartrain.testing.ledger import MemoryLedger
from geartrain.testing.notifier import MemoryNotifier

POSTGRES = os.environ.get("GEARTRAIN_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1/test")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEAM = {"product": ["Ann"], "domain": ["Bo"], "engineering": ["Cleo"], "science": ["Dev"]}

#: Ten small trees: what a step does is under test, not how well it learns.
QUICK_MODEL = """
from geartrain.training.recipe import integer, recipe

model = recipe(
    "lightgbm",
    search={"num_leaves": integer(3, 5)},
    fixed={"n_estimators": 10},
    calibrate="CALIBRATE",
)
"""


@pytest.fixture
def now():
    """A fixed time."""
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def memory(tmp_path):
    """A function that makes workspaces whose stores are in memory."""

    def make(name="workspace"):
        key = new_key()
        return Workspace(
            root=tmp_path / name,
            ledger=MemoryLedger(),
            lake=MemoryLake(),
            blobs=MemoryBlobs(),
            notifier=MemoryNotifier(),
            signing_key=lambda: key,
        )

    return make


@pytest.fixture
def product(tmp_path):
    """A function that writes a product's folder and loads it."""

    def make(document, *, name="product", calibrate="sigmoid", model=QUICK_MODEL):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        contract = {"geartrain": 1, "team": TEAM, "release": {"sign": list(TEAM)}, **document}
        (folder / "product.yaml").write_text(yaml.safe_dump(contract, sort_keys=False), encoding="utf-8")
        (folder / "model.py").write_text(model.replace("CALIBRATE", calibrate), encoding="utf-8")
        return load_product(folder)

    return make


@pytest.fixture
def built(now):
    """A function that runs the whole build plan and answers its document."""

    def run(workspace, made, *, seed=3, trials=2, at=now, workflows=None):
        from geartrain.adapters.workflows import MemoryWorkflows

        adopt(workspace, made, now=at, actor="Ann")
        builder = Builder(workspace=workspace, product=made, clock_ns=time.perf_counter_ns, timings=30)
        plans = {"build": lambda steps, ordered: building.build(builder, steps, ordered)}
        ordered = building.order(made, now=at, seed=seed, trials=trials)
        runner = workflows or MemoryWorkflows(plans)
        return runner.run(building.run_id("build", ordered), "build", ordered)

    return run


@pytest.fixture(scope="session")
def example_data():
    """A function that loads an example's `data.py`."""

    def load(name):
        spec = importlib.util.spec_from_file_location(
            f"data_of_{name.replace('-', '_')}", EXAMPLES / name / "data.py"
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


def _postgres_answers():
    try:
        with socket.create_connection(("127.0.0.1", 5432), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def database():
    """A database of our own on the local PostgreSQL server, gone afterwards."""
    if not _postgres_answers():
        pytest.skip("no PostgreSQL server answers on 127.0.0.1:5432")
    import sqlalchemy as sa

    name = f"geartrain_killed_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    except sa.exc.SQLAlchemyError as error:
        pytest.skip(f"the PostgreSQL server lets nobody make a database: {error}")
    yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()

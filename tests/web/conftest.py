"""A room over a shop that was built once: each test gets a copy of its own, with an account for each of the team."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from starlette.testclient import TestClient

from geartrain.domain.accounts import Account
from geartrain.engine import counting
from geartrain.engine.folders import remember_folder
from geartrain.engine.products import load_product
from geartrain.testing.accounts import MemoryAccounts
from geartrain.web.app import create_room
from geartrain.web.room import Room, RoomSettings
from geartrain.web.secrets import hashed
from geartrain.wiring import Settings, open_workspace

PASSWORD = "a plain long sentence"
NAME = "http://127.0.0.1"
EVERYBODY_SIGNS = "sign: [product, domain, engineering, science]"


def _load() -> ModuleType:
    place = Path(__file__).parents[1] / "living" / "shop.py"
    spec = importlib.util.spec_from_file_location("room_shop", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


shop = _load()


@pytest.fixture(autouse=True)
def counts_are_waited_for(monkeypatch):
    """Most tests ask what a count says, not what is shown while it is being made."""
    monkeypatch.setattr(counting, "WAIT_S", 60.0)


@pytest.fixture(scope="session")
def hash_of_all():
    """One Argon2 hash for everybody: it is made to be slow."""
    return hashed(PASSWORD)


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory):
    """The folders of a workspace and a product with two releases."""
    base = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop, "CONTRACT", shop.CONTRACT.replace("sign: [science]", EVERYBODY_SIGNS))
        shop.make_shop(base / "space", base / "shop")
    return base


class Team:
    """The shop's room, and browsers for the people in it."""

    def __init__(self, root: Path, folder: Path, password_hash: str) -> None:
        remember_folder(root, load_product(folder).name, folder)
        self.root, self.folder = root, folder
        self.now = datetime(2026, 6, 1, 12, tzinfo=UTC)
        secrets = (f"secret-{number:03d}-of-this-test" for number in itertools.count())
        self.accounts = MemoryAccounts()
        self.workspace = open_workspace(Settings(root=root))
        self.room = Room(
            workspace=self.workspace,
            accounts=self.accounts,
            now=self._tick,
            secret=lambda: next(secrets),
            first_code="the-first-code",
            settings=RoomSettings(),
        )
        self.app = create_room(self.room)
        self.product = load_product(folder)
        self.contract = self.product.contract
        for number, person in enumerate(sorted({one for _, people in self.contract.team for one in people})):
            self.accounts.add(
                Account(person=person, password=password_hash, keeper=number == 0, opened_at=self.now)
            )
        self.accounts.add(
            Account(person="Visitor Vera", password=password_hash, keeper=False, opened_at=self.now)
        )

    def _tick(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def holder(self, role: str) -> str:
        """The first holder of a role."""
        return next(people[0] for one, people in self.contract.team if one == role)

    def browser(self) -> Browser:
        """A browser that nobody has signed in with."""
        return Browser(self)

    def signed_in(self, person: str) -> Browser:
        """A browser in which *person* is signed in."""
        made = self.browser()
        answer = made.enter(person)
        assert answer.status_code == 303, answer.text
        return made


class Browser:
    """What a person does: open pages, fill in forms as the page gave them."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.client = TestClient(team.app, base_url=NAME, follow_redirects=False)

    def get(self, path: str, **more):
        return self.client.get(path, **more)

    def page(self, path: str) -> str:
        """The page's HTML; it must be there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:400])
        return answer.text

    def twin(self, path: str):
        """The page's JSON twin."""
        name, _, query = path.partition("?")
        address = "/index.json" if name == "/" else f"{name}.json"
        answer = self.client.get(f"{address}?{query}" if query else address)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:400])
        return answer.json()

    def enter(self, person: str, password: str = PASSWORD, to: str = "/"):
        proof = proof_in(self.client.get("/enter").text)
        return self.send("/enter", proof=proof, person=person, password=password, to=to)

    def send(self, path: str, /, **fields: str):
        """Send a form as it is."""
        return self.client.post(path, data=fields)

    def act(self, path: str, /, *, seen_on: str = "/people", **fields: str):
        """Send a form with the proof that stands on the page *seen_on*."""
        return self.client.post(path, data={"proof": proof_in(self.page(seen_on)), **fields})

    def said(self) -> str:
        """What the last action said, read from the page it led to."""
        import base64
        import json

        return json.loads(base64.urlsafe_b64decode(self.client.cookies["geartrain-said"].strip('"')))[1]


def proof_in(page: str) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', page)
    assert found is not None, page[:400]
    return found.group(1)


@pytest.fixture
def team(built_shop, hash_of_all, tmp_path):
    """The shop's room with everybody's account; the product's own copy."""
    root, folder = tmp_path / "space", tmp_path / "shop"
    shutil.copytree(built_shop / "space", root)
    shutil.copytree(built_shop / "shop", folder)
    return Team(root, folder, hash_of_all)

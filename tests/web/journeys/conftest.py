"""People in real browsers: headless Chromium, a room that listens on a port of its own, and nothing else in the world.

Whatever a page asks for that is not this room's is stopped and fails the test, as does an error
in a script, a violation of the policy, and an answer that is a bug of ours.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import uvicorn

from geartrain.domain.accounts import Session
from geartrain.engine.products import load_product
from geartrain.engine.signing import waive_unproven
from geartrain.web.secrets import digest_of
from geartrain.wiring import Settings, open_workspace

from ..conftest import Team, shop

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-gpu",
    "--no-first-run",
)
_PATIENCE_MS = 10_000


@pytest.fixture(scope="package")
def chromium():
    """One browser for all journeys of a worker.

    Not for the whole session: while Playwright runs, its event loop is this thread's.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(_NAMES)}")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's package is not installed")
    # Chromium's own sandbox wants a user that is not root.
    flags = [*_QUIET, *(("--no-sandbox",) if os.geteuid() == 0 else ())]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


class House:
    """The team's room at an address, and the browsers of the people in it."""

    def __init__(self, team, chromium):
        self.team, self.faults = team, []
        self._chromium, self._contexts = chromium, []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        config = uvicorn.Config(team.app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        run = self._server.run
        self._thread = threading.Thread(target=run, kwargs={"sockets": [self._listening]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def end(self):
        for context in self._contexts:
            context.close()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5)
        self._listening.close()

    def arrive(self, person=None, **how):
        """A page in a browser of its own, in which *person* is signed in; nobody where none is named."""
        context = self._chromium.new_context(base_url=self.url, service_workers="block", **how)
        context.set_default_timeout(_PATIENCE_MS)
        self._contexts.append(context)
        if person is not None:
            context.add_cookies(
                [{"name": "geartrain-session", "value": self._begin(person), "url": self.url}]
            )
        context.route("**/*", self._at_home)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"error in a script: {error}"))
        page.on("console", self._heard)
        page.on("response", self._answered)
        return page

    def _begin(self, person):
        secret, now = self.team.room.secret(), self.team.now
        self.team.accounts.add_session(
            Session(
                digest=digest_of(secret), person=person, proof=self.team.room.secret(), began_at=now,
                expires_at=now + timedelta(hours=12),
            )
        )  # fmt: skip
        return secret

    def _at_home(self, route):
        asked = urlsplit(route.request.url)
        if f"{asked.scheme}://{asked.netloc}" == self.url or asked.scheme in {"data", "blob"}:
            route.continue_()
        else:
            self.faults.append(f"a request that leaves the machine: {route.request.url}")
            route.abort()

    def _heard(self, message):
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"said on the console: {message.text}")

    def _answered(self, response):
        if response.status >= 500:
            self.faults.append(f"{response.status} at {response.url}")


@pytest.fixture
def open_house(chromium):
    """Opens a team's room; at its end nothing may have gone wrong unseen."""
    opened = []

    def open_(team):
        opened.append(House(team, chromium))
        return opened[-1]

    yield open_
    for house in opened:
        house.end()
    assert [fault for house in opened for fault in house.faults] == []


@pytest.fixture
def house(team, open_house):
    """The room in which the journey takes place."""
    return open_house(team)


@pytest.fixture(scope="session")
def shop_with_a_candidate(built_shop, tmp_path_factory):
    """The shop with a third release that nobody has signed yet; the folder and the release."""
    base = tmp_path_factory.mktemp("waiting")
    for name in ("space", "shop"):
        shutil.copytree(built_shop / name, base / name)
    space = open_workspace(Settings(root=base / "space"))
    product = load_product(base / "shop")
    release = shop.candidate(space, product, seed=3)
    waive_unproven(space, product.contract, release, now=shop.NOW + timedelta(hours=1))
    space.ledger.close()
    return base, release


@pytest.fixture
def waiting(shop_with_a_candidate, hash_of_all, tmp_path):
    """A team of its own, in whose room a release waits for four signatures; the team and the release."""
    base, release = shop_with_a_candidate
    for name in ("space", "shop"):
        shutil.copytree(base / name, tmp_path / "waiting" / name)
    return Team(tmp_path / "waiting" / "space", tmp_path / "waiting" / "shop", hash_of_all), release

"""Take the pictures of docs/room.md from a workspace, such as the one that `geartrain demo` makes.

python tools/room_pictures.py geartrain-demo/.geartrain card-fraud docs/pictures
python tools/room_pictures.py loans/.geartrain loan-decision docs/pictures fairness  # only this one
python tools/room_pictures.py geartrain-demo/.geartrain card-fraud /tmp/all --all  # every page, four ways
python tools/room_pictures.py geartrain-demo/.geartrain card-fraud docs/pictures --at=2026-05-17T12:00  # as it was then

Needs Chromium and the development packages.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from geartrain.domain.accounts import Account, Session
from geartrain.engine.adopted import contract_in_force
from geartrain.engine.incidents import cases
from geartrain.engine.release_words import live_reading
from geartrain.engine.workspace import Workspace
from geartrain.testing.accounts import MemoryAccounts
from geartrain.web.app import create_room
from geartrain.web.room import Room
from geartrain.web.secrets import digest_of
from geartrain.wiring import Settings, open_workspace

#: What the documentation shows: name, address below the product, width, theme.
SHOWN = (
    ("promise", "promise", 1280, "light"),
    ("promise-phone", "promise", 390, "dark"),
    ("over-time", "over-time", 1280, "light"),
    ("release", "releases/{release}", 1280, "light"),
    ("review", "review", 1280, "dark"),
    ("review-phone", "review", 390, "light"),
    ("features", "features", 1280, "light"),
    ("fairness", "fairness", 1280, "dark"),
    ("incidents", "incidents", 1280, "light"),
    ("ledger", "ledger", 1280, "light"),
    ("feeds", "feeds", 1280, "dark"),
)
#: So much of a page is shown in the documentation; the whole of it where all are taken.
HEIGHTS = {1280: 1100, 390: 844}
#: What needs more room to be understood.
TALLER = {"over-time": 1500}
CHAPTERS = ("promise", "promise/propose", "promise/proposals", "over-time", "releases", "releases/{release}",
            "releases/{first}", "review", "features", "features/{feature}", "fairness", "incidents",
            "incidents/{incident}", "ledger", "feeds", "feeds/{source}")  # fmt: skip
#: So long a page is waited for whose figures are being counted.
PATIENCE_MS = 60_000


def main() -> None:
    """Open the room and take the pictures."""
    root, product, into = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    into.mkdir(parents=True, exist_ok=True)
    space = open_workspace(Settings(root=root))
    whole = "--all" in sys.argv
    only = [one for one in sys.argv[4:] if not one.startswith("--")]
    wanted = (
        tuple((f"{page}-{width}-{theme}", page, width, theme) for page in CHAPTERS
              if not only or page in only for width in HEIGHTS for theme in ("light", "dark"))
        if whole else tuple(one for one in SHOWN if not only or one[0] in only)
    )  # fmt: skip
    names = _names(space, product)
    at = next((one.removeprefix("--at=") for one in sys.argv if one.startswith("--at=")), "")
    url = _served(space, product, at=at)
    program = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, page, width, theme in wanted:
            if not all(names[part] for part in names if f"{{{part}}}" in page):
                continue
            shown = f"{url}/products/{product}/{page.format(**names)}"
            file = into / f"room-{name.replace('/', '_').replace('{', '').replace('}', '')}.png"
            _taken(
                browser,
                url,
                shown,
                file,
                width=width,
                height=TALLER.get(name, HEIGHTS[width]),
                theme=theme,
                whole=whole,
            )
        browser.close()


def _taken(
    browser: Browser, url: str, at: str, file: Path, *, width: int, height: int, theme: str, whole: bool
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
    )
    context.add_cookies([{"name": "geartrain-session", "value": "pictures", "url": url}])
    page = context.new_page()
    answer = page.goto(at)
    page.wait_for_selector("main [data-renew]", state="detached", timeout=PATIENCE_MS)
    wide = page.evaluate("document.documentElement.scrollWidth")
    sys.stdout.write(
        f"{file.name}: {answer.status if answer else '?'}{' TOO WIDE' if wide > width else ''}\n"
    )
    page.screenshot(path=file, full_page=whole)
    context.close()


def _names(space: Workspace, product: str) -> dict[str, str]:
    """What stands for the parts of an address: the live release and the first, an incident, a feature, a feed."""
    state, contract = space.releases(product), contract_in_force(space, product)
    reading, found = live_reading(space, product), cases(space.history(product))
    return {
        "release": state.champion or "",
        "first": state.records[0].id if state.records else "",
        "incident": found[0].incident.id if found else "",
        "feature": reading.features[0] if reading else "",
        "source": contract.data.decisions.name if contract and contract.data else "",
    }


def _served(space: Workspace, product: str, *, at: str = "") -> str:
    """Serve the room to this process alone, with the product owner signed in; its address."""
    contract = contract_in_force(space, product)
    people = [person for _, named in contract.team for person in named] if contract else []
    now = datetime.fromisoformat(at).replace(tzinfo=UTC) if at else datetime.now(UTC)
    accounts = MemoryAccounts()
    for person in dict.fromkeys(people):
        accounts.add(Account(person=person, password="", keeper=True, opened_at=now))
    ends = now + timedelta(hours=1)
    accounts.add_session(
        Session(digest=digest_of("pictures"), person=people[0], proof="p", began_at=now, expires_at=ends)
    )
    room = Room(
        workspace=space,
        accounts=accounts,
        now=lambda: now,
        secret=lambda: secrets.token_urlsafe(32),
        first_code="",
    )
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_room(room), log_level="error", lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


if __name__ == "__main__":
    main()

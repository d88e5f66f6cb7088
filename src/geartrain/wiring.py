"""The composition root: settings to adapters to engine; the one place that knows everything."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from geartrain.errors import SettingInvalid, WorkspaceBusy, WorkspaceMissing

if TYPE_CHECKING:
    from geartrain.engine.live_state import OpenShared
    from geartrain.engine.living import Living
    from geartrain.engine.workspace import Workspace
    from geartrain.ports.accounts import Accounts
    from geartrain.ports.bus import Bus
    from geartrain.ports.delivery_keys import DeliveryKeys
    from geartrain.ports.notifier import Notifier
    from geartrain.ports.online_store import Snapshots
    from geartrain.ports.workflow import Plan, Workflows
    from geartrain.serving.log_terms import LogLimits

#: The folder inside a team's folder that holds everything geartrain keeps there.
FOLDER = ".geartrain"
#: The workspace's own private key, within its folder.
SIGNING_KEY = "signing.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a workspace keeps its things; flags win over the environment, it over the defaults.

    Attributes:
        root: The workspace's folder.
        database_url: Ledger and workflows in PostgreSQL; None keeps both in SQLite files.
        bus_url: `kafka://host:port,...` or `sqlite:///path`: where a server reads events from;
            None is `bus.db` of the workspace, once somebody publishes there.
        online_url: `redis://host:port/db`: online features that replicas share; None keeps them in each process.
        webhook: Incidents are posted there, signed with `webhook_secret` where it is set.
        mail: Incidents are mailed through this server, to the people in `mail_people`.
    """

    root: Path
    database_url: str | None = None
    bus_url: str | None = None
    online_url: str | None = None
    webhook: str | None = None
    webhook_secret: str = field(default="", repr=False)
    mail: str | None = field(default=None, repr=False)
    mail_from: str = "geartrain@localhost"
    mail_people: str = ""


def settings_of(environ: Mapping[str, str], *, workspace: Path | None = None) -> Settings:
    """Read the settings; without any, the workspace is `.geartrain` here or in a folder above.

    Raises:
        SettingInvalid: A setting cannot be used.
    """
    told = workspace or (Path(environ["GEARTRAIN_WORKSPACE"]) if environ.get("GEARTRAIN_WORKSPACE") else None)
    url = environ.get("GEARTRAIN_DATABASE_URL") or None
    if url is not None and not url.startswith(("postgresql", "sqlite")):
        raise SettingInvalid(
            "GEARTRAIN_DATABASE_URL names a database that is not known here",
            found=url.split("://", maxsplit=1)[0],
            hint="postgresql+psycopg://user@host/name, or leave it out for SQLite files",
        )
    return Settings(
        root=told.resolve() if told else _nearest(Path.cwd()) / FOLDER,
        database_url=url,
        webhook=environ.get("GEARTRAIN_WEBHOOK_URL") or None,
        webhook_secret=environ.get("GEARTRAIN_WEBHOOK_SECRET", ""),
        mail=environ.get("GEARTRAIN_MAIL_URL") or None,
        mail_from=environ.get("GEARTRAIN_MAIL_FROM") or "geartrain@localhost",
        mail_people=environ.get("GEARTRAIN_MAIL_PEOPLE", ""),
        bus_url=_known_url(environ, "GEARTRAIN_BUS_URL", ("kafka://", "sqlite:///")),
        online_url=_known_url(environ, "GEARTRAIN_ONLINE_URL", ("redis://", "rediss://", "unix://")),
    )


def _known_url(environ: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    url = environ.get(name) or None
    if url is not None and not url.startswith(known):
        raise SettingInvalid(
            f"{name} names something that is not known here",
            found=url.split("://", maxsplit=1)[0],
            hint="it begins with " + " or ".join(known),
        )
    return url


def _nearest(start: Path) -> Path:
    return next((folder for folder in (start, *start.parents) if (folder / FOLDER).is_dir()), start)


def open_workspace(settings: Settings, *, create: bool = True) -> Workspace:
    """Open the stores of a workspace, making the folder where *create* allows it.

    Raises:
        WorkspaceMissing: There is none and none may be made.
        LedgerUnavailable: The database does not answer.
    """
    from geartrain.adapters.blobs import FileBlobs
    from geartrain.adapters.lake import DeltaLake
    from geartrain.adapters.ledger import SqlLedger
    from geartrain.engine.workspace import Workspace

    root = settings.root
    if not root.is_dir():
        if not create:
            raise WorkspaceMissing(
                "there is no workspace here",
                where=str(root),
                hint="`geartrain ingest FILE` makes one; `--workspace` points at another",
            )
        root.mkdir(parents=True, exist_ok=True)
        (root / ".gitignore").write_text("*\n", encoding="utf-8")
    return Workspace(
        root=root,
        ledger=SqlLedger(settings.database_url or root / "ledger.db"),
        lake=DeltaLake(root / "lake"),
        blobs=FileBlobs(root / "blobs"),
        notifier=_notifier(settings),
        signing_key=lambda: _signing_key(root),
    )


def _notifier(settings: Settings) -> Notifier:
    """The file and the log always; webhook and mail where they are set, each with an outbox of its own."""
    from geartrain.adapters.notifier import FileNotifier

    ways: list[Notifier] = [FileNotifier(settings.root / "notifications.jsonl")]
    if settings.webhook is None and settings.mail is None:
        return ways[0]
    from geartrain.adapters.notifier_outbox import EveryNotifier, OutboxNotifier

    if settings.webhook is not None:
        from geartrain.adapters.notifier_webhook import WebhookNotifier

        hook = WebhookNotifier(settings.webhook, secret=settings.webhook_secret)
        ways.append(OutboxNotifier(hook, settings.root / "outbox" / "webhook"))
    if settings.mail is not None:
        from geartrain.adapters.notifier_mail import MailNotifier, addresses, mail_server

        mail = MailNotifier(
            mail_server(settings.mail), sender=settings.mail_from, people=addresses(settings.mail_people)
        )
        ways.append(OutboxNotifier(mail, settings.root / "outbox" / "mail"))
    return EveryNotifier(ways)


def open_accounts(settings: Settings) -> Accounts:
    """Open the accounts of a workspace: beside its ledger, and never in it."""
    from geartrain.adapters.accounts import SqlAccounts

    return SqlAccounts(settings.database_url or settings.root / "accounts.db")


def open_workflows(settings: Settings, plans: Mapping[str, Plan]) -> Workflows:
    """Open the durable workflows of a workspace."""
    from geartrain.adapters.workflows import DbosWorkflows, sqlite_url

    url = settings.database_url or sqlite_url(settings.root / "workflows.db")
    return DbosWorkflows(url, plans)


def build_host(
    settings: Settings,
    *,
    tell: Callable[[str], None],
    products: Sequence[str] = (),
    limits: LogLimits | None = None,
) -> Living:
    """Compose what a server needs of a workspace; `begin` loads what is live. No *products*: all of them.

    Raises:
        WorkspaceMissing: There is no workspace.
        DiskFull: The prediction log cannot be written.
    """
    from uuid import uuid4

    from geartrain.adapters.clock import SystemClock, time_ordered_id
    from geartrain.engine.living import Living

    return Living(
        open_workspace(settings, create=False),
        now=SystemClock().now,
        new_id=lambda: f"d-{time_ordered_id()}",
        session=f"{os.getpid()}-{uuid4().hex[:8]}",
        tell=tell,
        only=products,
        limits=limits,
        snapshots=open_snapshots(settings),
        shared=open_shared(settings),
        open_bus=lambda: open_bus(settings),
        keys=open_delivery_keys(settings),
    )


def open_delivery_keys(settings: Settings) -> DeliveryKeys:
    """Open what idempotency keys stand for: one store for all processes of a workspace."""
    from geartrain.adapters.delivery_keys import SqlDeliveryKeys

    return SqlDeliveryKeys(settings.database_url or settings.root / "deliveries.db")


def open_snapshots(settings: Settings) -> Snapshots:
    """Open the file in which a server keeps the state of online features, and how far it read the bus."""
    from geartrain.adapters.snapshots_sqlite import SqliteSnapshots

    return SqliteSnapshots(settings.root / "online.db")


def forget_online(settings: Settings, product: str) -> int:
    """Remove what is kept of a product's online features: in the workspace's file, and in a store that replicas share.

    Returns:
        How many states and keys there were.

    Raises:
        OnlineUnavailable: One of them does not answer, and may still hold what was to be forgotten.
    """
    from geartrain.adapters.snapshots_sqlite import SqliteSnapshots

    gone = 0
    path = settings.root / "online.db"
    if path.exists():
        held = SqliteSnapshots(path)
        try:
            gone = held.forget(f"{product}/")
        finally:
            held.close()
    if settings.online_url is not None:
        from geartrain.adapters.online_redis import forget_product

        gone += forget_product(settings.online_url, product)
    return gone


def open_shared(settings: Settings) -> OpenShared | None:
    """How the online features that replicas share are opened; None where each process keeps its own."""
    url = settings.online_url
    if url is None:
        return None
    from geartrain.adapters.online_redis import RedisFeatures
    from geartrain.engine.live_state import LATENESS_US

    return lambda features, keys, name: RedisFeatures(
        features, keys=keys, url=url, name=name, lateness_us=LATENESS_US
    )


def open_bus(settings: Settings, *, publish: bool = False) -> Bus | None:
    """Open the bus that events come by: the one that the setting names, else the workspace's own file.

    The file is made by whoever is first to *publish*; until then there is none to read, and None is returned.

    Raises:
        BusUnavailable: The file does not answer as a bus.
    """
    kind, _, where = (settings.bus_url or "").partition("://")
    if kind == "kafka":
        from geartrain.adapters.bus_kafka import KafkaBus

        return KafkaBus(where.strip("/"))
    path = Path(where.removeprefix("/")) if where else settings.root / "bus.db"
    if not where and not publish and not path.exists():
        return None
    from geartrain.adapters.bus_sqlite import SqliteBus

    return SqliteBus(path)


@contextmanager
def only_worker(root: Path) -> Iterator[None]:
    """Hold the right to run workflows here; two processes would go on with the same run twice.

    Raises:
        WorkspaceBusy: Another process has it.
    """
    with (root / "worker.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise WorkspaceBusy(
                "another process is working in this workspace",
                where=str(root),
                found=f"process {lock.read().strip() or 'unknown'}",
                hint="wait until it has ended, then try again",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def own_key(settings: Settings) -> str | None:
    """The public half of the workspace's own key, in base64; None where there is no workspace or it has signed nothing."""
    from geartrain.release.keys import key_text

    path = settings.root / SIGNING_KEY
    return key_text(path.read_bytes()) if path.is_file() else None


def _signing_key(root: Path) -> bytes:
    """The workspace's own key, made on first use and readable by its owner alone."""
    from geartrain.release.keys import new_key

    path = root / SIGNING_KEY
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        key = new_key()
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key

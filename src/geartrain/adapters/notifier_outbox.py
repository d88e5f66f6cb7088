"""A notifier that has no silence: what could not be told yet is kept, and told with the next news."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from geartrain.adapters.full_disk import disk_full, took_no_more
from geartrain.domain.digest import digest
from geartrain.domain.incident import Incident
from geartrain.domain.wire import decode, encode
from geartrain.ports.notifier import Notifier

#: What a way to tell people raises where nobody is reached: sockets, HTTP and SMTP all end here.
Unreached = OSError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A notification that nobody has heard yet."""

    people: tuple[str, ...]
    incident: Incident


class OutboxNotifier:
    """Wraps a *way* to tell people that may fail: a webhook, a mail server.

    A notification is on disk before it is sent and leaves when it was taken. A way that
    is down costs a log line and nothing else; the next notification, or `resend`, tries
    again. Whoever is told twice was told at least once.
    """

    def __init__(self, way: Notifier, folder: str | Path) -> None:
        self._way = way
        self._folder = Path(folder)
        self._log = structlog.get_logger("geartrain.notifier")

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Keep it, then send whatever is kept.

        Raises:
            DiskFull: It could not be kept; it was sent all the same if the way was open.
        """
        try:
            self._keep(incident, people)
        except OSError as error:
            self._told(incident, people)
            if took_no_more(error):
                raise disk_full(str(self._folder), error) from error
            raise
        self.resend()

    def resend(self) -> int:
        """Send everything that is kept, oldest first; how many are still kept."""
        waiting = sorted(self._folder.glob("*.json"), key=lambda file: (file.stat().st_mtime_ns, file.name))
        for number, file in enumerate(waiting):
            kept = decode(file.read_bytes(), _Kept)
            if not self._told(kept.incident, kept.people):
                return len(waiting) - number
            file.unlink()
        return 0

    def _told(self, incident: Incident, people: tuple[str, ...]) -> bool:
        try:
            self._way.notify(incident, people)
        except Unreached as error:
            self._log.error(
                "nobody was reached; it is kept and sent again", incident=incident.id, reason=str(error)
            )
            return False
        return True

    def _keep(self, incident: Incident, people: tuple[str, ...]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        content = encode(_Kept(people=people, incident=incident))
        partial = self._folder / f".{os.getpid()}-{digest((people, incident))[:16]}"
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / f"{digest((people, incident))[:32]}.json")


class EveryNotifier:
    """Tells by every one of several ways; one that fails does not silence the others."""

    def __init__(self, ways: Iterable[Notifier]) -> None:
        self._ways = tuple(ways)

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Tell by each way, then raise the first failure if there was one."""
        first: Exception | None = None
        for way in self._ways:
            try:
                way.notify(incident, people)
            except Exception as error:  # noqa: BLE001 - every way gets its turn; the failure is raised below
                first = first or error
        if first is not None:
            raise first

    def resend(self) -> int:
        """What is still untold on all ways together."""
        return sum(way.resend() for way in self._ways)


def subject(incident: Incident) -> str:
    """One line that says whose it is and what happened."""
    line = f"[{incident.product}] {incident.owner}: {incident.cause}: {incident.message}"
    return " ".join(line.split())[:200]


def text(
    incident: Incident, people: tuple[str, ...], *, money: Callable[[float], str] = "{:,.2f}".format
) -> str:
    """The whole incident in plain words."""
    lines = [
        incident.message,
        "",
        f"Product: {incident.product}",
        f"Cause: {incident.cause}",
        f"Owner: {incident.owner} ({', '.join(people) or 'nobody holds this role'})",
        f"First action: {incident.first_action}",
        f"Began about: {incident.began_at:%Y-%m-%d %H:%M} UTC"
        if incident.began_at
        else "Began: nobody can say",
    ]
    if incident.cost_per_day is not None:
        lines.append(f"Costs a day, more than before: {money(incident.cost_per_day)}")
    lines += ["", "What was noticed:", *(f"- {one.message}" for one in incident.signals), "", incident.id]
    return "\n".join(lines)

"""Notifications as lines of a file in the workspace and of the structured log."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import structlog

from geartrain.adapters.full_disk import disk_full, took_no_more
from geartrain.domain.digest import canonical
from geartrain.domain.incident import Incident


class FileNotifier:
    """A `Notifier` that appends one JSON object a notification to the file at *path*.

    The log is told first: where the disk is full, somebody still hears of it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        if not structlog.is_configured():
            # Standard output belongs to answers; a log line there would break `--json`.
            structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
        self._log = structlog.get_logger("geartrain.notifier")

    def resend(self) -> int:
        """Nothing waits here."""
        return 0

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Tell *people* about *incident*.

        Raises:
            DiskFull: The log was told, the file took no more.
        """
        self._log.warning(
            "incident",
            id=incident.id,
            product=incident.product,
            cause=str(incident.cause),
            owner=str(incident.owner),
            people=list(people),
            message=incident.message,
            first_action=str(incident.first_action),
        )
        line = canonical({"people": people, "incident": incident}) + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            if took_no_more(error):
                raise disk_full(str(self._path), error) from error
            raise

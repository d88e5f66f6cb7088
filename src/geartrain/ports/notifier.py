"""The notifier: how an incident reaches its owner."""

from __future__ import annotations

from typing import Protocol

from geartrain.domain.incident import Incident


class Notifier(Protocol):
    """Tells people. Telling twice is allowed, staying silent is not."""

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Tell *people*, the holders of the owning role, about *incident*."""

    def resend(self) -> int:
        """Tell again what could not be told yet; how many are still untold."""

"""A notifier that remembers what it was told to tell."""

from __future__ import annotations

from geartrain.domain.incident import Incident


class MemoryNotifier:
    """A `Notifier` whose `told` holds every notification in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Incident, tuple[str, ...]]] = []

    def notify(self, incident: Incident, people: tuple[str, ...]) -> None:
        """Remember it."""
        self.told.append((incident, people))

    def resend(self) -> int:
        """Nothing waits here."""
        return 0

"""What a release command answers: events to append, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.events import Event, Refused
from geartrain.domain.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The command is right; the caller appends `events`, then it has happened.

    Attributes:
        events: Empty where what was asked for is so already: asking twice is no error.
        notes: What the person should know besides, in plain sentences.
    """

    events: tuple[Event, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The command does not fit the release's state, the contract or the person's role.

    Attributes:
        what: The command, such as `promote`.
        subject: The release's id.
        reason: What is so, in one sentence.
        do: What to do now.
        signs: The roles whose yes is missing, where that is the reason.
    """

    product: str
    what: str
    subject: str
    reason: str
    do: str
    signs: tuple[Role, ...] = ()

    @property
    def event(self) -> Refused:
        """The refusal as an event, for the ledger."""
        return Refused(product=self.product, what=self.what, subject=self.subject, reason=self.reason)


Answer = Accepted | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing:
    """One command about one release, ready to say no."""

    product: str
    what: str
    subject: str

    def because(self, reason: str, do: str, *, signs: tuple[Role, ...] = ()) -> Refusal:
        """The refusal for *reason*; *do* says what to do now."""
        return Refusal(
            product=self.product, what=self.what, subject=self.subject, reason=reason, do=do, signs=signs
        )

    def unknown(self) -> Refusal:
        """The refusal for an id that no release has."""
        return self.because("no release has this id", "propose it first, and name it by its whole id")

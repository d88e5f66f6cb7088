"""Accounts: who may enter the room. Secrets are known here by their digests only."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from geartrain.domain.accounts import Account, Invitation, Session, Token


class Accounts(Protocol):
    """The store of accounts, sessions, invitations and tokens.

    Every change is durable when it returns, and what is said to happen once happens
    once however many processes ask at the same time.
    """

    def open_first(self, account: Account) -> bool:
        """Add *account* if there is none at all yet; whether it was added."""

    def add(self, account: Account) -> bool:
        """Add *account*; False where its person or its subject is known already."""

    def change(self, account: Account) -> bool:
        """Replace the account of the same person; False where there is none."""

    def account(self, person: str) -> Account | None:
        """The account of *person*, closed or not."""

    def account_of_subject(self, subject: str) -> Account | None:
        """The account that an OpenID provider's *subject* belongs to."""

    def people(self) -> tuple[Account, ...]:
        """All accounts, by name."""

    def add_session(self, session: Session) -> None:
        """Keep *session*."""

    def session(self, digest: str, *, now: datetime) -> Session | None:
        """The session with that secret's digest, unless it has ended."""

    def end_session(self, digest: str) -> None:
        """End one session."""

    def end_sessions(self, person: str) -> int:
        """End every session of *person*; how many there were."""

    def invite(self, invitation: Invitation) -> None:
        """Keep *invitation*; an earlier one for the same person is void."""

    def invitation(self, digest: str, *, now: datetime) -> Invitation | None:
        """The invitation with that secret's digest, unless it was taken or has expired."""

    def take_invitation(self, digest: str, account: Account, *, now: datetime) -> bool:
        """Add *account* and use the invitation up, both or neither; whether that was done."""

    def add_token(self, token: Token) -> bool:
        """Keep *token*; False where its person has one of that name."""

    def token(self, digest: str, *, now: datetime) -> Token | None:
        """The token with that secret's digest, unless it has expired."""

    def tokens(self, person: str) -> tuple[Token, ...]:
        """The tokens of *person*, by name."""

    def revoke(self, person: str, name: str) -> bool:
        """Revoke a token; whether there was one."""

    def close(self) -> None:
        """Let go of the database."""

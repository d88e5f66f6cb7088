"""Accounts in a SQL database: a SQLite file in the workspace, PostgreSQL by URL, the same code.

Each table holds what is searched by as columns and the noun itself as JSON. The file
is readable by its owner alone, and holds no secret: passwords as Argon2id hashes,
everything else as digests.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from geartrain.adapters.one_writer import OneWriter
from geartrain.domain.accounts import Account, Invitation, Session, Token
from geartrain.domain.wire import decode, encode

T = TypeVar("T")

_ADVISORY_KEY = 7_243_612


class SqlAccounts:
    """An `Accounts` store in SQLite or PostgreSQL.

    Args:
        url: A database URL, or the path of a SQLite file, which is made where there is none.
        schema: PostgreSQL: the schema that holds the tables; None is the default one.

    Raises:
        LedgerUnavailable: The database does not answer.
    """

    def __init__(self, url: str | Path, *, schema: str | None = None) -> None:
        metadata = sa.MetaData(schema=schema)
        self._accounts, self._sessions, self._invitations, self._tokens = _tables(metadata)
        self._store = OneWriter(url, metadata, advisory_key=_ADVISORY_KEY, private=True)

    def open_first(self, account: Account) -> bool:
        """Add *account* if there is none at all yet."""
        with self._store.writing() as connection:
            if connection.execute(sa.select(sa.func.count()).select_from(self._accounts)).scalar_one():
                return False
            return self._added(connection, account)

    def add(self, account: Account) -> bool:
        """Add *account*; False where its person or its subject is known already."""
        with self._store.writing() as connection:
            return self._added(connection, account)

    def change(self, account: Account) -> bool:
        """Replace the account of the same person."""
        table = self._accounts
        with self._store.writing() as connection:
            done = connection.execute(
                sa.update(table)
                .where(table.c.person == account.person)
                .values(subject=account.subject, body=_text(account))
            )
            return done.rowcount == 1

    def account(self, person: str) -> Account | None:
        """The account of *person*, closed or not."""
        return self._one(self._accounts, self._accounts.c.person == person, Account)

    def account_of_subject(self, subject: str) -> Account | None:
        """The account that an OpenID provider's *subject* belongs to."""
        return self._one(self._accounts, self._accounts.c.subject == subject, Account)

    def people(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        return self._many(self._accounts, self._accounts.c.person, Account)

    def add_session(self, session: Session) -> None:
        """Keep *session*, and forget those that have ended."""
        table = self._sessions
        with self._store.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.expires_us <= _us(session.began_at)))
            connection.execute(
                sa.insert(table).values(
                    digest=session.digest,
                    person=session.person,
                    expires_us=_us(session.expires_at),
                    body=_text(session),
                )
            )

    def session(self, digest: str, *, now: datetime) -> Session | None:
        """The session with that secret's digest, unless it has ended."""
        table = self._sessions.c
        return self._one(
            self._sessions, sa.and_(table.digest == digest, table.expires_us > _us(now)), Session
        )

    def end_session(self, digest: str) -> None:
        """End one session."""
        with self._store.writing() as connection:
            connection.execute(sa.delete(self._sessions).where(self._sessions.c.digest == digest))

    def end_sessions(self, person: str) -> int:
        """End every session of *person*; how many there were."""
        with self._store.writing() as connection:
            return connection.execute(
                sa.delete(self._sessions).where(self._sessions.c.person == person)
            ).rowcount

    def invite(self, invitation: Invitation) -> None:
        """Keep *invitation*; an earlier one for the same person is void."""
        table = self._invitations
        with self._store.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.person == invitation.person))
            connection.execute(
                sa.insert(table).values(
                    digest=invitation.digest,
                    person=invitation.person,
                    expires_us=_us(invitation.expires_at),
                    body=_text(invitation),
                )
            )

    def invitation(self, digest: str, *, now: datetime) -> Invitation | None:
        """The invitation with that secret's digest, unless it was taken or has expired."""
        table = self._invitations.c
        return self._one(
            self._invitations, sa.and_(table.digest == digest, table.expires_us > _us(now)), Invitation
        )

    def take_invitation(self, digest: str, account: Account, *, now: datetime) -> bool:
        """Add *account* and use the invitation up, both or neither."""
        table = self._invitations
        with self._store.writing() as connection:
            taken = connection.execute(
                sa.delete(table).where(table.c.digest == digest, table.c.expires_us > _us(now))
            )
            done = taken.rowcount == 1 and self._added(connection, account)
            if not done:
                connection.rollback()
            return done

    def add_token(self, token: Token) -> bool:
        """Keep *token*; False where its person has one of that name."""
        table = self._tokens.c
        with self._store.writing() as connection:
            known = connection.execute(
                sa.select(table.digest).where(table.person == token.person, table.name == token.name)
            ).first()
            if known is not None:
                return False
            connection.execute(
                sa.insert(self._tokens).values(
                    digest=token.digest, person=token.person, name=token.name, body=_text(token)
                )
            )
            return True

    def token(self, digest: str, *, now: datetime) -> Token | None:
        """The token with that secret's digest, unless it has expired."""
        found = self._one(self._tokens, self._tokens.c.digest == digest, Token)
        expired = found is not None and found.expires_at is not None and found.expires_at <= now
        return None if expired else found

    def tokens(self, person: str) -> tuple[Token, ...]:
        """The tokens of *person*, by name."""
        return self._many(self._tokens, self._tokens.c.name, Token, self._tokens.c.person == person)

    def revoke(self, person: str, name: str) -> bool:
        """Revoke a token; whether there was one."""
        table = self._tokens
        with self._store.writing() as connection:
            gone = connection.execute(sa.delete(table).where(table.c.person == person, table.c.name == name))
            return gone.rowcount == 1

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def _added(self, connection: sa.Connection, account: Account) -> bool:
        table = self._accounts.c
        same = table.person == account.person
        if account.subject is not None:
            same = sa.or_(same, table.subject == account.subject)
        if connection.execute(sa.select(table.person).where(same)).first() is not None:
            return False
        connection.execute(
            sa.insert(self._accounts).values(
                person=account.person, subject=account.subject, body=_text(account)
            )
        )
        return True

    def _one(self, table: sa.Table, where: sa.ColumnElement[bool], kind: type[T]) -> T | None:
        with self._store.reading() as connection:
            body = connection.execute(sa.select(table.c.body).where(where)).scalar_one_or_none()
        return None if body is None else decode(body, kind)

    def _many(
        self, table: sa.Table, order: sa.Column[Any], kind: type[T], *where: sa.ColumnElement[bool]
    ) -> tuple[T, ...]:
        with self._store.reading() as connection:
            bodies = connection.execute(sa.select(table.c.body).where(*where).order_by(order)).scalars().all()
        return tuple(decode(body, kind) for body in bodies)


def _text(noun: object) -> str:
    return encode(noun).decode()


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _tables(metadata: sa.MetaData) -> tuple[sa.Table, sa.Table, sa.Table, sa.Table]:
    def table(name: str, *columns: Any) -> sa.Table:
        return sa.Table(name, metadata, *columns, sa.Column("body", sa.Text, nullable=False))

    def secret() -> sa.Column[str]:
        return sa.Column("digest", sa.Text, primary_key=True)

    def person() -> sa.Column[str]:
        return sa.Column("person", sa.Text, nullable=False, index=True)

    def expires() -> sa.Column[int]:
        return sa.Column("expires_us", sa.BigInteger, nullable=False)

    return (
        table(
            "accounts",
            sa.Column("person", sa.Text, primary_key=True),
            sa.Column("subject", sa.Text, unique=True),
        ),
        table("account_sessions", secret(), person(), expires()),
        table("account_invitations", secret(), person(), expires()),
        table(
            "account_tokens",
            secret(),
            person(),
            sa.Column("name", sa.Text, nullable=False),
            sa.UniqueConstraint("person", "name"),
        ),
    )

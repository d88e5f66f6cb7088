"""What every store of accounts must do, and one in memory that does it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from geartrain.domain.accounts import Account, Invitation, Scope, Session, Token
from geartrain.ports.accounts import Accounts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class MemoryAccounts:
    """An `Accounts` store that lives as long as the process."""

    def __init__(self) -> None:
        self._people: dict[str, Account] = {}
        self._sessions: dict[str, Session] = {}
        self._invitations: dict[str, Invitation] = {}
        self._tokens: dict[str, Token] = {}
        self._one_at_a_time = threading.RLock()

    def open_first(self, account: Account) -> bool:
        """Add *account* if there is none at all yet."""
        with self._one_at_a_time:
            return not self._people and self.add(account)

    def add(self, account: Account) -> bool:
        """Add *account*; False where its person or its subject is known already."""
        with self._one_at_a_time:
            known = account.subject is not None and self.account_of_subject(account.subject) is not None
            if known or account.person in self._people:
                return False
            self._people[account.person] = account
            return True

    def change(self, account: Account) -> bool:
        """Replace the account of the same person."""
        with self._one_at_a_time:
            if account.person not in self._people:
                return False
            self._people[account.person] = account
            return True

    def account(self, person: str) -> Account | None:
        """The account of *person*, closed or not."""
        return self._people.get(person)

    def account_of_subject(self, subject: str) -> Account | None:
        """The account that an OpenID provider's *subject* belongs to."""
        return next((one for one in self._people.values() if one.subject == subject), None)

    def people(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        return tuple(self._people[person] for person in sorted(self._people))

    def add_session(self, session: Session) -> None:
        """Keep *session*."""
        self._sessions[session.digest] = session

    def session(self, digest: str, *, now: datetime) -> Session | None:
        """The session with that secret's digest, unless it has ended."""
        found = self._sessions.get(digest)
        return found if found is not None and now < found.expires_at else None

    def end_session(self, digest: str) -> None:
        """End one session."""
        self._sessions.pop(digest, None)

    def end_sessions(self, person: str) -> int:
        """End every session of *person*; how many there were."""
        ended = [one.digest for one in self._sessions.values() if one.person == person]
        for digest in ended:
            del self._sessions[digest]
        return len(ended)

    def invite(self, invitation: Invitation) -> None:
        """Keep *invitation*; an earlier one for the same person is void."""
        with self._one_at_a_time:
            for one in [kept for kept in self._invitations.values() if kept.person == invitation.person]:
                del self._invitations[one.digest]
            self._invitations[invitation.digest] = invitation

    def invitation(self, digest: str, *, now: datetime) -> Invitation | None:
        """The invitation with that secret's digest, unless it was taken or has expired."""
        found = self._invitations.get(digest)
        return found if found is not None and now < found.expires_at else None

    def take_invitation(self, digest: str, account: Account, *, now: datetime) -> bool:
        """Add *account* and use the invitation up, both or neither."""
        with self._one_at_a_time:
            if self.invitation(digest, now=now) is None or not self.add(account):
                return False
            del self._invitations[digest]
            return True

    def add_token(self, token: Token) -> bool:
        """Keep *token*; False where its person has one of that name."""
        with self._one_at_a_time:
            if any(one.name == token.name for one in self.tokens(token.person)):
                return False
            self._tokens[token.digest] = token
            return True

    def token(self, digest: str, *, now: datetime) -> Token | None:
        """The token with that secret's digest, unless it has expired."""
        found = self._tokens.get(digest)
        expired = found is not None and found.expires_at is not None and found.expires_at <= now
        return None if expired else found

    def tokens(self, person: str) -> tuple[Token, ...]:
        """The tokens of *person*, by name."""
        return tuple(
            sorted((one for one in self._tokens.values() if one.person == person), key=lambda one: one.name)
        )

    def revoke(self, person: str, name: str) -> bool:
        """Revoke a token; whether there was one."""
        with self._one_at_a_time:
            gone = [one.digest for one in self.tokens(person) if one.name == name]
            for digest in gone:
                del self._tokens[digest]
            return bool(gone)

    def close(self) -> None:
        """Nothing to let go of."""


def check_accounts(make: Callable[[], Accounts]) -> None:
    """Hold an empty store, made anew by *make* for each promise, to what the port promises.

    Raises:
        AssertionError: A promise is not kept; the message names it.
    """
    for promise in (
        _the_first_account_is_the_first_once,
        _a_person_and_a_subject_are_known_once,
        _a_changed_account_is_the_changed_one,
        _a_session_ends,
        _an_invitation_is_taken_once,
        _a_token_is_found_until_it_is_not,
    ):
        store = make()
        try:
            promise(store)
        except AssertionError as error:
            words = promise.__name__.strip("_").replace("_", " ")
            raise AssertionError(f"not kept: {words}; {error}") from error
        finally:
            store.close()


def _account(person: str, subject: str | None = None) -> Account:
    return Account(person=person, password="$argon2id$", keeper=False, opened_at=NOON, subject=subject)  # noqa: S106 - no password at all


def _the_first_account_is_the_first_once(store: Accounts) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store.open_first, [_account(f"person {one}") for one in range(4)]))
    assert sum(answers) == 1, f"{sum(answers)} accounts were the first"
    assert len(store.people()) == 1
    assert not store.open_first(_account("late"))


def _a_person_and_a_subject_are_known_once(store: Accounts) -> None:
    assert store.add(_account("Ada", "issuer 1"))
    assert not store.add(_account("Ada"))
    assert not store.add(_account("Bo", "issuer 1"))
    assert store.add(_account("Bo"))
    assert store.add(_account("Cy"))
    assert [one.person for one in store.people()] == ["Ada", "Bo", "Cy"]
    found = store.account_of_subject("issuer 1")
    assert found is not None and found.person == "Ada"
    assert store.account("nobody") is None


def _a_changed_account_is_the_changed_one(store: Accounts) -> None:
    closed = Account(person="Ada", password="", keeper=True, opened_at=NOON, closed_at=NOON)
    assert not store.change(closed)
    assert store.add(_account("Ada"))
    assert store.change(closed)
    assert store.account("Ada") == closed


def _a_session_ends(store: Accounts) -> None:
    later = NOON + timedelta(hours=1)
    for digest in ("one", "two"):
        store.add_session(Session(digest=digest, person="Ada", proof="p", began_at=NOON, expires_at=later))
    found = store.session("one", now=NOON)
    assert found is not None and found.person == "Ada"
    assert store.session("one", now=later) is None, "an expired session is found"
    store.end_session("one")
    assert store.session("one", now=NOON) is None
    assert store.end_sessions("Ada") == 1
    assert store.session("two", now=NOON) is None


def _an_invitation_is_taken_once(store: Accounts) -> None:
    later = NOON + timedelta(days=1)

    def invited(digest: str, person: str) -> Invitation:
        return Invitation(digest=digest, person=person, keeper=False, invited_by="Ada", expires_at=later)

    store.invite(invited("void", "Bo"))
    store.invite(invited("good", "Bo"))
    assert store.invitation("void", now=NOON) is None, "an invitation that was replaced still holds"
    assert not store.take_invitation("good", _account("Bo"), now=later), "an expired invitation was taken"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: store.take_invitation("good", _account("Bo"), now=NOON), range(4)))
    assert sum(answers) == 1, f"one invitation opened {sum(answers)} accounts"
    store.invite(invited("again", "Bo"))
    assert not store.take_invitation("again", _account("Bo"), now=NOON), "one person has two accounts"
    assert store.invitation("again", now=NOON) is not None, "a refused invitation is used up"


def _a_token_is_found_until_it_is_not(store: Accounts) -> None:
    token = Token(digest="t", person="Ada", name="nightly", scopes=(Scope.READ,), issued_at=NOON)
    assert store.add_token(token)
    same_name = Token(digest="u", person="Ada", name="nightly", scopes=(), issued_at=NOON)
    assert not store.add_token(same_name)
    assert store.token("t", now=NOON) == token
    assert store.tokens("Ada") == (token,)
    assert store.revoke("Ada", "nightly")
    assert not store.revoke("Ada", "nightly")
    assert store.token("t", now=NOON) is None
    short = Token(
        digest="v", person="Ada", name="short", scopes=(), issued_at=NOON, expires_at=NOON + timedelta(1)
    )
    assert store.add_token(short)
    assert store.token("v", now=NOON + timedelta(1)) is None, "an expired token is found"

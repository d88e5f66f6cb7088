"""People: who may enter, invitations, and the tokens of programs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from geartrain.domain.accounts import Account, Invitation, Scope, Token
from geartrain.domain.events import AccountClosed, AccountOpened, Event, TokenIssued, TokenRevoked
from geartrain.engine.adopted import contract_in_force
from geartrain.errors import NotAllowed
from geartrain.web.paging import Action, Again, Denied, Done, Download, Outcome, Page
from geartrain.web.room import PEOPLE_STREAM, Asked
from geartrain.web.secrets import digest_of, hashed, matches, objection

_LONGEST_NAME = 120
_MOST_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A role in a product that a person holds, by the product's contract."""

    product: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One account, without any of its secrets."""

    name: str
    keeper: bool
    opened_at: datetime
    closed_at: datetime | None
    by_provider: bool
    roles: tuple[Held, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLine:
    """A token, without its secret."""

    name: str
    scopes: tuple[Scope, ...]
    issued_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A secret that is shown once: a link to join, or a token."""

    kind: str
    about: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleView:
    """Who may enter, and the visitor's own tokens.

    Attributes:
        missing: People whom a contract names and who have no account.
        once: What was just made and is shown only now.
    """

    people: tuple[Person, ...]
    missing: tuple[str, ...]
    tokens: tuple[TokenLine, ...]
    scopes: tuple[Scope, ...]
    keeper: bool
    openid: bool
    once: Link | None = None


def people_view(asked: Asked) -> PeopleView:
    """Who may enter; the tokens are the visitor's own."""
    held = _roles_by_person(asked)
    accounts = asked.room.accounts.people()
    return PeopleView(
        people=tuple(
            Person(
                name=one.person,
                keeper=one.keeper,
                opened_at=one.opened_at,
                closed_at=one.closed_at,
                by_provider=one.subject is not None,
                roles=held.get(one.person, ()),
            )
            for one in accounts
        ),
        missing=tuple(sorted(set(held) - {one.person for one in accounts})),
        tokens=tuple(
            TokenLine(name=one.name, scopes=one.scopes, issued_at=one.issued_at, expires_at=one.expires_at)
            for one in asked.room.accounts.tokens(asked.visitor.person)
        ),
        scopes=tuple(Scope),
        keeper=asked.visitor.account.keeper,
        openid=asked.room.settings.openid is not None,
    )


def invite(asked: Asked) -> Outcome:
    """Make a link that opens an account for one name, once."""
    _keepers_only(asked)
    person = " ".join(asked.form.get("person", "").split())
    if not person or len(person) > _LONGEST_NAME or not person.isprintable():
        return _no("a name is needed, as the contract's `team` section spells it")
    if asked.room.accounts.account(person) is not None:
        return _no(f"{person} has an account already")
    if asked.form.get("how") == "provider":
        account = Account(
            person=person, password="", keeper=asked.form.get("keeper") == "yes", opened_at=asked.now
        )
        asked.room.accounts.add(account)
        _record(asked, AccountOpened(person=person, keeper=account.keeper))
        return Done(to="/people", said=f"{person} may enter with the OpenID provider")
    secret = asked.room.secret()
    asked.room.accounts.invite(
        Invitation(
            digest=digest_of(secret),
            person=person,
            keeper=asked.form.get("keeper") == "yes",
            invited_by=asked.visitor.person,
            expires_at=asked.now + timedelta(seconds=asked.room.settings.invitation_s),
        )
    )
    return _once(asked, Link(kind="invitation", about=person, secret=f"/join/{secret}"))


def close_account(asked: Asked) -> Outcome:
    """Let somebody in no more; what they signed stands."""
    _keepers_only(asked)
    person = asked.form.get("person", "")
    account = asked.room.accounts.account(person)
    if account is None or not account.open:
        return _no("nobody of that name may enter")
    keepers = [one for one in asked.room.accounts.people() if one.keeper and one.open]
    if account.keeper and len(keepers) == 1:
        return _no("the last keeper cannot be shut out", "make somebody else a keeper first")
    asked.room.accounts.change(replace(account, closed_at=asked.now, password=""))
    asked.room.accounts.end_sessions(person)
    for token in asked.room.accounts.tokens(person):
        asked.room.accounts.revoke(person, token.name)
    _record(asked, AccountClosed(person=person))
    return Done(to="/people", said=f"{person} may not enter any more")


def change_password(asked: Asked) -> Outcome:
    """Take another password; every session of this person ends."""
    account = asked.visitor.account
    if asked.visitor.session is None:
        raise NotAllowed("a program may not change a password")
    if not matches(asked.form.get("old", ""), account.password):
        return _no("the old password is not right")
    password = asked.form.get("password", "")
    wrong = objection(password, person=account.person)
    if wrong is None and password != asked.form.get("again", ""):
        wrong = "the two passwords are not the same"
    if wrong is not None:
        return _no(wrong)
    asked.room.accounts.change(replace(account, password=hashed(password)))
    asked.room.accounts.end_sessions(account.person)
    return Done(to="/enter", said="sign in with the new password")


def issue_token(asked: Asked) -> Outcome:
    """Make a token for a program; its secret is shown once and kept nowhere."""
    if asked.visitor.session is None:
        raise NotAllowed("a program may not make tokens")
    name = " ".join(asked.form.get("name", "").split())[:_LONGEST_NAME]
    scopes = tuple(scope for scope in Scope if asked.form.get(f"scope-{scope}") == "yes")
    days = asked.form.get("days", "90")
    if not name or not scopes:
        return _no("a token needs a name and at least one scope")
    if not days.isdigit() or not 1 <= int(days) <= _MOST_DAYS:
        return _no(f"a token lasts 1 to {_MOST_DAYS} days")
    secret = f"gt_{asked.room.secret()}"
    token = Token(
        digest=digest_of(secret),
        person=asked.visitor.person,
        name=name,
        scopes=scopes,
        issued_at=asked.now,
        expires_at=asked.now + timedelta(days=int(days)),
    )
    if not asked.room.accounts.add_token(token):
        return _no(f"you have a token named {name} already")
    _record(asked, TokenIssued(person=token.person, name=name, scopes=scopes))
    return _once(asked, Link(kind="token", about=name, secret=secret))


def revoke_token(asked: Asked) -> Outcome:
    """Make a token worthless."""
    name = asked.form.get("name", "")
    if not asked.room.accounts.revoke(asked.visitor.person, name):
        return _no("you have no token of that name")
    _record(asked, TokenRevoked(person=asked.visitor.person, name=name))
    return Done(to="/people", said=f"the token {name} holds no longer")


def _roles_by_person(asked: Asked) -> dict[str, tuple[Held, ...]]:
    told: dict[str, list[Held]] = {}
    for product in asked.workspace.products():
        contract = contract_in_force(asked.workspace, product)
        for role, people in contract.team if contract else ():
            for person in people:
                told.setdefault(person, []).append(Held(product=product, role=str(role)))
    return {person: tuple(held) for person, held in told.items()}


def _keepers_only(asked: Asked) -> None:
    if not asked.visitor.account.keeper:
        raise NotAllowed("only a keeper of this room may do that")


def _record(asked: Asked, event: Event) -> None:
    asked.workspace.ledger.append(PEOPLE_STREAM, [event], at=asked.now, actor=asked.visitor.person)


def _no(reason: str, do: str = "") -> Outcome:
    return Denied(to="/people", reason=reason, do=do)


def _once(asked: Asked, link: Link) -> Outcome:
    return Again(template="people.html", view=replace(people_view(asked), once=link), status=200)


PAGES = (Page(path="/people", template="people.html", view=people_view),)
ACTIONS = (
    Action(path="/people/invite", act=invite),
    Action(path="/people/close", act=close_account),
    Action(path="/people/password", act=change_password),
    Action(path="/people/tokens", act=issue_token),
    Action(path="/people/tokens/revoke", act=revoke_token),
)
DOWNLOADS: tuple[Download, ...] = ()

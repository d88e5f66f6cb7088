"""The room itself: what every page is made from, and who asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from geartrain.domain.accounts import Account, Scope, Session, Token
from geartrain.domain.contract import Contract
from geartrain.domain.roles import Role
from geartrain.engine.workspace import Workspace
from geartrain.ports.accounts import Accounts
from geartrain.web.patience import Patience

#: Names under which a browser on this machine asks for the room.
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")

#: The ledger stream of what concerns no single product: who may enter.
PEOPLE_STREAM = "people"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenId:
    """The provider that people may sign in with instead of a password.

    Attributes:
        issuer: Its URL; `/.well-known/openid-configuration` below it says the rest.
        claim: The claim that holds the name by which contracts know a person.
    """

    issuer: str
    client_id: str
    client_secret: str
    claim: str = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """How the room may be reached.

    Attributes:
        hosts: Host names under which it answers; every other name is refused (DNS rebinding).
        secure: Whether it is reached over TLS; its cookies are then sent over nothing else.
        session_s: After so many seconds a person signs in again.
        invitation_s: So long an invitation may be taken.
        openid: Another way to sign in, or None.
    """

    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    secure: bool = False
    session_s: float = 12 * 3600.0
    invitation_s: float = 7 * 86400.0
    openid: OpenId | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Room:
    """One workspace as people see it.

    Attributes:
        now: The clock.
        secret: Makes a new secret of at least 256 bits, as URL-safe text.
        first_code: What opens the first account; told on the terminal of whoever began the room.
        provider_transport: How the OpenID provider is reached; None is the network.
    """

    workspace: Workspace
    accounts: Accounts
    now: Callable[[], datetime]
    secret: Callable[[], str]
    first_code: str
    settings: RoomSettings = field(default_factory=RoomSettings)
    patience: Patience = field(default_factory=Patience)
    provider_transport: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks: a signed-in person, or a program in a person's name.

    Attributes:
        session: None where a program asks.
        token: None where a person asks.
    """

    account: Account
    session: Session | None = None
    token: Token | None = None

    @property
    def person(self) -> str:
        """The name by which contracts know them."""
        return self.account.person

    def may(self, scope: Scope, *, now: datetime) -> bool:
        """Whether this visitor may do what *scope* names; a signed-in person may."""
        return self.token is None or self.token.allows(scope, now=now)

    def roles(self, contract: Contract | None) -> tuple[Role, ...]:
        """The roles that the contract gives to this person."""
        if contract is None:
            return ()
        return tuple(role for role in Role if self.person in contract.holders(role))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """One request, as a page or an action sees it.

    Attributes:
        path: The address without its query and without `.json`.
        names: What the address names, such as `product`.
        query: The query; the first value of each name.
        form: What was sent, for an action.
    """

    room: Room
    visitor: Visitor
    now: datetime
    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """The team's stores."""
        return self.room.workspace

    @property
    def product(self) -> str:
        """The product that the address names."""
        return self.names["product"]

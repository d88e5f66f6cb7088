"""Where a person is in the room, and where they can go from here."""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.roles import Role
from geartrain.engine.adopted import contract_in_force
from geartrain.web.addresses import address
from geartrain.web.room import Asked

#: The pages of a product, in the order of its life: address, name.
CHAPTERS = (
    ("promise", "Promise"),
    ("over-time", "Over time"),
    ("releases", "Releases"),
    ("review", "Review"),
    ("features", "Features"),
    ("fairness", "Fairness"),
    ("incidents", "Incidents"),
    ("ledger", "Ledger"),
    ("feeds", "Feeds"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to go.

    Attributes:
        here: Whether this is where the person is.
    """

    address: str
    name: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around a page.

    Attributes:
        product: The product's name, or empty on pages about all.
        title: The product's title in people's words.
        roles: The roles that the visitor holds here.
        twin: The address of the same page as JSON.
    """

    product: str
    title: str
    ways: tuple[Way, ...]
    person: str
    roles: tuple[Role, ...]
    keeper: bool
    twin: str


def frame_of(asked: Asked) -> Frame:
    """The frame of the page that was asked for."""
    product = asked.names.get("product", "")
    contract = contract_in_force(asked.workspace, product) if product else None
    ways = tuple(
        Way(
            address=f"/products/{product}/{chapter}",
            name=name,
            here=f"{asked.path}/".startswith(f"/products/{product}/{chapter}/"),
        )
        for chapter, name in CHAPTERS
    )

    return Frame(
        product=product,
        title=contract.product.title if contract else product,
        ways=ways if product else (),
        person=asked.visitor.person,
        roles=asked.visitor.roles(contract),
        keeper=asked.visitor.account.keeper,
        twin=address("/index.json" if asked.path == "/" else f"{asked.path}.json", asked.query),
    )

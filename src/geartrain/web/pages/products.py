"""The products of the workspace, each with how its promises stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from geartrain.domain.finding import Status
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine.adopted import contract_in_force
from geartrain.engine.releasing import releases
from geartrain.engine.watching import open_incidents
from geartrain.web.pages.standing import Tally, findings_now, subject_of, tallies
from geartrain.web.paging import Action, Download, Page
from geartrain.web.room import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCard:
    """One product on the first page.

    Attributes:
        live: The champion's id, or None.
        waiting: Releases that wait for signatures.
        roles: Those that the visitor holds.
    """

    name: str
    title: str
    live: str | None
    live_since: datetime | None
    waiting: int
    incidents: int
    tallies: tuple[Tally, ...]
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductsView:
    """All products."""

    products: tuple[ProductCard, ...]


def products_view(asked: Asked) -> ProductsView:
    """The products, those in which the visitor has a role first."""
    cards = [_card(asked, name) for name in asked.workspace.products()]
    return ProductsView(products=tuple(sorted(cards, key=lambda card: (not card.roles, card.name))))


def _card(asked: Asked, name: str) -> ProductCard:
    contract = contract_in_force(asked.workspace, name)
    state = releases(asked.workspace, name)
    reign = state.reigns[-1] if state.reigns and state.champion else None
    found = findings_now(state, subject_of(state))
    counted: Counter[Status] = Counter(
        found[clause.path].status if clause.path in found else Status.NOT_MEASURED
        for clause in (contract.clauses if contract else ())
    )
    return ProductCard(
        name=name,
        title=contract.product.title if contract else name,
        live=state.champion,
        live_since=reign.since if reign else None,
        waiting=sum(one.stage is ReleaseStage.PROPOSED for one in state.records),
        incidents=len(open_incidents(asked.workspace, name)),
        tallies=tallies(counted),
        roles=asked.visitor.roles(contract),
    )


PAGES = (Page(path="/", template="products.html", view=products_view),)
ACTIONS: tuple[Action, ...] = ()
DOWNLOADS: tuple[Download, ...] = ()

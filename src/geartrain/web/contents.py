"""Everything that the room shows and takes, in the order of a product's life."""

from __future__ import annotations

from geartrain.web.pages import (
    fairness,
    features,
    feeds,
    incidents,
    ledger,
    over_time,
    people,
    products,
    promise,
    proposing,
    release,
    releases,
    review,
)
from geartrain.web.paging import Action, Download, Page

_ALL = (
    products,
    people,
    promise,
    proposing,
    over_time,
    releases,
    release,
    review,
    features,
    fairness,
    incidents,
    ledger,
    feeds,
)

PAGES: tuple[Page, ...] = tuple(page for module in _ALL for page in module.PAGES)
ACTIONS: tuple[Action, ...] = tuple(action for module in _ALL for action in module.ACTIONS)
DOWNLOADS: tuple[Download, ...] = tuple(file for module in _ALL for file in module.DOWNLOADS)

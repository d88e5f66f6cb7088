"""Which contract is in force for a product: the one that was adopted last, read back from its bytes."""

from __future__ import annotations

from functools import lru_cache

from geartrain.contract.parsing import parse
from geartrain.domain.contract import Contract
from geartrain.domain.events import ContractAdopted, Recorded
from geartrain.engine.workspace import Workspace


def adoptions(workspace: Workspace, product: str) -> tuple[Recorded, ...]:
    """Every adoption of a contract, oldest first."""
    return tuple(
        recorded for recorded in workspace.history(product) if isinstance(recorded.event, ContractAdopted)
    )


def text_in_force(workspace: Workspace, product: str) -> str | None:
    """The YAML of the contract that is in force, or None where none was adopted."""
    for recorded in reversed(workspace.history(product)):
        if isinstance(recorded.event, ContractAdopted):
            return workspace.blobs.get(recorded.event.text).decode()
    return None


def contract_in_force(workspace: Workspace, product: str) -> Contract | None:
    """The contract that is in force, or None where none was adopted."""
    text = text_in_force(workspace, product)
    return None if text is None else read_contract_text(text)


def contract_once_in_force(workspace: Workspace, product: str, id_: str) -> Contract | None:
    """The contract with that id, if it ever was in force for *product*."""
    for recorded in workspace.history(product):
        event = recorded.event
        if isinstance(event, ContractAdopted) and event.contract == id_:
            return read_contract_text(workspace.blobs.get(event.text).decode())
    return None


@lru_cache(maxsize=64)
def read_contract_text(text: str) -> Contract:
    """The contract that *text* says; the same text is read once.

    Raises:
        ContractInvalid: It says things that cannot hold.
    """
    return parse(text, origin="product.yaml")

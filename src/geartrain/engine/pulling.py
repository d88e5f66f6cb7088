"""The contract in force and the product's folder: the room may have changed one without the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geartrain.domain.digest import digest_bytes
from geartrain.domain.events import ContractAdopted, ProposalClosed
from geartrain.engine.adopted import adoptions, text_in_force
from geartrain.engine.products import CONTRACT_FILE
from geartrain.engine.workspace import Workspace
from geartrain.errors import ProductUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What `pull` did.

    Attributes:
        contract: The id of the contract in force, which the folder now says.
        written: Whether the file had to be written.
        kept: Where words of the folder went that no adopted contract holds; None where there were none.
    """

    contract: str
    written: bool
    kept: Path | None = None


def pull(workspace: Workspace, product: str, folder: Path) -> Pulled:
    """Write the contract in force into the product's *folder*.

    Words that stand only in the folder are not lost: a file whose text was never adopted is
    kept beside the new one.

    Raises:
        ProductUnknown: Nothing is in force for that product.
    """
    text = text_in_force(workspace, product)
    if text is None:
        raise ProductUnknown(
            "no contract of this product is in force here",
            found=product,
            hint="the first training adopts the folder's contract",
        )
    events = [one.event for one in adoptions(workspace, product)]
    known = {event.text for event in events if isinstance(event, ContractAdopted)}
    last = events[-1]
    assert isinstance(last, ContractAdopted)
    file, content = folder / CONTRACT_FILE, text.encode()
    standing = file.read_bytes() if file.exists() else b""
    if standing == content:
        return Pulled(contract=last.contract, written=False)
    kept = None
    if standing and digest_bytes(standing) not in known:
        kept = _free(file)
        kept.write_bytes(standing)
    put_contract(folder, content)
    return Pulled(contract=last.contract, written=True, kept=kept)


def replaced_by_proposal(workspace: Workspace, product: str, contract: str) -> bool:
    """Whether *contract* was in force until a signed proposal put another one in its place."""
    replaced, latest, proposed = False, "", False
    for recorded in workspace.history(product):
        match recorded.event:
            case ContractAdopted(contract=now):
                if now == contract:
                    replaced = False
                latest, before = now, latest
                proposed = before == contract
            case ProposalClosed(adopted=True):
                replaced = replaced or proposed
                proposed = False
            case _:
                pass
    return replaced and latest != contract


def put_contract(folder: Path, content: bytes) -> None:
    """Write the folder's contract; a reader sees the old one or the new one."""
    file = folder / CONTRACT_FILE
    partial = file.with_name(f".{CONTRACT_FILE}.adopted")
    partial.write_bytes(content)
    partial.replace(file)


def _free(file: Path) -> Path:
    """A name beside *file* that nothing has yet."""
    number = 1
    while (beside := file.with_name(f"{file.name}.mine-{number}")).exists():
        number += 1
    return beside

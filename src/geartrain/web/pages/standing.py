"""How a product's promises stand: what several pages ask of its releases' state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geartrain.domain.contract import Contract
from geartrain.domain.finding import Finding, Status
from geartrain.engine.adopted import contract_in_force
from geartrain.engine.living import latest_findings
from geartrain.errors import PageMissing
from geartrain.release.state import ReleaseRecord, ReleaseState
from geartrain.web.plain import Plain, plain_of
from geartrain.web.room import Asked

#: What asks for attention comes first.
WORST_FIRST = (Status.BROKEN, Status.UNPROVEN, Status.NOT_MEASURED, Status.KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """So many clauses have this finding."""

    status: Status
    count: int


def tallies(counted: Mapping[Status, int]) -> tuple[Tally, ...]:
    """The counts that are not zero, kept first as in the report."""
    order = (Status.KEPT, Status.BROKEN, Status.UNPROVEN, Status.NOT_MEASURED)
    return tuple(Tally(status=one, count=counted[one]) for one in order if counted.get(one))


def contract_of(asked: Asked) -> Contract:
    """The contract of the product that the address names.

    Raises:
        PageMissing: No such product has a contract here.
    """
    known = asked.product in asked.workspace.products()
    contract = contract_in_force(asked.workspace, asked.product) if known else None
    if known and contract is None:
        raise PageMissing(
            f"no contract of {asked.product} is in force yet, so there is nothing to show of it",
            found="rows were taken in, and nothing was trained",
            hint="`geartrain train` puts the contract in force; its pages are here from then on",
        )
    if contract is None:
        raise PageMissing("there is no such product in this workspace", found=asked.product)
    return contract


def words_of(asked: Asked) -> Plain:
    """What people call things in the product that the address names."""
    return plain_of(asked.workspace, contract_of(asked))


def subject_of(state: ReleaseState) -> ReleaseRecord | None:
    """The release whose findings speak for the product: the live one, else the one proposed last."""
    live = state.record(state.champion) if state.champion else None
    return live or (state.records[-1] if state.records else None)


def findings_now(state: ReleaseState, record: ReleaseRecord | None) -> dict[str, Finding]:
    """The latest finding of each clause about that release."""
    return latest_findings(state, record)

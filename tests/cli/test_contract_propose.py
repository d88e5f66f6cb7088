"""`geartrain contract propose`: from an incident to a proposal that the team signs or not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.cli.conftest import Shell

from geartrain.domain.contract import Cause
from geartrain.domain.events import IncidentOpened
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.engine.contract_changes import open_proposals
from geartrain.engine.products import load_product
from geartrain.engine.proposing import adopt
from geartrain.wiring import Settings, open_workspace

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_an_incident_is_turned_into_a_proposal(tiny: Path, shell: Shell) -> None:
    """Drafts are shown with their meaning; one is proposed by name, with the incident as its reason; the contract stays."""
    text = (
        (tiny / "product.yaml")
        .read_text()
        .replace("amount: {type: number, required: true", "amount: {type: number")
    )
    (tiny / "product.yaml").write_text(text)
    space = open_workspace(Settings(root=tiny / ".geartrain"))
    adopt(space, load_product(tiny), now=NOW, actor="ann")
    signal = Signal(
        kind="nulls", about="amount", measure="share", size=0.4, evidence=1e4, since=None, rows=90,
        message="`amount` is missing in 40 %",
    )  # fmt: skip
    incident = Incident(
        id="ab12", product="tiny", cause=Cause.COLUMN, owner=Role.ENGINEERING, opened_at=NOW, began_at=None,
        message=signal.message, first_action=FirstAction.REPAIR_COLUMN, signals=(signal,),
    )  # fmt: skip
    space.record("tiny", [IncidentOpened(incident=incident)], now=NOW)

    shown = shell(tiny, "contract", "propose", "--incident", "ab12")
    assert shown.code == 0, shown.err
    assert "1. refuse rows without `amount`" in shown.out
    assert "must sign again: " in shown.out
    assert open_proposals(space, "tiny") == ()
    assert shell(tiny, "contract", "propose", "--incident", "ab12", "--draft", "1").code == 2
    assert shell(tiny, "contract", "propose", "--incident", "ab12", "--draft", "2", "--as", "ann").code == 2
    assert shell(tiny, "contract", "propose", "--incident", "nothing").code == 1

    made = shell(tiny, "contract", "propose", "--incident", "ab12", "--draft", "1", "--as", "cyd", "--json")
    (proposal,) = open_proposals(space, "tiny")
    assert made.document["result"]["proposal"] == proposal.id
    assert (proposal.by, proposal.signed) == ("cyd", ())
    assert "incident ab12 (column): `amount` is missing in 40 %" in proposal.reason
    assert (tiny / "product.yaml").read_text() == text
    again = shell(tiny, "contract", "propose", "--incident", "ab12", "--draft", "1", "--as", "cyd")
    assert (again.code, "the same change is proposed already" in again.out) == (1, True)

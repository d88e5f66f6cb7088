"""`geartrain contract pull`, `geartrain room` and `geartrain up` on the way into the room."""

import shutil
from pathlib import Path

import pytest

from geartrain.cli.room import room_settings
from geartrain.engine.products import load_product
from geartrain.engine.proposing import adopt
from geartrain.errors import SettingInvalid
from geartrain.testing.ledger import NOON
from geartrain.wiring import Settings, open_workspace

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tumour-triage"


def test_pull_writes_the_contract_in_force(shell, tmp_path):
    """The command names the contract, and where one's own words went."""
    folder = tmp_path / "tumour-triage"
    shutil.copytree(EXAMPLE, folder)
    space = open_workspace(Settings(root=tmp_path / ".geartrain"))
    contract = load_product(folder).contract.id
    adopt(space, load_product(folder), now=NOON, actor="Ann")
    space.ledger.close()
    stands = shell(tmp_path, "contract", "pull", "-p", "tumour-triage", "--json")
    assert stands.code == 0, stands.err
    assert stands.document["result"] == {"contract": contract, "written": False, "kept": None}
    file = folder / "product.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("at_most: 0.25", "at_most: 0.1"), encoding="utf-8"
    )
    said = shell(tmp_path, "contract", "pull", "-p", "tumour-triage")
    assert "written into the folder" in said.out
    assert "product.yaml.mine-1" in said.out
    assert load_product(folder).contract.id == contract


def test_the_environment_says_how_the_room_is_reached():
    """Names, TLS and a provider; loopback is always there, and half a provider is refused."""
    alone = room_settings({})
    assert (alone.secure, alone.openid) == (False, None)
    assert "localhost" in alone.hosts
    told = room_settings(
        {
            "GEARTRAIN_ROOM_HOSTS": "room.example, other.example",
            "GEARTRAIN_ROOM_SECURE": "1",
            "GEARTRAIN_OPENID_ISSUER": "https://login.example",
            "GEARTRAIN_OPENID_CLIENT_ID": "room",
            "GEARTRAIN_OPENID_CLIENT_SECRET": "secret",
            "GEARTRAIN_OPENID_CLAIM": "email",
        }
    )
    assert set(told.hosts) == {*alone.hosts, "room.example", "other.example"}
    assert told.secure
    assert (told.openid.issuer, told.openid.claim) == ("https://login.example", "email")
    with pytest.raises(SettingInvalid, match="not how to ask it"):
        room_settings({"GEARTRAIN_OPENID_ISSUER": "https://login.example"})

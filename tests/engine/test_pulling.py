"""The folder follows the room: a contract that people replaced does not come back by the way."""

import shutil
from pathlib import Path

import pytest

from geartrain.domain.roles import Role
from geartrain.engine import contract_changes as changes
from geartrain.engine.adopted import contract_in_force, text_in_force
from geartrain.engine.folders import remember_folder
from geartrain.engine.products import load_product
from geartrain.engine.proposing import adopt
from geartrain.engine.pulling import pull
from geartrain.errors import ContractReplaced, ProductUnknown
from geartrain.wiring import Settings, open_workspace

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAME = "tumour-triage"


@pytest.fixture
def folder(tmp_path):
    """The folder of a product."""
    shutil.copytree(EXAMPLES / NAME, tmp_path / NAME)
    return tmp_path / NAME


@pytest.fixture
def space(tmp_path, folder, now):
    """A workspace in which the folder's contract is in force."""
    made = open_workspace(Settings(root=tmp_path / "space"))
    adopt(made, load_product(folder), now=now, actor="Ann")
    return made


def _changed_by_the_team(space, now, before, after):
    """The team signs a change of the text and puts it into force."""
    text = text_in_force(space, NAME)
    assert before in text
    said = changes.propose(space, NAME, text=text.replace(before, after), reason="x", person="Ann", now=now)
    base = contract_in_force(space, NAME)
    for role in Role:
        for person in base.holders(role)[:1]:
            changes.sign(space, NAME, said.id, role=role, person=person, now=now)
    assert changes.adopt_proposal(space, NAME, said.id, person="Paula Prada", now=now) is None
    return said.contract


def test_a_contract_that_people_replaced_does_not_come_back_by_the_way(space, folder, now):
    """The next training with the old file says so and changes nothing; after a pull it goes on."""
    old = load_product(folder)
    new = _changed_by_the_team(space, now, "at_most: 0.25", "at_most: 0.2")
    assert load_product(folder).contract.id == old.contract.id, "no folder was known, so none was written"
    with pytest.raises(ContractReplaced) as refused:
        adopt(space, old, now=now, actor="Ann")
    assert "geartrain contract pull" in refused.value.hint
    assert contract_in_force(space, NAME).id == new

    pulled = pull(space, NAME, folder)
    assert (pulled.contract, pulled.written, pulled.kept) == (new, True, None)
    assert load_product(folder).contract.id == new
    assert not adopt(space, load_product(folder), now=now, actor="Ann")
    assert not pull(space, NAME, folder).written


def test_people_may_go_back_by_signing(space, folder, now):
    """What was replaced comes back the way it went: by a proposal; then the old file is right again."""
    old = load_product(folder)
    _changed_by_the_team(space, now, "at_most: 0.25", "at_most: 0.2")
    assert _changed_by_the_team(space, now, "at_most: 0.2\n", "at_most: 0.25\n") == old.contract.id
    assert not adopt(space, old, now=now, actor="Ann")


def test_a_contract_of_ones_own_is_adopted_as_ever(space, folder, now):
    """Only what was replaced is refused: words that nobody has seen yet come into force as before."""
    _changed_by_the_team(space, now, "at_most: 0.25", "at_most: 0.2")
    file = folder / "product.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("at_most: 0.25", "at_most: 0.22"), encoding="utf-8"
    )
    assert adopt(space, load_product(folder), now=now, actor="Ann")


def test_the_folder_that_the_room_knows_is_written_at_once(space, folder, now):
    """Where the file still says what was replaced, it follows without a word."""
    remember_folder(space.root, NAME, folder)
    new = _changed_by_the_team(space, now, "at_most: 0.25", "at_most: 0.2")
    assert load_product(folder).contract.id == new


def test_words_that_stand_only_in_the_folder_are_kept(space, folder, now):
    """A pull never loses what somebody has written, however often."""
    new = _changed_by_the_team(space, now, "at_most: 0.25", "at_most: 0.2")
    file = folder / "product.yaml"
    for number, mine in enumerate(("mine: [", "mine again"), start=1):
        file.write_text(mine, encoding="utf-8")
        pulled = pull(space, NAME, folder)
        assert pulled.kept == folder / f"product.yaml.mine-{number}"
        assert pulled.kept.read_text(encoding="utf-8") == mine
        assert load_product(folder).contract.id == new


def test_nothing_in_force_is_said(space, folder):
    """A product that was never adopted has nothing to pull."""
    with pytest.raises(ProductUnknown):
        pull(space, "another", folder)

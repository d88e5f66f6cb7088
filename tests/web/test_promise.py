"""Promise: what is in force, how it stands, and how the team changes it."""

import yaml

from geartrain.domain.events import ContractAdopted, FindingsRecorded, ProposalSigned
from geartrain.engine.adopted import contract_in_force
from geartrain.engine.contract_changes import open_proposals, proposals

AT = "/products/shop/promise"
CHANGE = {"path": "success.expected_cost", "leaf-at_most": "4", "leaf-relative_to": "always-show",
          "leaf-because": "four is better", "leaf-owner": "product", "reason": "we can do more"}  # fmt: skip


def _proposed(browser, **changes):
    """Preview and propose as a person does; the proposal's id."""
    page = browser.act(f"{AT}/preview", **{**CHANGE, **changes})
    assert page.status_code == 200, page.text
    text = page.text.split('name="text" hidden>')[1].split("</textarea>")[0].replace("&#34;", '"')
    browser.act(f"{AT}/propose", text=text.replace("&gt;", ">").replace("&lt;", "<"), reason=CHANGE["reason"])
    return browser.team.workspace and open_proposals(browser.team.workspace, "shop")[0].id


def test_each_clause_stands_under_its_owner_with_its_finding(team):
    """Every clause of the contract is on the page, in words, with what was measured."""
    browser = team.signed_in("Visitor Vera")
    view = browser.twin(AT)
    shown = {line["path"]: line for group in view["groups"] for line in group["clauses"]}
    assert set(shown) == {clause.path for clause in team.contract.clauses}
    assert shown["success.expected_cost"]["status"] == "kept"
    assert shown["success.expected_cost"]["because"] == "it is a test"
    assert shown["success.expected_cost"]["history"]
    page = browser.page(AT)
    assert "The cost of a decision" in page or "the cost of a decision" in page
    assert "Nobody has promised anything about" in page


def test_the_first_page_lists_the_products(team):
    """The first page shows each product with the visitor's roles in it."""
    view = team.signed_in(team.holder("product")).twin("/")
    assert [(one["name"], one["roles"]) for one in view["products"]] == [("shop", ["product"])]
    assert view["products"][0]["live"]


def test_a_change_is_shown_in_meaning_before_anybody_sees_it(team):
    """A preview says tighter or looser and writes nothing down."""
    browser = team.signed_in("Visitor Vera")
    before = list(team.workspace.ledger.read_all())
    page = browser.act(f"{AT}/preview", **CHANGE).text
    assert "success.expected_cost.at_most" in page
    assert "tighter" in page
    assert list(team.workspace.ledger.read_all()) == before


def test_what_is_wrong_is_said_with_what_was_written(team):
    """A mistake costs nothing: the form comes back with the words and with what would be right."""
    browser = team.signed_in("Visitor Vera")
    answer = browser.act(f"{AT}/preview", **{**CHANGE, "leaf-at_most": "plenty"})
    assert answer.status_code == 422
    assert "plenty" in answer.text
    assert "to put right" in answer.text
    same = browser.act(f"{AT}/preview", **{**CHANGE, "leaf-at_most": "5", "leaf-because": "it is a test"})
    assert "means the same" in same.text
    broken = browser.act(f"{AT}/preview", text="product: [", reason="x")
    assert broken.status_code == 422
    assert "not YAML" in broken.text


def test_a_proposal_is_discussed_signed_and_adopted_by_its_owners(team):
    """Edit to adoption: only the owners' holders sign, once; the live release is judged again; the folder follows."""
    vera, owner = team.signed_in("Visitor Vera"), team.signed_in(team.holder("product"))
    id_ = _proposed(vera)
    at = f"{AT}/proposals/{id_}"
    vera.act(f"{at}/discuss", words="<script>alert(1)</script>")
    page = owner.page(at)
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page

    vera.act(f"{at}/sign", role="product")
    assert "does not hold product" in vera.said()
    owner.act(f"{at}/adopt")
    assert "must sign first" in owner.said()
    for one in vera.twin(at)["yeses"]:
        signer = team.signed_in(one["holders"][0])
        signer.act(f"{at}/sign", role=one["role"])
        signer.act(f"{at}/sign", role=one["role"])
        assert "has signed already" in signer.said()
    assert "Adopt it" not in vera.page(at)
    vera.act(f"{at}/adopt")
    assert "holds no role" in vera.said()
    assert "Adopt it" in owner.page(at)
    owner.act(f"{at}/adopt")

    assert contract_in_force(team.workspace, "shop").clause("success.expected_cost").bound == 4
    history = team.workspace.history("shop")
    adopted = [one for one in history if isinstance(one.event, ContractAdopted)][-1]
    assert adopted.actor == team.holder("product")
    assert [one.event.person for one in history if isinstance(one.event, ProposalSigned)]
    again = [one.event for one in history if isinstance(one.event, FindingsRecorded)][-1]
    assert again.contract == adopted.event.contract
    assert next(one for one in again.findings if one.clause == "success.expected_cost").bound == 4
    folder = yaml.safe_load((team.folder / "product.yaml").read_text(encoding="utf-8"))
    assert folder["success"]["expected_cost"]["at_most"] == 4
    assert proposals(team.workspace, "shop")[0].closed == "adopted"


def test_a_proposal_that_was_overtaken_cannot_be_adopted(team):
    """Who signed it read a different change."""
    owner = team.signed_in(team.holder("product"))
    first = _proposed(owner)
    second = _proposed(owner, **{"leaf-at_most": "3"})
    for id_ in (second,):
        for one in owner.twin(f"{AT}/proposals/{id_}")["yeses"]:
            team.signed_in(one["holders"][0]).act(f"{AT}/proposals/{id_}/sign", role=one["role"])
        owner.act(f"{AT}/proposals/{id_}/adopt")
    assert owner.twin(f"{AT}/proposals/{first}")["stale"]
    owner.act(f"{AT}/proposals/{first}/sign", role="product")
    assert "another contract came into force" in owner.said()


def test_a_folder_that_somebody_changed_is_left_alone(team):
    """The room does not write over what a person has written meanwhile."""
    file = team.folder / "product.yaml"
    written = file.read_text(encoding="utf-8").replace("it is a test", "it is being changed here")
    owner = team.signed_in(team.holder("product"))
    id_ = _proposed(owner)
    for one in owner.twin(f"{AT}/proposals/{id_}")["yeses"]:
        team.signed_in(one["holders"][0]).act(f"{AT}/proposals/{id_}/sign", role=one["role"])
    file.write_text(written, encoding="utf-8")
    owner.act(f"{AT}/proposals/{id_}/adopt")
    assert proposals(team.workspace, "shop")[0].closed == "adopted"
    assert file.read_text(encoding="utf-8") == written


def test_another_page_may_suggest_a_clause(team):
    """A yes on the feature page becomes a clause: the form is filled in by the address."""
    browser = team.signed_in("Visitor Vera")
    query = "add=rises_with_pages&rises_with=pages&at_most=0.05&because=more+pages%2C+more+interest"
    page = browser.page(f"{AT}/propose?{query}")
    assert 'name="leaf-rises_with" value="pages"' in page
    answer = browser.act(
        f"{AT}/preview", path="plausibility.rises_with_pages",
        **{"leaf-rises_with": "pages", "leaf-at_most": "0.05", "leaf-because": "more interest", "reason": "yes"},
    )  # fmt: skip
    assert "plausibility.rises_with_pages" in answer.text
    assert "added" in answer.text

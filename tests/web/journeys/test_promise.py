"""Changing what is promised, and being told when somebody else does."""

import yaml
from playwright.sync_api import expect

from geartrain.domain.events import ProposalSigned
from geartrain.engine.adopted import contract_in_force

from ..life import EVIL, live_in, propose_change, walk

AT = "/products/shop/promise"


def _accepting(page):
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def _edit_the_cost(page, bound, reason):
    """From the promise to the preview of another bound, as a person goes."""
    page.goto(f"{AT}#success.expected_cost")
    clause = page.locator('[id="success.expected_cost"]')
    clause.locator("summary").click()
    clause.get_by_role("link", name="Propose a change of this clause").click()
    page.locator("[name=leaf-at_most]").fill(bound)
    page.locator("[name=reason]").fill(reason)
    page.get_by_role("button", name="See what it means").click()


def test_a_clause_is_edited_proposed_signed_and_adopted(team, house):
    """From a number on the page to a contract in force: by whoever owns it, with the folder following."""
    vera, pia = house.arrive("Visitor Vera"), _accepting(house.arrive(team.holder("product")))
    _edit_the_cost(vera, "4", "we can do more than we said")
    expect(vera.get_by_role("heading", level=1)).to_be_visible()
    expect(vera.locator("main")).to_contain_text("tighter")
    vera.get_by_role("button", name="Propose").click()
    expect(vera.get_by_role("heading", level=1)).to_have_text("we can do more than we said")
    assert vera.get_by_role("button", name="Sign for").count() == 0
    assert vera.get_by_role("button", name="Adopt it").count() == 0
    pia.goto(AT)
    pia.get_by_role("link", name="1 proposal under discussion").click()
    pia.get_by_role("link", name="we can do more").click()
    pia.locator("[name=words]").fill("Four it is.")
    pia.get_by_role("button", name="Say it").click()
    expect(pia.locator("main")).to_contain_text("Four it is.")
    pia.get_by_role("button", name="Sign for product").click()
    expect(pia.get_by_role("status")).to_contain_text("signed for product")
    pia.get_by_role("button", name="Adopt it").click()
    expect(pia.get_by_role("status")).to_contain_text("in force")
    pia.goto(AT)
    expect(pia.locator('[id="success.expected_cost"]')).to_contain_text("4")
    folder = yaml.safe_load((team.folder / "product.yaml").read_text(encoding="utf-8"))
    assert folder["success"]["expected_cost"]["at_most"] == 4


def test_what_was_written_is_kept_when_something_in_it_is_wrong(house):
    """A mistake is told beside the words, which stay; put right, the change goes on."""
    page = house.arrive("Visitor Vera")
    _edit_the_cost(page, "plenty", "because I say so")
    expect(page.get_by_role("alert")).to_contain_text("to put right")
    assert page.locator("[name=leaf-at_most]").input_value() == "plenty"
    assert page.locator("[name=reason]").input_value() == "because I say so"
    page.locator("[name=leaf-at_most]").fill("3")
    page.get_by_role("button", name="See what it means").click()
    expect(page.get_by_role("button", name="Propose")).to_be_visible()


def test_a_question_that_is_declined_changes_nothing(team, house):
    """What cannot be taken back asks first, and "no" is an answer."""
    page = house.arrive(team.holder("product"))
    page.goto(propose_change(team))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Take it back").click()
    page.reload()
    expect(page.get_by_role("button", name="Take it back")).to_be_visible()


def test_a_page_follows_what_others_do(team, house):
    """Somebody signs elsewhere: the open page shows it by itself, without being loaded again."""
    at = propose_change(team)
    reader, signer = house.arrive("Visitor Vera"), house.arrive(team.holder("product"))
    with reader.expect_response("**/changes"):
        reader.goto(at)
    reader.evaluate("window.notLoadedAgain = true")
    signer.goto(at)
    signer.get_by_role("button", name="Sign for product").click()
    expect(reader.locator("main")).to_contain_text(f"{team.holder('product')} says yes")
    assert reader.evaluate("window.notLoadedAgain")


def test_a_page_in_which_somebody_writes_is_left_alone(team, house):
    """News is announced, and not one typed word is lost."""
    at = propose_change(team)
    writer, signer = house.arrive("Visitor Vera"), house.arrive(team.holder("product"))
    with writer.expect_response("**/changes"):
        writer.goto(at)
    writer.locator("[name=words]").fill("I am not done wri")
    signer.goto(at)
    signer.get_by_role("button", name="Sign for product").click()
    expect(writer.get_by_role("link", name="Something was decided meanwhile")).to_be_visible()
    assert writer.locator("[name=words]").input_value() == "I am not done wri"


def test_without_javascript_everything_is_there_and_can_be_done(team, house):
    """Plain forms and links: read, propose, sign, adopt, sign out."""
    page = house.arrive(team.holder("product"), java_script_enabled=False)
    _edit_the_cost(page, "4", "no script was run for this")
    page.get_by_role("button", name="Propose").click()
    page.get_by_role("button", name="Sign for product").click()
    page.get_by_role("button", name="Adopt it").click()
    expect(page.get_by_role("status")).to_contain_text("in force")
    assert contract_in_force(team.workspace, "shop").clause("success.expected_cost").bound == 4
    chapters = page.locator("nav a")
    for number in range(chapters.count()):
        name = chapters.nth(number).inner_text()
        chapters.nth(number).click()
        expect(page.locator("nav [aria-current=page]")).to_have_text(name)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.locator("summary", has_text=team.holder("product")).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_with_the_keyboard_alone(team, house):
    """Tab, Enter and letters reach the form of a clause, send it and sign it; the focus is always to be seen."""
    page = house.arrive(team.holder("product"))
    page.goto(AT)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()

    def tab_to(role, name):
        for _ in range(120):
            page.keyboard.press("Tab")
            target = page.get_by_role(role, name=name).first
            if target.count() and target.evaluate("it => it === document.activeElement"):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", name
                return
        raise AssertionError(f"the keyboard does not reach {role} {name!r}")

    tab_to("link", "Propose a change")
    page.keyboard.press("Enter")
    page.wait_for_url("**/propose")
    tab_to("textbox", "The contract")
    page.evaluate("document.activeElement.setSelectionRange(0, 0)")
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(team.product.text.replace("at_most: 5", "at_most: 4"))
    tab_to("textbox", "Why should it change?")
    page.keyboard.type("typed, not clicked")
    tab_to("button", "See what it means")
    page.keyboard.press("Enter")
    page.wait_for_url("**/preview")
    tab_to("button", "Propose")
    page.keyboard.press("Enter")
    page.wait_for_url("**/proposals/*")
    tab_to("button", "Sign for product")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("signed for product")
    signed = [one for one in team.workspace.history("shop") if isinstance(one.event, ProposalSigned)]
    assert [one.actor for one in signed] == [team.holder("product")]


def test_hostile_words_run_in_nobodys_browser(team, house):
    """Whatever was typed into a title, a reason, a remark or a feed is shown as typed; no script of it runs."""
    live_in(team)
    page = house.arrive(team.accounts.people()[0].person)
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    shown = 0
    for addresses in walk(team.signed_in(team.accounts.people()[0].person)).values():
        page.goto(addresses[0])
        assert "owned" not in page.title().replace(EVIL, "")
        assert page.locator("main img[src=x], main svg[onload], main script").count() == 0
        shown += EVIL[:12] in page.locator("main").inner_text()
    assert shown >= 4
    assert dialogs == []

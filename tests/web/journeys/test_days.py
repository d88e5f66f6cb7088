"""The days after: judging decisions, asking about features, looking closer at a span, mending a feed."""

from playwright.sync_api import expect

from geartrain.domain.events import DecisionReviewed

from ..life import bad_delivery, log_decisions

AT = "/products/shop"


def test_a_real_decision_is_judged_and_becomes_a_rule(team, house):
    """An expert reads one decision, disagrees with words, sees what others said, and takes a rule from it to the form."""
    log_decisions(team)
    person = team.holder("domain")
    page = house.arrive(person)
    page.goto(f"{AT}/review")
    expect(page.get_by_role("heading", name="Why it was answered so")).to_be_visible()
    page.get_by_label("I disagree").check()
    other = page.locator("[name=right] option:not([value=''])").first.get_attribute("value")
    page.locator("[name=right]").select_option(other)
    page.locator("[name=reason]").fill("Whoever looks at twelve pages is curious.")
    page.get_by_role("button", name="Write it down").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    reviews = [one for one in team.workspace.history("shop") if isinstance(one.event, DecisionReviewed)]
    assert [one.actor for one in reviews] == [person]
    expect(page.locator("main")).to_contain_text("Whoever looks at twelve pages is curious.")
    page.get_by_role("link", name="Propose:").first.click()
    expect(page.get_by_role("button", name="See what it means")).to_be_visible()


def test_a_feature_is_asked_about_and_the_answer_is_a_clause(team, house):
    """From what the answers rest on to one feature's curve to a clause in the form, filled in."""
    page = house.arrive(team.holder("domain"))
    page.goto(f"{AT}/features")
    page.locator("main").get_by_role("link", name="Pages").first.click()
    expect(page.locator("main figure").first).to_be_visible()
    page.locator(".actions a.button").first.click()
    expect(page.locator("[name=leaf-because]")).to_be_visible()
    page.locator("[name=leaf-because]").fill("who looks around buys")
    page.locator("[name=reason]").fill("the curve looks right to me")
    page.get_by_role("button", name="See what it means").click()
    expect(page.locator("main")).to_contain_text("plausibility.")


def test_a_span_is_chosen_and_its_address_shows_the_same_to_somebody_else(team, house):
    """The zoom stands in the address: whoever gets it sees the same span, and going back goes back."""
    log_decisions(team, of_visits=True)
    page = house.arrive(team.holder("product"))
    page.goto(f"{AT}/over-time")
    for _ in range(40):
        if page.locator("form.zoom").count() and page.locator("main figure").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    page.locator("[name=from]").fill("2026-03-10")
    page.locator("[name=to]").fill("2026-03-20")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("[name=from]")).to_have_value("2026-03-10")
    assert "from=2026-03-10" in page.url
    other = house.arrive("Visitor Vera")
    other.goto(page.url)
    expect(other.locator("[name=to]")).to_have_value("2026-03-20")
    assert other.locator("main figure").count() == page.locator("main figure").count() > 0
    page.go_back()
    assert "from=2026-03-10" not in page.url


def test_rows_in_quarantine_are_mended_and_sent_again(team, house):
    """From the feed's number to the rows that wait, a repair tried before it is done, and none left waiting."""
    bad_delivery(team)
    page = house.arrive(team.holder("engineering"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{AT}/feeds")
    page.locator("main a[href$='/feeds/visits']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Quarantine of visits")
    page.locator("[name=repair]").fill("device = 'phone'")
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_role("heading", name="What it would do")).to_be_visible()
    page.get_by_role("button", name="rows again").click()
    expect(page.get_by_role("status").first).to_contain_text("Done")
    page.goto(f"{AT}/feeds/visits")
    expect(page.locator("main")).to_contain_text("No row of visits waits.")

"""A release on its way: four signatures, a changed byte, live and back; an incident to its end."""

from playwright.sync_api import expect

from geartrain.domain.events import IncidentClosed, RetrainingAsked, RolledBack, SignedOff
from geartrain.domain.roles import Role

from ..life import open_incident

AT = "/products/shop/releases"


def test_a_release_is_signed_by_four_people_and_goes_live(waiting, open_house):
    """Each signs for their own role in their own browser; only then the step to live is open; then it goes back."""
    team, release = waiting
    house = open_house(team)
    before = team.workspace.releases("shop").champion
    for role in Role:
        page = house.arrive(team.holder(role))
        page.goto(f"{AT}/{release}")
        assert page.get_by_role("button", name="Sign for").count() == 1
        page.get_by_label("What convinced you").fill(f"read by {role}")
        page.get_by_role("button", name=f"Sign for {role}").click()
        expect(page.get_by_role("status")).to_contain_text("signed")
        assert page.get_by_role("button", name="Sign for").count() == 0
    given = [one for one in team.workspace.history("shop") if isinstance(one.event, SignedOff)]
    ours = [one for one in given if one.event.sign_off.release == release]
    assert [one.actor for one in ours] == [team.holder(role) for role in Role]
    page.on("dialog", lambda dialog: dialog.accept())
    for _ in range(4):
        if team.workspace.releases("shop").champion == release:
            break
        page.get_by_role("button", name="Take the next step").click()
        expect(page.get_by_role("status")).to_contain_text("Done")
    assert team.workspace.releases("shop").champion == release
    page.goto(AT)
    page.get_by_label("Why").fill("the old one was cheaper")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    assert team.workspace.releases("shop").champion == before
    assert isinstance(team.workspace.history("shop")[-1].event, RolledBack)


def test_one_changed_byte_makes_every_signature_void(team, house):
    """The names are struck out, the page says why, and neither a signature nor a step can be given."""
    state = team.workspace.releases("shop")
    signed = next(one.id for one in reversed(state.records) if one.id != state.champion)
    page = house.arrive(team.holder("science"))
    page.goto(f"{AT}/{signed}")
    assert page.locator(".void").count() == 0
    file = next(one for one in (team.root / "bundles" / signed).rglob("*") if one.suffix == ".onnx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    page.reload()
    expect(page.get_by_role("alert").first).to_contain_text("This is not what was signed")
    assert page.locator("s").all_inner_texts() == [team.holder(role) for role in Role]
    assert page.locator(".void").count() == 4
    assert page.get_by_role("button", name="Sign for").count() == 0
    page.on("dialog", lambda dialog: dialog.accept())
    step = page.get_by_role("button", name="Take the next step")
    if step.count():
        step.click()
        expect(page.get_by_role("status")).to_contain_text("may not answer anybody")
    assert team.workspace.releases("shop").champion == state.champion


def test_an_incident_goes_from_its_evidence_to_its_action_to_its_end(team, house):
    """Its owner reads what it costs, asks for a retraining, writes down what was learned and ends it."""
    open_incident(team)
    page = house.arrive(team.holder("science"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/products/shop/incidents")
    page.locator("main a[href*='/incidents/']").first.click()
    expect(page.locator("main")).to_contain_text("31.5")
    page.locator("form[action$='/act'] button").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    page.get_by_label("Write down what you see").fill("It began with the holiday.")
    page.get_by_role("button", name="Write it down").click()
    expect(page.locator("main")).to_contain_text("It began with the holiday.")
    page.get_by_label("What was learned").fill("Holidays are a feature.")
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("status")).to_contain_text("Done")
    kinds = [type(one.event) for one in team.workspace.history("shop") if one.actor == team.holder("science")]
    assert RetrainingAsked in kinds
    assert kinds[-1] is IncidentClosed


def test_who_holds_no_role_reads_everything_and_is_offered_nothing(team, house):
    """A visitor sees the same findings as the team, and no button that would be refused."""
    open_incident(team)
    page = house.arrive("Visitor Vera")
    for path in (
        AT,
        f"{AT}/{team.workspace.releases('shop').champion}",
        "/products/shop/incidents/incident-retrain",
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        offered = page.locator("main button").all_inner_texts()
        assert not [one for one in offered if one != "Write it down"], (path, offered)


def test_documents_and_history_are_saved_as_files(team, house):
    """A download is a file with a name, and the room stays where it is."""
    page = house.arrive("Visitor Vera", accept_downloads=True)
    page.goto(f"{AT}/{team.workspace.releases('shop').champion}")
    with page.expect_download() as kept:
        page.get_by_role("link", name="model-card.md").click()
    assert kept.value.suggested_filename.endswith("model-card.md")
    page.goto("/products/shop/ledger")
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download the history").click()
    assert kept.value.suggested_filename == "shop-ledger.jsonl"


def test_the_ledger_says_what_was_live_and_finds_what_was_changed(team, house):
    """Asked for a time it names the release; after somebody changed an entry behind its back it says so."""
    import sqlite3

    page = house.arrive("Visitor Vera")
    page.goto("/products/shop/ledger")
    page.get_by_role("link", name="Verify the chain").click()
    expect(page.get_by_role("status")).to_contain_text("nothing was changed")
    page.get_by_label("Time (UTC)").fill("2001-01-01")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("main")).to_contain_text("Nothing was live then.")
    with sqlite3.connect(team.root / "ledger.db") as database:
        database.execute("UPDATE events SET actor = 'Eve' WHERE position = 3")
    page.goto("/products/shop/ledger?verify=1")
    expect(page.get_by_role("status")).to_contain_text("position 3")

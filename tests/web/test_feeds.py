"""Feeds: what arrives and what waits; only who answers for a source mends its rows, and sees what is sensitive in them."""

import polars as pl
import pytest

from geartrain.domain.contract import Contract
from geartrain.domain.events import ContractAdopted, RowsRepaired
from geartrain.engine.adopted import contract_in_force
from geartrain.engine.ingesting import Door
from geartrain.engine.repairing import rules_of

AT = "/products/shop/feeds"
VISITS = f"{AT}/visits"


@pytest.fixture
def careful(team):
    """The shop with a sensitive visitor and five visits whose pages came a hundredfold, one hostile."""
    text = (team.folder / "product.yaml").read_text()
    text = text.replace(
        "visitor: {type: string, required: true, feature: false}",
        "visitor: {type: string, required: true, feature: false, sensitive: true}",
    )
    text = text.replace("      key: visit_id\n", "      key: visit_id\n      rows_per_day: 4\n")
    from geartrain.engine.adopted import read_contract_text

    contract: Contract = read_contract_text(text)
    adopted = ContractAdopted(
        product="shop", contract=contract.id, text=team.workspace.blobs.put(text.encode())
    )
    team.workspace.record("shop", [adopted], now=team.now)
    rows = pl.DataFrame(
        {
            "visit_id": [f"late-{place}" for place in range(5)],
            "visitor": ["Mrs Secret"] * 5,
            "pages": [1200.0, 1300.0, 2500.0, 4000.0, 999999.0],
            "device": ["phone"] * 4 + ["<script>alert(1)</script>"],
            "at": ["2026-05-30T10:00:00"] * 5,
            "bought": ["yes"] * 5,
            "vistor": ["Mrs Secret, misspelt"] * 5,
        }
    )
    Door(team.workspace, contract).take("visits", rows, content=b"late", now=team.now)
    assert contract_in_force(team.workspace, "shop").id == contract.id
    return team


def test_each_source_says_what_came_how_fresh_and_how_good(careful):
    """Rows, quarantine, promises as of now, fields, the promised least on the line."""
    browser = careful.signed_in("Visitor Vera")
    page, twin = browser.page(AT), browser.twin(AT)
    visits, clicks = twin["feeds"][1], twin["feeds"][0]
    assert (visits["name"], visits["rows"], visits["bad"], visits["waiting"]) == ("visits", 320, 5, 5)
    assert (clicks["name"], clicks["rows"], clicks["waiting"]) == ("clicks", 320, 0)
    assert visits["chart"]["bound"][0] == 4
    assert "promised: at least 4" in page
    assert [one["name"] for one in visits["fields"] if one["sensitive"]] == ["visitor"]
    promise = visits["promises"][0]
    assert promise["finding"]["clause"] == "data.visits.rows_per_day"
    assert promise["measured"] == "0 good rows in the last 24 hours"
    assert f'href="{VISITS}"' in page


def test_the_quarantine_counts_reasons_and_hides_what_is_sensitive(careful):
    """A visitor sees why rows wait, and neither the sensitive column nor one that may be it misspelt."""
    vera = careful.signed_in("Visitor Vera")
    page, twin = vera.page(VISITS), vera.twin(VISITS)
    assert twin["reasons"][0] == {"words": "pages: is above 1000", "rows": 5}
    assert "Mrs Secret" not in page
    assert "Mrs Secret" not in vera.get(f"{VISITS}.json").text
    assert "Sensitive columns are hidden" in page
    assert "<script>alert" not in page
    shown = {cell["name"]: cell["value"] for cell in twin["rows"][0]["cells"]}
    assert (shown["pages"], shown["visitor"], shown["vistor"]) == ("1200.0", "hidden", "hidden")
    eva = careful.signed_in(careful.holder("engineering"))
    assert "Mrs Secret" in eva.page(VISITS)
    chosen = vera.twin(f"{VISITS}?reason=device%3A+is+not+one+of+phone%2C+desk")
    assert (chosen["chosen"], len(chosen["rows"])) == (1, 1)


def test_a_repair_is_seen_before_it_is_done(careful):
    """How many would pass, what each becomes, and that nothing has changed yet."""
    eva = careful.signed_in(careful.holder("engineering"))
    page = eva.page(f"{VISITS}?repair=pages+%3D+pages+%2F+100")
    preview = eva.twin(f"{VISITS}?repair=pages+%3D+pages+%2F+100")["preview"]
    assert (preview["rows"], preview["accepted"], preview["still_bad"]) == (5, 4, 1)
    assert preview["shown"][0] == {"key": "late-0", "columns": [["pages", "1200.0", "12.0"]]}
    assert "Send 5 rows again" in page
    assert eva.twin(VISITS)["waiting"] == 5
    assert not [one for one in careful.workspace.history("shop") if isinstance(one.event, RowsRepaired)]


def test_who_may_not_repair_learns_nothing_from_trying(careful):
    """A condition on a hidden column would tell its value by counting: others get no preview."""
    probe = "?repair=pages+%3D+1+if+visitor+%3D%3D+%27Mrs+Secret%27+else+9999"
    vera = careful.signed_in("Visitor Vera")
    assert vera.twin(f"{VISITS}{probe}")["preview"] is None
    vera.act(f"{VISITS}/repair", repair="pages = pages / 100", reason="")
    assert "does not hold engineering" in vera.said()
    assert vera.twin(VISITS)["waiting"] == 5


def test_a_repair_goes_through_the_door_in_a_persons_name(careful):
    """Rows that pass are in the lake, the ledger says who did it, the others wait as they came."""
    eva = careful.signed_in(careful.holder("engineering"))
    answer = eva.act(f"{VISITS}/repair", repair="pages = pages / 100", reason="pages: is above 1000")
    assert answer.status_code == 303
    assert "5 rows sent again: 4 accepted, 0 known already, 1 still in quarantine" in eva.said()
    (told,) = [one for one in careful.workspace.history("shop") if isinstance(one.event, RowsRepaired)]
    assert told.actor == careful.holder("engineering")
    assert (told.event.repaired, told.event.still_bad) == (4, 1)
    rows = pl.from_arrow(careful.workspace.lake.scan("shop/visits"))
    assert sorted(rows.filter(pl.col("visit_id").str.starts_with("late"))["pages"]) == [
        12.0,
        13.0,
        25.0,
        40.0,
    ]
    assert eva.twin(VISITS)["waiting"] == 1
    eva.act(f"{VISITS}/repair", repair="pages = pages / 100", reason="no such reason")
    assert "no such row waits" in eva.said()


def test_a_repair_keeps_to_the_rows_of_its_whole_reason(careful):
    """The beginning of a reason is another reason; quotes in one are no matter."""
    eva = careful.signed_in(careful.holder("engineering"))
    eva.act(f"{VISITS}/repair", repair="pages = pages / 100", reason="pages: is above 100")
    assert "no such row waits" in eva.said()
    preview = eva.twin(f"{VISITS}?reason=device%3A+is+not+one+of+phone%2C+desk&repair=device+%3D+'phone'")[
        "preview"
    ]
    assert preview["rows"] == 1


@pytest.mark.parametrize(
    "wrong", ["pages", "pages = ", "pages = 1 +", "pages = nonsense(2)", "_row = 1", "pages = 1\npages = 2"]
)
def test_a_repair_that_cannot_be_read_changes_nothing(careful, wrong):
    """What is wrong is said, before and instead of doing it."""
    eva = careful.signed_in(careful.holder("engineering"))
    eva.act(f"{VISITS}/repair", repair=wrong, reason="")
    assert eva.said()
    assert eva.twin(VISITS)["waiting"] == 5
    assert eva.client.get(VISITS, params={"repair": wrong}).status_code == 200
    assert eva.client.get(f"{VISITS}.json", params={"repair": wrong}).json()["wrong"]


def test_a_forged_form_and_an_unknown_source_are_refused(careful):
    """Without the session's own proof nothing is sent; an unknown source is no page."""
    eva = careful.signed_in(careful.holder("engineering"))
    assert eva.send(f"{VISITS}/repair", repair="pages = 1", proof="guess").status_code == 403
    assert eva.get(f"{AT}/nowhere").status_code == 404
    assert eva.twin(VISITS)["waiting"] == 5


def test_repairs_are_read_line_by_line():
    """A column and an expression a line; an equals sign in the expression is its own."""
    assert rules_of("a = b == 1\n\n c=2 ") == {"a": "b == 1", "c": "2"}
    assert rules_of("") == {}
    assert "mended twice" in rules_of("a = 1\na = 2")

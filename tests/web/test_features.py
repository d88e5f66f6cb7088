"""Features: what the answers rest on, the curves, and the question whether that is plausible."""

import re
from html import unescape
from itertools import pairwise

import pytest

from geartrain.engine.proposing import report_of_release

AT = "/products/shop/features"


@pytest.fixture
def kept(team):
    """The explanation that the live release was judged with."""
    champion = team.workspace.releases("shop").champion
    return report_of_release(team.workspace, "shop", champion).explanation


def test_features_stand_in_the_order_of_their_shares(team, kept):
    """Every feature of the release, with its share and interval as it was measured."""
    browser = team.signed_in("Visitor Vera")
    view, page = browser.twin(AT), unescape(browser.page(AT))
    assert {one["name"] for one in view["features"]} == {one.name for one in team.product.features.features}
    told = [(one["name"], one["share"]["share"]) for one in view["features"] if one["share"]]
    assert told == [(one.feature, pytest.approx(one.share)) for one in kept.shares]
    assert view["method"] == kept.method
    silent = {one["name"]: one["silent"] for one in view["features"] if not one["share"]}
    assert silent == {one.feature: one.reason for one in kept.silent}
    for words in ("who looks around buys", "sealed rows", "sum of weight over clicks of the same visitor"):
        assert words.casefold() in page.casefold(), words


def test_every_leading_feature_has_its_curve_with_band_and_density(team, kept):
    """The line is the measured one; the rows of its cells add up to the rows that have a value."""
    browser = team.signed_in("Visitor Vera")
    assert {one.feature for one in kept.curves} == {one.feature for one in kept.shares}
    curve = next(one for one in kept.curves if one.feature == "pages")
    view = browser.twin(f"{AT}/pages")
    (series,) = view["line_chart"]["series"]
    assert [value for _, value in series["points"]] == pytest.approx([one.effect for one in curve.points])
    assert len(series["band"]) == len(curve.points)
    points = view["density"]["series"][0]["points"]
    rows = sum(left[1] * (right[0] - left[0]) for left, right in pairwise(points))
    assert rows == pytest.approx(sum(one.rows for one in curve.points))
    page = unescape(browser.page(f"{AT}/pages"))
    assert "Where the rows are" in page
    assert "the probability of “bought: yes”, against its mean" in page
    assert "who looks around buys" in page


def test_only_the_domain_role_is_asked(team):
    """The others read whom it is asked of."""
    asked, other = team.signed_in(team.holder("domain")), team.signed_in(team.holder("science"))
    assert len(asked.twin(f"{AT}/pages")["questions"]) == 4
    assert "Yes: the answer should rise with it" in asked.page(f"{AT}/pages")
    assert other.twin(f"{AT}/pages")["questions"] == []
    assert f"asked of the domain role: {team.holder('domain')}" in other.page(f"{AT}/pages")


def test_who_cannot_tell_is_written_down_and_shown(team):
    """The answer is an event with its actor, the page and the twin show the last of each person; others may not give it."""
    at, domain, vera = f"{AT}/pages", team.signed_in(team.holder("domain")), team.signed_in("Visitor Vera")
    vera.act(f"{at}/cannot-tell", reason="no idea")
    assert "asked of the domain role" in vera.said()
    assert domain.twin(at)["left_open"] == []
    for reason in ("first thoughts", "I never saw <b>one</b>"):
        domain.act(f"{at}/cannot-tell", reason=reason)
    event = team.workspace.history("shop")[-1]
    assert (type(event.event).__name__, event.actor) == ("FeatureLeftOpen", team.holder("domain"))
    (said,) = vera.twin(at)["left_open"]
    assert (said["person"], said["reason"]) == (team.holder("domain"), "I never saw <b>one</b>")
    assert "could not tell" in vera.page(at)
    assert "<b>one</b>" not in vera.page(at)
    assert domain.act(f"{AT}/nothing/cannot-tell").status_code == 404


def test_a_category_neither_rises_nor_falls(team):
    """Of a category only whether it may matter is asked."""
    questions = team.signed_in(team.holder("domain")).twin(f"{AT}/device")["questions"]
    assert [one["words"].split(":")[0] for one in questions] == ["No", "No"]


@pytest.mark.parametrize("place", range(4))
def test_an_answer_becomes_a_clause_that_the_contract_understands(team, place):
    """The form is filled in, its preview says what the clause means, and the proposal is the person's."""
    browser = team.signed_in(team.holder("domain"))
    question = browser.twin(f"{AT}/pages")["questions"][place]
    form = browser.page(question["address"])
    fields = {
        name: unescape(value)
        for name, value in re.findall(
            r'<(?:input|textarea)[^>]* name="(leaf-[a-z_]+)"[^>]*?(?:value="|>)([^"<]*)', form
        )
    }
    assert fields["leaf-because"] == "who looks around buys"
    path = re.search(r'name="path" value="([^"]+)"', form).group(1)
    seen = browser.act("/products/shop/promise/preview", path=path, reason="I know the trade", **fields)
    assert seen.status_code == 200, unescape(seen.text)[:2000]
    assert path in seen.text
    assert "plausibility" in seen.text


def test_what_the_contract_says_is_shown_with_its_finding(team):
    """A clause that names the feature stands on its page; one that does not, does not."""
    browser = team.signed_in(team.holder("domain"))
    assert "No clause speaks about it" in browser.page(f"{AT}/pages")
    text = (
        team.product.text
        + 'plausibility:\n  more_pages: {rises_with: pages, because: "<b>curious</b> people buy"}\n'
    )
    from geartrain.contract.parsing import parse
    from geartrain.domain.events import ContractAdopted

    event = ContractAdopted(
        product="shop", contract=parse(text, origin="x").id, text=team.workspace.blobs.put(text.encode())
    )
    team.workspace.record("shop", [event], now=team.now, actor=team.holder("product"))
    (mention,) = browser.twin(f"{AT}/pages")["feature"]["mentions"]
    assert (mention["path"], mention["status"]) == ("plausibility.more_pages", "not measured")
    assert "the answer does not fall when pages rises" in unescape(browser.page(f"{AT}/pages"))
    assert browser.twin(f"{AT}/device")["feature"]["mentions"] == []


def test_what_is_not_there_is_told(team):
    """An unknown feature is no page; a release that cannot be read says so, and the page stands."""
    browser = team.signed_in("Visitor Vera")
    assert browser.get(f"{AT}/<script>alert(1)<%2Fscript>").status_code == 404
    champion = team.workspace.releases("shop").champion
    (team.root / "bundles" / champion / "rule.json").write_bytes(b"{}")
    assert "not byte for byte what was signed" in browser.page(AT)
    assert browser.get(f"{AT}/pages").status_code == 404


def test_a_product_without_a_release_says_what_would_fill_the_page(team):
    """Nothing was trained yet: no error, and a way on."""
    text = team.product.text.replace("name: shop", "name: kiosk")
    from geartrain.contract.parsing import parse
    from geartrain.domain.events import ContractAdopted

    event = ContractAdopted(
        product="kiosk", contract=parse(text, origin="x").id, text=team.workspace.blobs.put(text.encode())
    )
    team.workspace.record("kiosk", [event], now=team.now, actor=team.holder("product"))
    browser = team.signed_in("Visitor Vera")
    assert "There is no release yet" in browser.page("/products/kiosk/features")
    assert browser.get("/products/kiosk/features/pages").status_code == 404

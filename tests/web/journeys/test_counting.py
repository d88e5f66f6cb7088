"""A page whose figures are being counted says so, asks again by itself, and shows them when they are there."""

from __future__ import annotations

from threading import Event

import pytest

from geartrain.engine import costs_counted, counting

from ..life import log_decisions

AT = "/products/shop/over-time"
WAITS = "being counted for the first time"


@pytest.fixture
def held_up(team, monkeypatch):
    """The costs of the shop's decisions, which nobody has counted yet and which are counted once this is set."""
    log_decisions(team, of_visits=True)
    may_begin, count = Event(), costs_counted.count_costs
    monkeypatch.setattr(counting, "WAIT_S", 0.01)

    def waiting(*told, **more):
        may_begin.wait(30)
        return count(*told, **more)

    monkeypatch.setattr(costs_counted, "count_costs", waiting)
    yield may_begin
    may_begin.set()


@pytest.mark.parametrize("javascript", [True, False], ids=["with a script", "without JavaScript"])
def test_a_page_that_is_being_counted_renews_itself(team, house, held_up, javascript):
    """It says what is being done, looks again while nothing is there, and then shows the line, untouched by anybody."""
    looks = []
    page = house.arrive(team.holder("product"), java_script_enabled=javascript)
    page.on("request", lambda request: looks.append(request.url) if request.url.endswith(AT) else None)

    page.goto(AT)
    assert WAITS in page.get_by_role("main").inner_text()
    assert page.locator("main svg").count() == 0
    page.wait_for_event("request", lambda request: request.url.endswith(AT))
    assert len(looks) > 1, "it looks again though nothing has come"
    held_up.set()

    page.get_by_role("heading", name="Totals of the span").wait_for()
    assert WAITS not in page.get_by_role("main").inner_text()
    assert page.locator("main svg").count() > 0
    assert page.url.endswith(AT)
    assert page.locator("main [data-renew]").count() == 0, "what has come is not asked for again"

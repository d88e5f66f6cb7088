"""One incident with the right cause and owner, and no second one for what it explains."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from geartrain.domain.contract import Cause, MonitoringTerms
from geartrain.domain.incident import FirstAction, Signal
from geartrain.domain.roles import Role
from geartrain.monitoring.triage import Side, SideChange, Triage, recaused, triage

DAY = timedelta(days=1)


@pytest.fixture
def signal(now):
    def make(kind: str, about: str = "x", *, days_ago: float = 2, evidence: float = 1e4) -> Signal:
        return Signal(
            kind=kind,
            about=about,
            measure="m",
            size=1.0,
            evidence=evidence,
            since=now - days_ago * DAY,
            rows=100,
            message=f"{kind} of {about}",
        )

    return make


@pytest.mark.parametrize(
    ("kinds", "cause", "owner", "action"),
    [
        (["silent-feed"], Cause.FEED, Role.ENGINEERING, FirstAction.REPAIR_FEED),
        (["silent-feed", "nulls", "drift", "cost"], Cause.FEED, Role.ENGINEERING, FirstAction.REPAIR_FEED),
        (["unit", "drift", "cost"], Cause.COLUMN, Role.ENGINEERING, FirstAction.REPAIR_COLUMN),
        (["label-feed", "cost"], Cause.LABEL_FEED, Role.DOMAIN, FirstAction.REPAIR_LABELS),
        (["drift"], Cause.POPULATION, Role.SCIENCE, FirstAction.WATCH),
        (["drift", "cost"], Cause.POPULATION, Role.SCIENCE, FirstAction.RETRAIN),
        (["cost", "cost-trigger"], Cause.CONCEPT, Role.DOMAIN, FirstAction.RETRAIN),
        (["calibration"], Cause.CONCEPT, Role.DOMAIN, FirstAction.ASK_LABELS),
        (["skew"], Cause.MODEL, Role.SCIENCE, FirstAction.ROLL_BACK),
        (["something new"], Cause.MODEL, Role.SCIENCE, FirstAction.ROLL_BACK),
    ],
)
def test_each_cause_calls_its_owner_once(contract, now, signal, kinds, cause, owner, action):
    """Signals that began together are one incident, of the cheapest cause, with its owner and first action."""
    found = triage(tuple(signal(kind) for kind in kinds), contract=contract, now=now)

    assert [(one.cause, one.owner, one.first_action) for one in found.opened] == [(cause, owner, action)]
    assert len(found.opened[0].signals) == len(kinds)
    assert found.opened[0].began_at == now - 2 * DAY


def test_cost_right_after_a_release_is_the_model_side(contract, now, signal):
    """A rise that began after a release went live is first answered by rolling back; one from before is not."""
    after = triage((signal("cost"),), contract=contract, now=now, live_since=now - 3 * DAY)
    before = triage((signal("cost"),), contract=contract, now=now, live_since=now - DAY)
    fed = triage((signal("cost"), signal("nulls")), contract=contract, now=now, live_since=now - 3 * DAY)

    assert [(one.cause, one.first_action) for one in after.opened] == [(Cause.MODEL, FirstAction.ROLL_BACK)]
    assert [one.cause for one in before.opened] == [Cause.CONCEPT]
    assert [one.cause for one in fed.opened] == [Cause.COLUMN]


def test_a_proven_change_of_concept_outranks_drift(contract, now, signal, split):
    """Where the concept's part of the loss is shown, drift is a child of the concept incident."""
    found = triage((signal("drift"), signal("cost")), contract=contract, now=now, split=split(concept=0.2))

    assert [one.cause for one in found.opened] == [Cause.CONCEPT]
    assert len(found.opened[0].signals) == 2


def test_what_began_long_before_is_an_incident_of_its_own(contract, now, signal):
    """A feed that stopped today does not explain a cost that rose a month ago."""
    found = triage((signal("silent-feed"), signal("cost", days_ago=30)), contract=contract, now=now)

    assert [one.cause for one in found.opened] == [Cause.FEED, Cause.CONCEPT]


def test_two_feeds_are_two_incidents_and_two_columns_one(contract, now, signal):
    """Sources are repaired one by one; columns that broke together broke for one reason."""
    feeds = triage((signal("silent-feed", "a"), signal("silent-feed", "b")), contract=contract, now=now)
    columns = triage((signal("unit", "a"), signal("nulls", "b")), contract=contract, now=now)

    assert len(feeds.opened) == 2
    assert len(columns.opened) == 1


def test_the_same_signals_again_change_nothing(contract, now, signal):
    """Triage is idempotent: an open incident is not opened, updated or closed by its own signals."""
    signals = (signal("unit", "amount"), signal("drift", "total"), signal("cost"))
    opened = triage(signals, contract=contract, now=now).opened

    assert triage(signals, contract=contract, now=now + DAY, open_incidents=opened) == Triage()


def test_later_children_fold_into_the_open_incident(contract, now, signal):
    """Cost that rises while a drift incident is open updates it, and the first action with it."""
    opened = triage((signal("drift"),), contract=contract, now=now).opened

    found = triage((signal("drift"), signal("cost")), contract=contract, now=now + DAY, open_incidents=opened)

    assert found.opened == ()
    assert [(one.id, one.first_action) for one in found.updated] == [(opened[0].id, FirstAction.RETRAIN)]
    assert "cost of `x`" in found.updated[0].message


def test_a_cheaper_cause_found_later_takes_over(contract, now, signal):
    """A concept incident ends when a broken column of the same days explains it."""
    opened = triage((signal("cost"),), contract=contract, now=now).opened

    found = triage((signal("cost"), signal("unit")), contract=contract, now=now + DAY, open_incidents=opened)

    assert [one.cause for one in found.opened] == [Cause.COLUMN]
    assert [one.incident for one in found.closed] == [opened[0].id]
    assert found.opened[0].id in found.closed[0].reason


def test_an_incident_ends_after_a_quiet_window(contract, now, signal):
    """It stays open while quiet for less than the window, and a relapse starts the count again."""
    opened = triage((signal("silent-feed"),), contract=contract, now=now).opened

    first = triage((), contract=contract, now=now + DAY, open_incidents=opened)
    still = triage((), contract=contract, now=now + 6 * DAY, open_incidents=opened, quiet=first.quiet)
    ended = triage((), contract=contract, now=now + 8 * DAY, open_incidents=opened, quiet=still.quiet)
    relapse = triage(
        (signal("silent-feed"),),
        contract=contract,
        now=now + 7 * DAY,
        open_incidents=opened,
        quiet=still.quiet,
    )

    assert first.closed == still.closed == ()
    assert [one.incident for one in ended.closed] == [opened[0].id]
    assert relapse.quiet == ()


def test_what_merely_followed_does_not_keep_an_incident_open(contract, now, signal):
    """A repaired feed's incident ends though the cost still rings; then the cost is its own."""
    opened = triage((signal("silent-feed"), signal("cost")), contract=contract, now=now).opened

    first = triage((signal("cost"),), contract=contract, now=now + DAY, open_incidents=opened)
    ended = triage(
        (signal("cost"),), contract=contract, now=now + 9 * DAY, open_incidents=opened, quiet=first.quiet
    )
    after = triage((signal("cost"),), contract=contract, now=now + 10 * DAY)

    assert [one.incident for one in ended.closed] == [opened[0].id]
    assert [one.cause for one in after.opened] == [Cause.CONCEPT]


def test_a_clock_that_goes_back_closes_nothing(contract, now, signal):
    """Time running backwards starts the quiet count anew."""
    opened = triage((signal("silent-feed"),), contract=contract, now=now).opened
    first = triage((), contract=contract, now=now + DAY, open_incidents=opened)

    back = triage((), contract=contract, now=now - 30 * DAY, open_incidents=opened, quiet=first.quiet)

    assert back.closed == ()
    assert back.quiet[0].since == now - 30 * DAY


def test_signals_without_a_beginning_and_contracts_without_owners(contract, now, signal):
    """An unknown beginning counts as now; without a monitoring section engineering is called."""
    bare = replace(contract, monitoring=None)

    found = triage((replace(signal("cost"), since=None),), contract=bare, now=now)

    assert [(one.owner, one.began_at) for one in found.opened] == [(Role.ENGINEERING, None)]
    assert triage((), contract=bare, now=now) == Triage()


def test_a_cost_that_other_cases_explain_is_the_population_s(contract, now, signal, split):
    """Where the split shows other cases and no other concept, a rise of cost calls who owns the population."""
    found = triage((signal("cost"),), contract=contract, now=now, split=split(covariate=0.3, concept=0.0))

    assert [(one.cause, one.first_action) for one in found.opened] == [
        (Cause.POPULATION, FirstAction.RETRAIN)
    ]


def test_a_concept_that_is_proven_later_takes_over_from_the_population(contract, now, signal, split):
    """A drift incident ends when the cost that follows is proven to come from another concept."""
    opened = triage((signal("drift"),), contract=contract, now=now).opened

    found = triage(
        (signal("drift"), signal("cost")),
        contract=contract,
        now=now + DAY,
        open_incidents=opened,
        split=split(concept=0.3),
    )

    assert [one.cause for one in found.opened] == [Cause.CONCEPT]
    assert [one.incident for one in found.closed] == [opened[0].id]


@pytest.mark.parametrize(
    ("kinds", "proof", "cause", "owner", "action"),
    [
        (["drift"], {"concept": 0.3}, Cause.CONCEPT, Role.DOMAIN, FirstAction.ASK_LABELS),
        (["drift", "cost"], {"concept": 0.3}, Cause.CONCEPT, Role.DOMAIN, FirstAction.RETRAIN),
        (["cost"], {"covariate": 0.3, "concept": 0.0}, Cause.POPULATION, Role.SCIENCE, FirstAction.RETRAIN),
    ],
)
def test_a_proof_that_comes_late_moves_the_open_incident(
    contract, now, signal, split, kinds, proof, cause, owner, action
):
    """The same incident, under its old id, names the cause that is proven by now, calls its owner and says so."""
    (old,) = triage(tuple(signal(kind) for kind in kinds), contract=contract, now=now).opened

    new = recaused(old, split(**proof), contract.monitoring or MonitoringTerms())

    assert (new.id, new.cause, new.owner, new.first_action) == (old.id, cause, owner, action)
    assert "by now it is proven that" in new.message
    assert recaused(new, split(**proof), contract.monitoring or MonitoringTerms()) == new


def test_a_proof_of_nothing_moves_nothing(contract, now, signal, split):
    """An interval that holds 0 leaves the incident as it is."""
    (old,) = triage((signal("drift"),), contract=contract, now=now).opened

    assert recaused(old, split(concept=0.0), contract.monitoring or MonitoringTerms()) == old


@pytest.mark.parametrize(
    ("side", "kind", "action"),
    [
        (Side.CONTRACT, "cost", FirstAction.CHANGE_CONTRACT),
        (Side.RELEASE, "cost", FirstAction.ROLL_BACK),
        (Side.RELEASE, "latency", FirstAction.ROLL_BACK),
        (None, "latency", FirstAction.FALL_BACK),
    ],
)
def test_the_model_side_names_what_changed_there(contract, now, signal, side, kind, action):
    """Release, contract or neither: each is answered otherwise, and the incident says what it followed."""
    changes = () if side is None else (SideChange(at=now - 3 * DAY, side=side, words="it was changed"),)

    found = triage((signal(kind),), contract=contract, now=now, changes=changes)

    assert [(one.cause, one.first_action) for one in found.opened] == [(Cause.MODEL, action)]
    assert bool(found.opened[0].side_change) == bool(changes)


def test_a_category_that_nobody_knew_asks_for_another_contract(contract, now, signal):
    """A kind of case that is really new is no broken column: the contract has to say what it means."""
    found = triage((signal("new-category"),), contract=contract, now=now)

    assert [(one.cause, one.first_action) for one in found.opened] == [
        (Cause.POPULATION, FirstAction.CHANGE_CONTRACT)
    ]

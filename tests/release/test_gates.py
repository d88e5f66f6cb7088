"""Gates open only for what is proven or waived."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.clause import Severity, Stage
from geartrain.domain.finding import Status
from geartrain.domain.release import Waiver
from geartrain.domain.roles import Role
from geartrain.release.gates import due, gates

VALUES = {Status.KEPT: 0.97, Status.UNPROVEN: 0.92, Status.BROKEN: 0.8, Status.NOT_MEASURED: None}


def waiver(made, clause="success.recall", *, days=10.0, since=0.0):
    return Waiver(
        release="r",
        clause=clause,
        reason="the hospital gathers more samples",
        role=Role.DOMAIN,
        person="Dana",
        granted_at=made.start + timedelta(days=since),
        expires_at=made.start + timedelta(days=days),
    )


@pytest.mark.parametrize("status", list(Status))
def test_only_kept_passes_without_a_waiver(made, status) -> None:
    """Broken, unproven and not measured all block; unproven is never rounded up."""
    found = made.finding(made.clause(), VALUES[status])

    result = gates((found,), (), made.start)

    assert found.status is status
    assert result.passed is (status is Status.KEPT)
    assert result.blocking == (() if status is Status.KEPT else (found,))


def test_a_waiver_lets_its_own_clause_pass_until_it_expires(made) -> None:
    """From its expiry on the clause blocks again, and the result says which waiver ran out."""
    found = made.finding(made.clause(), 0.92)
    given_ = waiver(made, days=10)

    before = gates((found,), (given_,), made.start + timedelta(days=10, seconds=-1))
    after = gates((found,), (given_,), made.start + timedelta(days=10))

    assert before.passed
    assert before.waived[0].waiver == given_
    assert not after.passed
    assert after.expired == (given_,)
    assert not gates((found,), (waiver(made, "budget.latency"),), made.start).passed


def test_a_waiver_does_not_hold_before_it_was_granted(made) -> None:
    """Permission is not retroactive."""
    found = made.finding(made.clause(), 0.8)

    assert not gates((found,), (waiver(made, since=2),), made.start + timedelta(days=1)).passed


def test_warnings_never_block_and_are_told(made) -> None:
    """A warning clause that is broken is in the result, not in the way."""
    found = made.finding(made.clause(severity=Severity.WARN), 0.5)

    result = gates((found,), (), made.start)

    assert result.passed
    assert result.warnings == (found,)


def test_a_clause_without_a_finding_blocks(made) -> None:
    """Silence about a promise is no permission."""
    result = gates((), (), made.start, clauses=(made.clause(),))

    assert [one.status for one in result.blocking] == [Status.NOT_MEASURED]
    assert "success.recall" in result.sentence


def test_the_latest_stage_speaks_for_a_clause(made) -> None:
    """Compression judged the model that is released; training judged its reference."""
    training = made.finding(made.clause(), 0.97, stage=Stage.TRAINING)
    compressed = made.finding(made.clause(), 0.8, stage=Stage.COMPRESSION)

    assert not gates((compressed, training), (), made.start).passed


def test_a_waiver_for_a_kept_clause_is_told_as_unneeded(made) -> None:
    """Permissions that nothing needs are shown, so that somebody lets them go."""
    result = gates((made.finding(made.clause()),), (waiver(made),), made.start)

    assert result.unneeded == (waiver(made),)
    assert (result.waived, result.kept) == ((), 1)


def test_clauses_that_are_only_checked_live_are_not_due_at_release(made) -> None:
    """A release need not prove what only traffic can show."""
    live = made.clause("data.freshness", stages=(Stage.LIVE,))
    both = made.clause("success.cost", stages=(Stage.RELEASE, Stage.LIVE))

    assert due((live, both, made.clause())) == (both, made.clause())


@given(
    values=st.lists(st.sampled_from([0.97, 0.92, 0.8, None]), min_size=1, max_size=5),
    waived=st.sets(st.integers(0, 4)),
    more=st.sampled_from([0.97, 0.92, 0.8, None]),
)
@settings(max_examples=60)
def test_more_findings_never_open_a_closed_gate(made, values, waived, more) -> None:
    """Adding a clause to the evidence can only close the gates, never open them."""
    found = [made.finding(made.clause(f"success.{place}"), value) for place, value in enumerate(values)]
    waivers = [waiver(made, f"success.{place}") for place in sorted(waived)]
    added = made.finding(made.clause("success.added"), more)

    before = gates(found, waivers, made.start).passed
    after = gates([*found, added], waivers, made.start).passed

    assert after <= before

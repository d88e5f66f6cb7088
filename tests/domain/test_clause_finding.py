"""Judging: a promise is kept only when the bad end of the interval keeps it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.domain.clause import Clause, Comparison, Mark, Severity, Stage
from geartrain.domain.digest import digest
from geartrain.domain.finding import Finding, Guarantee, Measurement, Status, judge
from geartrain.domain.roles import Role
from geartrain.domain.wire import decode, encode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: From "no" to "yes".
ORDER = [Status.BROKEN, Status.UNPROVEN, Status.KEPT]


def _clause(bound: float, comparison: Comparison = Comparison.AT_LEAST, **more: object) -> Clause:
    return Clause(
        path="success.recall", metric="recall", comparison=comparison, bound=bound, owner=Role.DOMAIN, **more
    )  # type: ignore[arg-type]


def _judged(clause: Clause, measurement: Measurement | None, reason: str = "") -> Finding:
    return judge(clause, measurement, stage=Stage.TRAINING, now=NOW, reason=reason)


@pytest.mark.parametrize(
    ("comparison", "bound", "status"),
    [
        (Comparison.AT_LEAST, 0.90, Status.KEPT),
        (Comparison.AT_LEAST, 0.92, Status.KEPT),  # the bound itself keeps the promise
        (Comparison.AT_LEAST, 0.95, Status.UNPROVEN),
        (Comparison.AT_LEAST, 0.99, Status.UNPROVEN),
        (Comparison.AT_LEAST, 0.995, Status.BROKEN),
        (Comparison.AT_MOST, 0.995, Status.KEPT),
        (Comparison.AT_MOST, 0.99, Status.KEPT),
        (Comparison.AT_MOST, 0.95, Status.UNPROVEN),
        (Comparison.AT_MOST, 0.92, Status.UNPROVEN),
        (Comparison.AT_MOST, 0.91, Status.BROKEN),
    ],
)
def test_the_interval_decides(comparison: Comparison, bound: float, status: Status) -> None:
    """Kept, broken, or unproven while the bound lies inside."""
    seen = Measurement(value=0.97, low=0.92, high=0.99, rows=114, relevant=42)

    assert _judged(_clause(bound, comparison), seen).status is status


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_measured_is_said_so(value: float | None) -> None:
    """With its reason; it blocks like anything that is not kept."""
    seen = None if value is None else Measurement(value=value, low=0, high=1)

    found = _judged(_clause(0.9), seen, "no positive row")

    assert found.status is Status.NOT_MEASURED
    assert found.message == "recall: not measured, no positive row"
    assert found.blocks


def test_a_warning_never_blocks() -> None:
    """Severity decides what a broken promise does."""
    seen = Measurement.exact(0.5)

    assert _judged(_clause(0.9), seen).blocks
    assert not _judged(_clause(0.9, severity=Severity.WARN), seen).blocks


def test_rows_still_needed_follow_from_the_interval() -> None:
    """Half the distance needs four times the rows: 42 positives with a half-width of .05 at a distance of .025."""
    seen = Measurement(value=0.975, low=0.925, high=0.99, rows=114, relevant=42)

    found = _judged(_clause(0.95), seen)

    assert found.relevant_needed == 42 * 4 - 42
    assert found.rows_needed == math.ceil(126 * 114 / 42)
    assert "about 126 more relevant rows would settle it" in found.message


def test_no_number_of_rows_settles_a_value_on_its_bound() -> None:
    """Then nothing is promised about rows."""
    found = _judged(_clause(0.97), Measurement(value=0.97, low=0.9, high=0.99, rows=100))

    assert found.status is Status.UNPROVEN
    assert (found.rows_needed, found.relevant_needed) == (None, None)


def test_a_finding_survives_the_wire() -> None:
    """decode(encode(finding)) is the finding."""
    found = _judged(_clause(0.95), Measurement(value=0.97, low=0.92, high=0.99, rows=114))

    assert decode(encode(found), Finding) == found


def test_the_place_in_the_text_is_no_part_of_a_clause() -> None:
    """A clause that moved by a line is the same clause."""
    one, other = _clause(0.9, mark=Mark(line=3, column=1)), _clause(0.9, mark=Mark(line=9, column=2))

    assert one == other
    assert digest(one) == digest(other)


FINITE = st.floats(-1e6, 1e6)


@settings(max_examples=300)
@given(
    ends=st.tuples(FINITE, FINITE, FINITE).map(sorted),
    bounds=st.tuples(FINITE, FINITE).map(sorted),
    comparison=st.sampled_from(Comparison),
    rows=st.integers(0, 10**6),
)
def test_a_stricter_bound_never_rescues(
    ends: list[float], bounds: list[float], comparison: Comparison, rows: int
) -> None:
    """Asking for more never turns a no into a yes, on either side."""
    low, value, high = ends
    seen = Measurement(value=value, low=low, high=high, rows=rows)
    lax, strict = bounds if comparison is Comparison.AT_LEAST else reversed(bounds)

    before, after = _judged(_clause(lax, comparison), seen), _judged(_clause(strict, comparison), seen)

    assert ORDER.index(after.status) <= ORDER.index(before.status)


@settings(max_examples=200)
@given(
    ends=st.tuples(FINITE, FINITE, FINITE).map(sorted), bound=FINITE, comparison=st.sampled_from(Comparison)
)
def test_better_evidence_never_contradicts(ends: list[float], bound: float, comparison: Comparison) -> None:
    """An exact fact inside the interval agrees with every kept or broken that the interval gave."""
    low, value, high = ends
    clause = _clause(bound, comparison)
    vague = _judged(clause, Measurement(value=value, low=low, high=high, rows=10)).status

    if vague is not Status.UNPROVEN:
        assert _judged(clause, Measurement.exact(value)).status is vague


@settings(max_examples=200)
@given(
    value=st.floats(0, 1),
    half=st.floats(0, 1),
    bound=st.floats(0, 1),
    rows=st.integers(1, 10**6),
    share=st.floats(0, 1),
)
def test_rows_needed_are_sane(value: float, half: float, bound: float, rows: int, share: float) -> None:
    """More than none, no fewer rows than relevant ones, and only where something is unproven."""
    relevant = round(rows * share)
    found = _judged(
        _clause(bound),
        Measurement(value=value, low=value - half, high=value + half, rows=rows, relevant=relevant),
    )

    if found.relevant_needed is not None:
        assert found.status is Status.UNPROVEN
        assert found.relevant_needed >= 1
        assert found.rows_needed is not None
        assert found.rows_needed >= found.relevant_needed
    if found.status is not Status.UNPROVEN:
        assert found.rows_needed is None


def test_a_finding_says_for_how_many_looks_it_holds() -> None:
    """What a measurement guarantees stays with its finding; a fact needs no guarantee."""
    seen = Measurement(value=0.97, low=0.92, high=0.99)
    once = _judged(_clause(0.9), seen)
    always = _judged(_clause(0.9), replace(seen, guarantee=Guarantee.AT_ALL_TIMES))

    assert (once.guarantee, once.holds_at_all_times) == (Guarantee.ONE_LOOK, False)
    assert (always.guarantee, always.holds_at_all_times) == (Guarantee.AT_ALL_TIMES, True)
    assert _judged(_clause(0.9), Measurement.exact(1.0)).holds_at_all_times
    assert decode(encode(always), Finding) == always


def test_findings_from_before_the_guarantee_keep_their_digest_and_their_word() -> None:
    """One look is what was meant where nothing was said: same bytes. An old method that says more is believed."""
    once = _judged(_clause(0.9), Measurement(value=0.97, low=0.92, high=0.99, method="bootstrap"))
    assert b"guarantee" not in encode(once)
    assert digest(once) != digest(replace(once, guarantee=Guarantee.AT_ALL_TIMES))

    old = encode(replace(once, method="empirical-Bernstein confidence sequence, at all times at once"))
    assert decode(old, Finding).holds_at_all_times

"""Rows that the door refuses are noticed, with the column to blame."""

from __future__ import annotations

from datetime import timedelta

from geartrain.monitoring.refusals import Refused, watch_refusals


def _days(now, shares, *, rows=200):
    return [
        Refused(
            source="payments",
            at=now - timedelta(days=len(shares) - 1 - place),
            rows=rows,
            refused=round(share * rows),
            reasons=(("amount: is above 1500", round(share * rows)), ("x: is missing", 1)),
        )
        for place, share in enumerate(shares)
    ]


def test_a_jump_of_refused_rows_names_the_column(now):
    """From one in a hundred to one in three in a day: a broken column, called by its name."""
    found = watch_refusals(_days(now, [0.01] * 7 + [0.33]), now=now)

    assert [(one.kind, one.about) for one in found] == [("refused", "amount")]
    assert "33%" in found[0].message
    assert "above 1500" in found[0].message


def test_what_is_usual_is_not_told(now):
    """A feed that was always untidy, a few bad rows, a handful of rows and no rows at all say nothing new."""
    assert watch_refusals(_days(now, [0.3] * 8), now=now) == ()
    assert watch_refusals(_days(now, [0.0] * 7 + [0.04]), now=now) == ()
    assert watch_refusals(_days(now, [0.0] * 7 + [1.0], rows=5), now=now) == ()
    assert watch_refusals((), now=now) == ()

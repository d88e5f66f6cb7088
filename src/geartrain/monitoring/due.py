"""Which labels were due, and how many of them came in time: what the label feed is watched by."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.monitoring.feeds import FEWEST_DUE, LATE, LabelArrivals

#: Marks a decision about which nothing is known.
UNKNOWN = -1


def label_arrivals(
    decided_us: NDArray[np.int64],
    known_us: NDArray[np.int64],
    *,
    now: datetime,
    delay_s: float,
    window_s: float,
) -> LabelArrivals:
    """What became of the labels that fell due in the last *window_s* seconds.

    A label is due `LATE` times the promised delay after its decision, and after one window
    where no delay is promised: nobody has said how its labels come, one by one or in a
    weekly file. Every decision is
    asked the same question, whether its label had come by then, so that older decisions,
    which had more time, do not make newer ones look bad. The usual share is that of the
    decisions whose labels fell due before the window; None where there were too few.

    Args:
        decided_us: When each decision was made, shape (n,), microseconds since 1970 UTC.
        known_us: When its label arrived, shape (n,); `UNKNOWN` where none has.
        now: The end of the window.
        delay_s: The delay that the contract promises.
        window_s: The window's length.
    """
    now_us, window_us = round(now.timestamp() * 1e6), round(window_s * 1e6)
    due_us = decided_us + round((delay_s * LATE or window_s) * 1e6)
    told = known_us != UNKNOWN
    in_time = told & (known_us <= due_us)
    recent = (due_us > now_us - window_us) & (due_us <= now_us)
    earlier = due_us <= now_us - window_us
    fresh = told & (known_us > now_us - window_us) & (known_us <= now_us)
    delays = (known_us - decided_us)[fresh]
    return LabelArrivals(
        due=int(recent.sum()),
        labelled=int((recent & in_time).sum()),
        usual_share=float(in_time[earlier].mean()) if int(earlier.sum()) >= FEWEST_DUE else None,
        median_delay_s=float(np.median(delays)) / 1e6 if len(delays) else None,
        since=datetime.fromtimestamp((now_us - window_us) / 1e6, tz=UTC),
    )

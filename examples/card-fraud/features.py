"""What the model may look at: the payment itself, and what card and terminal did before.

The window on `chargebacks` looks at frauds that were *known* by the time of the payment:
a fraud becomes known about seven days late, and nothing here reaches past that.
"""

from __future__ import annotations

from geartrain.features.declaring import feature_set, request, window

features = feature_set(
    request("amount", unit="EUR", because="thieves take more at once"),
    request("channel", type="category", missing_is_signal=True, because="no card is present online"),
    request("hour", "hour(at)", because="honest people sleep"),
    request("weekend", "weekday(at) >= 5", because="habits differ"),
    *window(
        "transactions",
        entity="card_id",
        over=("1h", "1d", "7d", "28d"),
        count=True,
        mean="amount",
        owner="domain",
        because="a stolen card is used more, and for more, than its owner does",
    ),
    *window(
        "transactions",
        entity="card_id",
        over=("28d",),
        time_since=True,
        max="amount",
        owner="domain",
        because="bursts of payments are a thief's hurry",
    ),
    *window(
        "transactions",
        entity="terminal_id",
        over=("1d", "7d"),
        count=True,
        owner="domain",
        because="a terminal under attack is busier than usual",
    ),
    *window(
        "chargebacks",
        entity="terminal_id",
        over=("14d", "28d"),
        ratio="is_fraud",
        owner="domain",
        because="a terminal that was tampered with keeps stealing until somebody notices",
    ),
)

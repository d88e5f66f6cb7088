"""The Fraud Detection Handbook's 15 features (Le Borgne et al. 2022, chapter 3.4), declared.

The book's windows hold the payment itself and reach over (t - w, t]; ours are [t - w, t),
strictly before the decision. So what the book counts is said on top: one more payment,
and the mean with this amount in it. Whether a terminal's payments were frauds becomes
known seven days after them; `delay` is the book's own, the arrival time of the labels
keeps it honest.
"""

from __future__ import annotations

from datetime import timedelta

from geartrain.domain.features import Feature, FeatureSet
from geartrain.features.declaring import feature_set, request, window

_HABITS = "a stolen card is used more, and for more, than its owner does"
_TERMINAL = "a terminal that was tampered with keeps stealing until somebody notices"


def declared(*, edge: timedelta = timedelta()) -> FeatureSet:
    """The 15 features, and beside them the windows that they are made of.

    An *edge* of a microsecond moves our windows' edges to the book's: all times are whole
    seconds, so [t - w + 1 us, t) is (t - w, t), and a delay of 7 days less 1 us ends at
    t - 7 d, included.
    """
    windows: list[Feature] = []
    made: list[Feature] = []
    for days in (1, 7, 30):
        width = timedelta(days=days)
        count, mean = window(
            "payments", entity="customer", over=width - edge, count=True, mean="amount",
            owner="domain", because=_HABITS,
        )  # fmt: skip
        known, risk = window(
            "outcomes", entity="terminal", over=width, delay=timedelta(days=7) - edge, count=True, ratio="is_fraud",
            owner="domain", because=_TERMINAL,
        )  # fmt: skip
        windows += [count, mean, known, risk]
        with_itself = f"({mean.name} * {count.name} + amount) / ({count.name} + 1)"
        made += [
            request(f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW", f"{count.name} + 1", because=_HABITS),
            request(
                f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW",
                f"amount if is_null({mean.name}) else {with_itself}",
                unit="EUR",
                because=_HABITS,
            ),
            request(f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW", known.name, because=_TERMINAL),
            request(
                f"TERMINAL_ID_RISK_{days}DAY_WINDOW",
                f"0 if is_null({risk.name}) else {risk.name}",
                because=_TERMINAL,
            ),
        ]
    return feature_set(
        request("TX_AMOUNT", "amount", unit="EUR", because="thieves take more at once"),
        request("TX_DURING_WEEKEND", "weekday(at) >= 5", because="habits differ"),
        request("TX_DURING_NIGHT", "hour(at) <= 6", because="honest people sleep"),
        *windows,
        *made,
    )


#: What `geartrain` reads in a product's folder.
features = declared()

"""The room `features`: declared once, run in two ways that agree to the bit.

In: definitions (`declaring`), decision rows, the sources' events with both clocks.
Out: feature values as known then (`offline`), the same values while a client waits
(`online`), the float32 rows that models read (`encoding`), and the number of cells in
which served and recomputed values differ (`consistency`). The rule that both sides
follow is written in `geartrain.domain.features`.

    >>> import polars as pl
    >>> from datetime import UTC, datetime, timedelta
    >>> from geartrain.features.declaring import feature_set, window
    >>> from geartrain.features.offline import point_in_time
    >>> from geartrain.features.online import OnlineFeatures
    >>> features = feature_set(*window("paid", entity="card", over="1d", count=True, mean="amount"))
    >>> then = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in (0, 3, 6)]
    >>> paid = pl.DataFrame({"id": [1, 2, 3], "card": "a", "amount": [5.0, 7.0, 9.0],
    ...                      "_event_time": then, "_arrival_time": then})
    >>> point_in_time(features, paid, {"paid": paid}, keys={"paid": "id"}).rows()
    [(0.0, None), (1.0, 5.0), (2.0, 6.0)]
    >>> online = OnlineFeatures(features, keys={"paid": "id"})
    >>> online.apply_rows("paid", paid)
    3
    >>> online.read({"card": "a"}, int(then[2].timestamp() * 1e6))
    {'card_count_1d': 2.0, 'card_mean_amount_1d': 6.0}
"""

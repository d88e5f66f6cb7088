"""What is known when the half hour begins: the market now, and how it was before."""

from __future__ import annotations

from geartrain.features.declaring import feature_set, request, window

features = feature_set(
    *(request(name) for name in ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")),
    request("day", type="category"),
    *window("market", entity="market", over=("45m",), last="nswprice"),
    *window("market", entity="market", over=("3h", "1d"), mean="nswprice", min="nswprice", max="nswprice"),
    request("half_hours", "floor(period * 47.5)"),
)

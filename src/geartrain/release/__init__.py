"""The room `release`: what is signed, what may pass, what is live.

In come a contract, a model's bytes and its findings; out come a bundle of safe files whose
every byte one id covers (`bundle`), an answer whether it may pass (`gates`), and the
events that move it (`commands`, `rollout`). State is a fold over those events (`state`).

>>> from geartrain.release.state import EMPTY, fold, live_at
>>> fold(()) == EMPTY, EMPTY.champion
(True, None)
>>> from datetime import UTC, datetime
>>> live_at(EMPTY, datetime(2026, 1, 1, tzinfo=UTC)).release is None
True
"""

"""A replayed product goes back to a release that stands by once that is proven to decide cheaper."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np

from geartrain.adapters.workflows import MemoryWorkflows
from geartrain.domain.events import RolledBack
from geartrain.domain.wire import encode
from geartrain.engine import releasing
from geartrain.engine.bench import Builder
from geartrain.engine.bundles import load_bundle
from geartrain.engine.diary import Diary
from geartrain.engine.loop import Loop
from geartrain.features.online import OnlineFeatures
from geartrain.retraining.course import Lately

NAME = "shop"


def as_built(space, release):
    """What a build says of its release: its profile, and what each sealed row cost."""
    profile = load_bundle(space, release).profile
    return {
        "release": release,
        "profile": space.blobs.put(profile),
        "costs": space.blobs.put(encode([1.0] * 100)),
    }


def test_a_former_champion_that_is_proven_cheaper_comes_back(the_shop):
    """The evening rolls back with the test's words as the reason; where both cost the same the champion stays."""
    space, product, now = the_shop.workspace(), the_shop.product, datetime.now(UTC)
    documents = {one: as_built(space, one) for one in (the_shop.first, the_shop.second)}
    assert releasing.accepted(
        releasing.promote(space, product.contract, release=the_shop.second, now=now, reason="better")
    )
    loop = Loop(
        workspace=space,
        product=product,
        builder=Builder(workspace=space, product=product, clock_ns=time.perf_counter_ns, timings=1),
        workflows=MemoryWorkflows({}),
        seed=1,
        trials=1,
    )
    online = OnlineFeatures(product.features, keys={"clicks": "click_id"})
    loop.go_live(documents[the_shop.second], now=now, online=online)
    rollout = loop.rollout
    assert rollout is not None
    rollout.standbys = {the_shop.first: loop.load(the_shop.first)}
    rollout.documents = documents
    dear = np.full(400, 1.0)

    rollout.lately = Lately(keep=400).took({the_shop.second: dear, the_shop.first: dear})
    rollout.evening(Diary(), now=now, signals=())
    assert loop.champion is not None
    assert loop.champion.release == the_shop.second

    rollout.lately = Lately(keep=400).took({the_shop.second: dear, the_shop.first: np.zeros(400)})
    rollout.evening(Diary(), now=now, signals=())
    (recorded,) = [one for one in space.history(NAME) if isinstance(one.event, RolledBack)]
    assert (recorded.event.release, recorded.event.to) == (the_shop.second, the_shop.first)
    assert recorded.actor == "geartrain"
    assert "an earlier release decides cheaper" in recorded.event.reason
    assert loop.champion.release == the_shop.first
    assert rollout.standbys == {}

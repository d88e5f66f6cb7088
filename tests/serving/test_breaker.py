"""The fallback chain: champion, the release before it, the rule; a model that keeps failing rests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from geartrain.serving.breaker import BreakerLimits, Breakers
from geartrain.serving.deciding import RESTING
from geartrain.serving.lanes import Ask, Lane, answer

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _broken(matrix):
    raise RuntimeError("no model today")


def _one(lane, now, x=1.0):
    ask = Ask(rows=({"size": x},), ids=("d1",), keys=("k",))
    ((record,),) = answer(lane, [ask], now)
    return record.decision


def test_where_the_champion_fails_the_release_before_it_decides(make_served):
    """The decision is the older release's own, marked as a fallback, with both facts in its doubt."""
    before = make_served(release="r1")
    lane = Lane(champion=make_served(release="r2", predict=_broken), previous=before)
    usual = _one(Lane(champion=before), NOW)
    made = _one(lane, NOW)

    assert made.release == "r1"
    assert (made.action, made.probabilities) == (usual.action, usual.probabilities)
    assert (made.fallback, made.arm) == (True, "fallback")
    assert made.doubt == "the model failed: RuntimeError; the release before r2 decided"


def test_where_both_fail_the_rule_acts(make_served):
    """With no model left the contract's fallback action is taken, and it says so."""
    broken = make_served(release="r2", predict=_broken)
    lane = Lane(champion=broken, previous=make_served(release="r1", predict=_broken))
    made = _one(lane, NOW)

    assert (made.action, made.fallback, made.probabilities) == (broken.rule.fallback, True, ())
    assert made.release == "r2"


def test_a_model_that_keeps_failing_is_not_asked_for_a_while(make_served):
    """Three failing calls open the breaker; the model is tried once after its rest, and then trusted again."""
    calls: list[int] = []
    good = make_served()
    is_well = False

    def predict(matrix):
        calls.append(len(matrix))
        return good.predict(matrix) if is_well else _broken(matrix)

    breakers = Breakers(BreakerLimits(failures=3, rest=timedelta(seconds=10)))
    lane = Lane(champion=make_served(release="r2", predict=predict), breakers=breakers)
    for _ in range(3):
        assert _one(lane, NOW).doubt == "the model failed: RuntimeError"
    asked = len(calls)
    assert _one(lane, NOW).doubt == RESTING
    assert len(calls) == asked
    assert breakers.resting() == ("r2",)

    assert _one(lane, NOW + timedelta(seconds=11)).doubt == "the model failed: RuntimeError"
    assert _one(lane, NOW + timedelta(seconds=12)).doubt == RESTING
    is_well = True
    assert not _one(lane, NOW + timedelta(seconds=22)).fallback
    assert not _one(lane, NOW + timedelta(seconds=23)).fallback
    assert breakers.resting() == ()


def test_one_poisonous_row_opens_nothing(make_served):
    """A row that breaks the model beside rows that do not is that row's trouble."""
    good = make_served()

    def picky(matrix):
        return _broken(matrix) if (matrix[:, 0] > 50).any() else good.predict(matrix)

    breakers = Breakers(BreakerLimits(failures=1))
    lane = Lane(champion=make_served(predict=picky), breakers=breakers)
    ask = Ask(rows=({"size": 1.0}, {"size": 60.0}), ids=("a", "b"), keys=("", ""))
    ((first, second),) = answer(lane, [ask], NOW)

    assert (first.decision.fallback, second.decision.fallback) == (False, True)
    assert breakers.resting() == ()

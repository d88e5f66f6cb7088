"""What each aggregation is: how events become a state, states are joined, and a state is told.

`algebra_of` gives the algebra of one feature, without any I/O:

- `prepare` makes the state of one event, `empty` is the state of none;
- `merge` joins the states of two sets of events that have no event in common. It is
  associative and commutative, so neither order nor batching matters;
- `update` takes in one more event: `merge(state, prepare(event))`;
- `inverse`, where there is one, takes a part out again; without one it is None, and what
  was merged can only be computed anew from the events;
- `finalize` tells the value at a decision.

An event is in a set once: which delivery of an id counts is settled before (the latest
that had arrived), here as in `features.log` and `features.history`.

`of_one` says the same of one window's columns at once and serves reads online,
`features.kernel` says it of very many and serves tables. All three round alike, so they
agree bit for bit: sums are exact, a mean is one division, and the weights of a decayed
sum use nothing but multiplication, addition and powers of two, which IEEE 754 fixes on
every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np

from geartrain.domain.features import Aggregation, WindowFeature
from geartrain.features.exact import Floats, Ints, exact_sum

SECOND_US = 1_000_000

_LN2 = 0.6931471805599453
_TERMS = 18  # 0.7^18 / 18! is below a tenth of the last bit
_MOST_PAIRS = 2_000_000  # (window, event) pairs held at once


_ULP = 1074  # every float64 is a whole multiple of 2**-1074

Told = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that counts: when it happened, what it is called, and its column's value."""

    time_us: int
    id: str
    value: float | str

    @property
    def order(self) -> tuple[int, int, str]:
        """Event time, then id: shorter ids first, so that 9 comes before 10."""
        return self.time_us, len(self.id), self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Algebra:
    """One aggregation; states are plain values that nobody changes.

    Attributes:
        empty: The state of no event.
        prepare: The state of one event.
        merge: The state of two sets of events, disjoint by id.
        inverse: The state of the first without the events of the second, which it holds; None
            where a state has forgotten too much.
        finalize: The value of a state at a decision's time.
    """

    empty: Any
    prepare: Callable[[Event], Any]
    merge: Callable[[Any, Any], Any]
    inverse: Callable[[Any, Any], Any] | None
    finalize: Callable[[Any, int], Told]

    def update(self, state: Any, event: Event) -> Any:
        """The state with one more event."""
        return self.merge(state, self.prepare(event))


def algebra_of(feature: WindowFeature) -> Algebra:  # noqa: PLR0912 - one branch for each aggregation
    """The algebra of the feature's aggregation.

    >>> from geartrain.domain.features import Aggregation, WindowFeature
    >>> mean = algebra_of(WindowFeature(name="m", source="s", entity="e", aggregation=Aggregation.MEAN))
    >>> two = mean.update(mean.prepare(Event(time_us=1, id="a", value=0.1)), Event(time_us=2, id="b", value=0.3))
    >>> mean.finalize(two, 9)
    0.2
    """
    match feature.aggregation:
        case Aggregation.COUNT:
            return _numbers(1, lambda _: (1,), lambda state, _: float(state[0]))
        case Aggregation.SUM:
            return _numbers(2, _exact, lambda state, _: _total(state[1]) if state[0] else None)
        case Aggregation.MEAN:
            return _numbers(2, _exact, _mean)
        case Aggregation.RATIO:
            return _numbers(
                2,
                lambda event: (1, int(bool(event.value))),
                lambda state, _: state[1] / state[0] if state[0] else None,
            )
        case Aggregation.MIN:
            return _best(min, lambda event: event.value, lambda best, _: best)
        case Aggregation.MAX:
            return _best(max, lambda event: event.value, lambda best, _: best)
        case Aggregation.TIME_SINCE:
            return _best(max, lambda event: event.time_us, lambda best, at_us: (at_us - best) / SECOND_US)
        case Aggregation.FIRST:
            return _best(min, lambda event: (event.order, event.value), lambda best, _: best[1])
        case Aggregation.LAST:
            return _best(max, lambda event: (event.order, event.value), lambda best, _: best[1])
        case Aggregation.LAST_N:
            return _newest(feature.n or 1)
        case Aggregation.DISTINCT:
            return Algebra(
                empty={},
                prepare=lambda event: {event.value: 1},
                merge=lambda one, other: _counted(one, other, 1),
                inverse=lambda whole, part: _counted(whole, part, -1),
                finalize=lambda state, _: float(len(state)),
            )
        case Aggregation.DECAYED_SUM:
            return _decayed(feature)
        case _:
            assert_never(feature.aggregation)


def _numbers(
    length: int, prepare: Callable[[Event], tuple[int, ...]], finalize: Callable[[Any, int], Told]
) -> Algebra:
    """Whole numbers that are added: the state of any set can be taken out again."""
    return Algebra(
        empty=(0,) * length,
        prepare=prepare,
        merge=lambda one, other: tuple(a + b for a, b in zip(one, other, strict=True)),
        inverse=lambda whole, part: tuple(a - b for a, b in zip(whole, part, strict=True)),
        finalize=finalize,
    )


def _best(
    choose: Callable[[Any, Any], Any], prepare: Callable[[Event], Any], tell: Callable[[Any, int], Told]
) -> Algebra:
    """The one that wins; who would win without it is forgotten."""
    return Algebra(
        empty=None,
        prepare=prepare,
        merge=lambda one, other: other if one is None else one if other is None else choose(one, other),
        inverse=None,
        finalize=lambda state, at_us: None if state is None else tell(state, at_us),
    )


def _newest(n: int) -> Algebra:
    return Algebra(
        empty=(),
        prepare=lambda event: ((event.order, event.value),),
        merge=lambda one, other: tuple(sorted((*one, *other), reverse=True)[:n]),
        inverse=None,
        finalize=lambda state, _: state[n - 1][1] if len(state) >= n else None,
    )


def _decayed(feature: WindowFeature) -> Algebra:
    """Its weights depend on the decision's time and each product is rounded, so the state is the events."""

    def tell(state: tuple[tuple[Any, float], ...], at_us: int) -> Told:
        return of_one(feature, [value for _, value in state], [order[0] for order, _ in state], at_us)

    return Algebra(
        empty=(),
        prepare=lambda event: ((event.order, event.value),),
        merge=lambda one, other: tuple(sorted((*one, *other))),
        inverse=lambda whole, part: tuple(item for item in whole if item not in set(part)),
        finalize=tell,
    )


def _exact(event: Event) -> tuple[int, int]:
    """One event, and its value in units of 2**-1074."""
    above, below = float(event.value).as_integer_ratio()
    return 1, (above << _ULP) // below


def _total(units: int) -> float | None:
    try:
        return units / (1 << _ULP)  # of whole numbers, rounded once
    except OverflowError:
        return None


def _mean(state: tuple[int, int], _: int) -> float | None:
    total = _total(state[1])
    return None if total is None or not state[0] else total / state[0]


def _counted(one: Mapping[Any, int], other: Mapping[Any, int], sign: int) -> dict[Any, int]:
    joined = dict(one)
    for value, count in other.items():
        joined[value] = joined.get(value, 0) + sign * count
        if not joined[value]:
            del joined[value]
    return joined


def of_one(  # noqa: PLR0912 - one branch for each aggregation
    feature: WindowFeature, values: Sequence[float] | Sequence[str], times: Sequence[int], at_us: int
) -> float | str | None:
    """The feature's value over one window.

    Args:
        feature: What to say.
        values: The events' values; for `count` and `time_since` anything of their number.
        times: The events' times in microseconds.
        at_us: The decision's time.
    """
    count = len(times)
    match feature.aggregation:
        case Aggregation.COUNT:
            return float(count)
        case Aggregation.DISTINCT:
            return float(len(set(values)))
    if not count:
        return None
    match feature.aggregation:
        case Aggregation.SUM:
            return finite(exact_sum(values))  # type: ignore[arg-type]
        case Aggregation.MEAN:
            return finite(exact_sum(values) / count)  # type: ignore[arg-type]
        case Aggregation.MIN:
            return min(values)
        case Aggregation.MAX:
            return max(values)
        case Aggregation.RATIO:
            return sum(1 for value in values if value) / count
        case Aggregation.FIRST:
            return _told(values[0])
        case Aggregation.LAST:
            return _told(values[-1])
        case Aggregation.LAST_N:
            back = feature.n or 1
            return values[-back] if back <= count else None
        case Aggregation.TIME_SINCE:
            return (at_us - times[-1]) / SECOND_US
        case Aggregation.DECAYED_SUM:
            ages = at_us - np.asarray(times, dtype=np.int64)
            return finite(exact_sum((np.asarray(values) * weights(ages, feature.half_life_us or 1)).tolist()))
        case _:
            assert_never(feature.aggregation)


def weights(ages: Ints, half_life_us: int) -> Floats:
    """`2 ** -(age / half-life)` in operations that every IEEE 754 machine rounds alike.

    >>> weights(np.array([0, 10, 20]), 10).tolist()
    [1.0, 0.5, 0.25]
    """
    halvings, rest = np.divmod(ages, half_life_us)
    x = (rest / half_life_us) * -_LN2
    power = np.ones(x.shape)
    for term in range(_TERMS, 0, -1):
        power = power * x / term + 1.0
    return np.ldexp(power, -np.minimum(halvings, 4000).astype(np.int32))


def finite(value: float) -> float | None:
    """The value, or None where float64 cannot hold it."""
    return value if -np.inf < value < np.inf else None


def _told(value: float | str | None) -> float | str | None:
    """A value, or None where a table's row has none."""
    return None if value is None or value != value else value  # noqa: PLR0124 - NaN is not itself

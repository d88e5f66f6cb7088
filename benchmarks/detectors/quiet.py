"""Stationary errors, independent and alike, and how many of their streams ever page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from geartrain.monitoring.losses import LossPlan, begin
from geartrain.stats.bounded import Scale
from geartrain.stats.dependence import likeness
from geartrain.stats.eprocess import Watch, watch

Floats = NDArray[np.float64]

ALPHA, ROWS, RATE = 0.01, 100_000, 0.2
#: In every so many-th stream the page is also run without its correction, as a control.
CONTROL = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A stationary process of 0/1 errors with the mean `RATE`."""

    name: str
    draw: Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """How many streams paged; how many of the `controls` did without the correction; the median worth."""

    paged: int
    naive: int
    controls: int
    worth: float


def _independent(random: np.random.Generator, rows: int) -> Floats:
    return (random.random(rows) < RATE).astype(np.float64)


def _markov(kept: float) -> Callable[[np.random.Generator, int], Floats]:
    """An error repeats its predecessor with probability *kept* and is drawn afresh otherwise: AR(1) itself."""

    def draw(random: np.random.Generator, rows: int) -> Floats:
        fresh = random.random(rows) >= kept
        fresh[0] = True
        last = np.maximum.accumulate(np.where(fresh, np.arange(rows), 0))
        return _independent(random, rows)[last]

    return draw


def _latent(phi: float, spread: float = 0.8) -> Callable[[np.random.Generator, int], Floats]:
    """The log-odds of an error are a Gaussian AR(1) with coefficient *phi* and standard deviation *spread*."""
    from scipy.signal import lfilter
    from scipy.special import expit

    def draw(random: np.random.Generator, rows: int) -> Floats:
        news = random.normal(size=rows) * np.sqrt(1 - phi**2)
        news[0] = random.normal()
        hidden = lfilter([1.0], [1.0, -phi], news)
        return (random.random(rows) < expit(_centre(spread) + spread * hidden)).astype(np.float64)

    return draw


@cache
def _centre(spread: float) -> float:
    """The log-odds around which errors have the mean `RATE`."""
    from numpy.polynomial.hermite_e import hermegauss
    from scipy.optimize import brentq
    from scipy.special import expit

    at, weight = hermegauss(80)
    return float(
        brentq(lambda centre: (weight * expit(centre + spread * at)).sum() / weight.sum() - RATE, -10, 10)
    )


KINDS = (
    Kind(name="independent", draw=_independent),
    Kind(name="two-state chain, AR(1) with .5", draw=_markov(0.5)),
    Kind(name="two-state chain, AR(1) with .9", draw=_markov(0.9)),
    Kind(name="latent AR(1) with .9", draw=_latent(0.9)),
    Kind(name="latent AR(1) with .98", draw=_latent(0.98)),
)


def pages(
    kind: Kind, count: int, *, reference: int, smallest: float, rows: int = ROWS, seed: int = 1
) -> Paged:
    """Calibrate and page on *count* streams, each with a reference of its own."""
    plan = LossPlan(about="errors", alpha=ALPHA, smallest_change=smallest)
    paged, naive, worths = 0, 0, []
    for index, random in enumerate(np.random.default_rng(seed).spawn(count)):
        losses = kind.draw(random, reference + rows)
        page = begin(plan, losses[:reference], scale=Scale()).page
        worths.append(1.0 if page is None else page.worth)
        paged += page is not None and watch(page, Watch(), losses[reference:]).alarmed
        naive += index % CONTROL == 0 and _naive(plan, losses, reference)
    controls = len(range(0, count, CONTROL))
    return Paged(paged=paged, naive=naive, controls=controls, worth=float(np.median(worths)))


def called_short(kind: Kind, count: int, *, reference: int, seed: int = 1) -> int:
    """How many of *count* references are said to be too short for their own correlation."""
    doubt = ALPHA / 8
    found = (
        likeness(kind.draw(random, reference), doubt=doubt)
        for random in np.random.default_rng(seed).spawn(count)
    )
    return sum(one.is_too_short for one in found)


def triggers(
    kind: Kind, count: int, *, reference: int, run_rows: float, rows: int = ROWS, seed: int = 2
) -> tuple[int, int]:
    """False triggers on *count* streams, each looked at until its first one, and the rows that were looked at."""
    plan = LossPlan(about="errors", alpha=ALPHA, smallest_change=0.0, run_rows=run_rows)
    false, looked = 0, 0
    for random in np.random.default_rng(seed).spawn(count):
        losses = kind.draw(random, reference + rows)
        trigger = begin(plan, losses[:reference], scale=Scale()).trigger
        assert trigger is not None
        seen = watch(trigger, Watch(), losses[reference:])
        false += seen.alarmed
        looked += rows if seen.alarm_row is None else seen.alarm_row + 1
    return false, looked


def _naive(plan: LossPlan, losses: Floats, reference: int) -> bool:
    """The same with the order of the reference's rows lost, so that they are taken as independent."""
    shuffled = np.random.default_rng(0).permutation(losses[:reference])
    page = begin(plan, shuffled, scale=Scale()).page
    return page is not None and watch(replace(page, worth=1.0), Watch(), losses[reference:]).alarmed

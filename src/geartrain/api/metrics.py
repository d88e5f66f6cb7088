"""What the server counts, for Prometheus. Labels come from the contract, never from a request.

Counting happens on the event loop only, so a count is one addition without a lock; what
Prometheus reads is made when it asks. Where several processes serve, each writes what it
has counted to a folder that they share, and whoever is asked answers for all of them
(`geartrain.api.fleet`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from geartrain.domain.prediction import Decision
from geartrain.serving.host import ServingHost

BUCKETS_S: Final = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip

Labels = tuple[str, ...]
#: Of each metric, of each label set: a counter's value alone, or a histogram's buckets and its sum.
Counted = Mapping[str, Sequence[tuple[Labels, Sequence[float]]]]


class Others(Protocol):
    """The other processes that serve the same products."""

    def publish(self, counted: Counted) -> None:
        """Let the others read what this process has counted."""

    def counted(self) -> Sequence[Counted]:
        """What the others had counted when they last published."""


class Count:
    """One counter's value for one set of labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, by: float = 1.0) -> None:
        """Count *by* more."""
        self.value += by

    def cells(self) -> list[float]:
        """The value alone."""
        return [self.value]


class Spread:
    """One histogram's buckets for one set of labels."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.total += seconds

    def cells(self) -> list[float]:
        """The buckets, then the sum."""
        return [*self.buckets, self.total]


class Counter:
    """A count for each set of label values."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.name, self.text, self.label_names = name, text, labels
        self.held: dict[Labels, Count] = {}

    def labels(self, *values: str) -> Count:
        """The count for these label values."""
        found = self.held.get(values)
        if found is None:
            found = self.held[values] = Count()
        return found

    def family(self, cells: Mapping[Labels, Sequence[float]]) -> Metric:
        """*cells* as Prometheus reads them."""
        family = CounterMetricFamily(f"geartrain_{self.name}", self.text, labels=self.label_names)
        for values, (value,) in cells.items():
            family.add_metric(values, value)
        return family


class Histogram:
    """Durations for each set of label values, in buckets."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.name, self.text, self.label_names = name, text, labels
        self.held: dict[Labels, Spread] = {}

    def labels(self, *values: str) -> Spread:
        """The durations for these label values."""
        found = self.held.get(values)
        if found is None:
            found = self.held[values] = Spread()
        return found

    def family(self, cells: Mapping[Labels, Sequence[float]]) -> Metric:
        """*cells* as Prometheus reads them: cumulated buckets and a sum."""
        family = HistogramMetricFamily(f"geartrain_{self.name}", self.text, labels=self.label_names)
        bounds = [*(repr(bound) for bound in BUCKETS_S), "+Inf"]
        for values, (*buckets, total) in cells.items():
            seen, cumulated = 0.0, []
            for bound, count in zip(bounds, buckets, strict=True):
                seen += count
                cumulated.append((bound, seen))
            family.add_metric(values, cumulated, total)
        return family


class ServingMetrics:
    """The counters of one process, and of its siblings where there are *others*."""

    def __init__(self, others: Others | None = None) -> None:
        self.others = others
        self.requests = Counter("requests", "Requests by route and status.", "route", "status")
        self.duration = Histogram("request_seconds", "Time from the first byte to the answer.", "route")
        self.stages = Histogram(
            "stage_seconds", "Time of one stage of an answer; of one request in 16.", "stage"
        )
        self.decisions = Counter(
            "decisions",
            "Decisions by what made them: model, abstained, fallback.",
            "product",
            "arm",
            "action",
            "by",
        )
        self.refused = Counter("requests_refused", "Requests refused, by the error's code.", "route", "code")
        self.unknown_fields = Counter(
            "unknown_fields", "Values in requests that the contract does not know.", "product"
        )
        self.outcomes = Counter("outcomes", "Outcomes by what became of them.", "product", "status")
        self.events = Counter("events", "Rows of event sources by what became of them.", "product", "status")
        self.shadow_dropped = Counter(
            "shadow_dropped", "Rows that the shadow release did not decide about.", "product"
        )
        self._all: tuple[Counter | Histogram, ...] = (
            self.requests,
            self.duration,
            self.stages,
            self.decisions,
            self.refused,
            self.unknown_fields,
            self.outcomes,
            self.events,
            self.shadow_dropped,
        )

    def count_decisions(self, decisions: Sequence[Decision]) -> None:
        """Count what was answered."""
        for one in decisions:
            by = "abstained" if one.abstained else "fallback" if one.fallback else "model"
            self.decisions.labels(one.product, one.arm, one.action, by).inc()

    def counted(self) -> Counted:
        """What this process has counted so far."""
        return {one.name: [(labels, cell.cells()) for labels, cell in one.held.items()] for one in self._all}

    def publish(self, host: ServingHost, *, in_flight: int) -> None:
        """Let the sibling processes read what this one has counted, gauges that add up included."""
        if self.others is not None:
            self.others.publish({**self.counted(), **_gauges(host, in_flight)})

    def render(self, host: ServingHost, *, in_flight: int) -> bytes:
        """The metrics in Prometheus' text format: of all processes, the gauges read now."""
        others = () if self.others is None else self.others.counted()
        added = _added([{**self.counted(), **_gauges(host, in_flight)}, *others])
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Read([*self._families(added), *_gauge_families(host, added)]))
        return generate_latest(registry)

    def _families(self, added: Mapping[str, Mapping[Labels, Sequence[float]]]) -> Iterator[Metric]:
        for one in self._all:
            yield one.family(added.get(one.name, {}))


class _Read(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


#: Gauges of which the processes' values add up.
SUMMED: Final = {
    "in_flight": "Decision and inference requests in the server.",
    "log_pending": "Decisions that wait for the prediction log's journal.",
    "log_backlog_bytes": "Journal bytes that are not in the lake yet.",
    "workers": "Processes that serve.",
}


def _gauges(host: ServingHost, in_flight: int) -> Counted:
    state = host.log.state
    values = (in_flight, state.pending, state.backlog_bytes, 1)
    return {name: [((), [float(value)])] for name, value in zip(SUMMED, values, strict=True)}


def _gauge_families(
    host: ServingHost, added: Mapping[str, Mapping[Labels, Sequence[float]]]
) -> Iterator[Metric]:
    for name, text in SUMMED.items():
        yield GaugeMetricFamily(f"geartrain_{name}", text, value=added[name][()][0])
    ready = float(not host.not_ready_because())
    yield GaugeMetricFamily("geartrain_ready", "1 where traffic should come here.", value=ready)
    damaged = "Segments of the prediction log that lie aside because a part of them cannot be read."
    yield GaugeMetricFamily("geartrain_log_damaged_segments", damaged, value=host.log.damaged_segments)
    releases = GaugeMetricFamily(
        "geartrain_release_info", "The releases that answer.", labels=("product", "arm", "release")
    )
    for product in host.products:
        for arm, served in host.lane(product).served:
            releases.add_metric((product, arm.value, served.release), 1)
    yield releases
    resting = GaugeMetricFamily(
        "geartrain_model_rests",
        "1 where a model failed too often and is not asked.",
        labels=("product", "release"),
    )
    for product in host.products:
        for release in host.lane(product).breakers.resting():
            resting.add_metric((product, release), 1)
    yield resting
    yield from _skew_families(host)


def _skew_families(host: ServingHost) -> Iterator[Metric]:
    """What the latest `geartrain monitor` saw of served features; it is the product's, not the process's."""
    compared = GaugeMetricFamily(
        "geartrain_feature_cells_compared", "Served feature values that were recomputed.", labels=("product",)
    )
    differing = GaugeMetricFamily(
        "geartrain_feature_cells_differing",
        "Of these, values that training would not compute, by cause.",
        labels=("product", "cause"),
    )
    checked = GaugeMetricFamily(
        "geartrain_feature_consistency_checked_timestamp_seconds",
        "When served features were compared last.",
        labels=("product",),
    )
    for product in host.products:
        skew = host.skew(product)
        if skew is None:
            continue
        compared.add_metric((product,), skew.cells)
        checked.add_metric((product,), skew.checked_at.timestamp())
        for cause, cells in skew.causes:
            differing.add_metric((product, cause), cells)
    yield from (compared, differing, checked)


def _added(processes: Sequence[Counted]) -> dict[str, dict[Labels, list[float]]]:
    total: dict[str, dict[Labels, list[float]]] = {}
    for counted in processes:
        for name, cells in counted.items():
            held = total.setdefault(name, {})
            for labels, values in cells:
                before = held.get(tuple(labels))
                held[tuple(labels)] = (
                    list(values) if before is None else [a + b for a, b in zip(before, values, strict=True)]
                )
    return total

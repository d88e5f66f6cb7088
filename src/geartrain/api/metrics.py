"""What the server counts, for Prometheus. Labels come from the contract, never from a request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from geartrain.domain.prediction import Decision
from geartrain.serving.host import ServingHost

_STAGE_BUCKETS = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip


class ServingMetrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by route and status.", "route", "status")
        self.duration = self._histogram("request_seconds", "Time from the first byte to the answer.", "route")
        self.stages = self._histogram("stage_seconds", "Time of one stage of an answer.", "stage")
        self.decisions = self._counter(
            "decisions",
            "Decisions by what made them: model, abstained, fallback.",
            "product",
            "arm",
            "action",
            "by",
        )
        self.refused = self._counter(
            "requests_refused", "Requests refused, by the error's code.", "route", "code"
        )
        self.unknown_fields = self._counter(
            "unknown_fields", "Values in requests that the contract does not know.", "product"
        )
        self.outcomes = self._counter("outcomes", "Outcomes by what became of them.", "product", "status")
        self.events = self._counter(
            "events", "Rows of event sources by what became of them.", "product", "status"
        )
        self.shadow_dropped = self._counter(
            "shadow_dropped", "Rows that the shadow release did not decide about.", "product"
        )
        # Looking a label set up costs more than counting it, so the hot route keeps them.
        self.stage = cache(self.stages.labels)
        self.request = cache(self.requests.labels)
        self.decision = cache(self.decisions.labels)
        self._in_flight = self._gauge("in_flight", "Decision and inference requests in the server.")
        self._ready = self._gauge("ready", "1 where traffic should come here.")
        self._pending = self._gauge("log_pending", "Decisions that wait for the prediction log's journal.")
        self._backlog = self._gauge("log_backlog_bytes", "Journal bytes that are not in the lake yet.")
        self._release = self._gauge("release_info", "The releases that answer.", "product", "arm", "release")

    def count_decisions(self, decisions: Sequence[Decision]) -> None:
        """Count what was answered."""
        for one in decisions:
            by = "abstained" if one.abstained else "fallback" if one.fallback else "model"
            self.decision(one.product, one.arm, one.action, by).inc()

    def render(self, host: ServingHost, *, in_flight: int) -> bytes:
        """The metrics in Prometheus' text format, the gauges read now."""
        state = host.log.state
        self._in_flight.set(in_flight)
        self._ready.set(not host.not_ready_because())
        self._pending.set(state.pending)
        self._backlog.set(state.backlog_bytes)
        self._release.clear()
        for product in host.products:
            for arm, served in host.lane(product).served:
                self._release.labels(product, arm.value, served.release).set(1)
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"geartrain_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"geartrain_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"geartrain_{name}", text, labels, registry=self.registry, buckets=_STAGE_BUCKETS)

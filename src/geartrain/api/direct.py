"""Routes that programs ask all day besides the hot ones: outcomes, events, health, metrics.

They are answered without the framework. A worker loads that when somebody first asks for what
only people ask for, a product or the documents: most workers never do, start sooner
and are the smaller for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from geartrain.api.bodies import Asked, BodyLimits
from geartrain.api.errors import Reply, json_reply
from geartrain.api.events import take_events
from geartrain.api.metrics import ServingMetrics
from geartrain.api.outcomes import OutcomeRoute
from geartrain.serving.admission import Admission
from geartrain.serving.host import ServingHost

OUTCOMES: Final = "/v1/products/{product}/outcomes"
EVENTS: Final = "/v1/products/{product}/events"
LIVE: Final = "/health/live"
READY: Final = "/health/ready"
METRICS: Final = "/metrics"
SERVER_LIVE: Final = "/v2/health/live"
SERVER_READY: Final = "/v2/health/ready"
_PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Direct:
    """One route, for one request."""

    template: str
    method: str
    answer: Callable[[Asked], Awaitable[Reply]]


class DirectRoutes:
    """Finds and answers the routes of a host, for one event loop."""

    def __init__(
        self, host: ServingHost, metrics: ServingMetrics, admission: Admission, limits: BodyLimits
    ) -> None:
        self._host = host
        self._metrics = metrics
        self._admission = admission
        self._limits = limits
        self._outcomes = OutcomeRoute(host, metrics, limits)
        answers = {
            LIVE: self._live,
            READY: self._ready,
            METRICS: self._scrape,
            SERVER_LIVE: self._live,
            SERVER_READY: self._server_ready,
        }
        self._fixed = {path: Direct(path, "GET", answer) for path, answer in answers.items()}

    def at(self, path: str) -> Direct | None:
        """The route that *path* is on, if it is one of these."""
        match path.split("/"):
            case ["", "v1", "products", product, "outcomes"] if product:
                return Direct(OUTCOMES, "POST", partial(self._outcomes, product))
            case ["", "v1", "products", product, "events"] if product:
                return Direct(EVENTS, "POST", partial(self._events, product))
        return self._fixed.get(path)

    async def _events(self, product: str, asked: Asked) -> Reply:
        return await take_events(self._host, self._metrics, self._limits, product, asked)

    async def _live(self, _asked: Asked) -> Reply:
        return json_reply({"live": True})

    async def _ready(self, _asked: Asked) -> Reply:
        reasons = self._host.not_ready_because()
        document: dict[str, Any] = {"ready": not reasons, "because": reasons}
        if self._host.problems:
            document["problems"] = self._host.problems
        return json_reply(document, 503 if reasons else 200)

    async def _server_ready(self, _asked: Asked) -> Reply:
        is_ready = not self._host.not_ready_because()
        return json_reply({"ready": is_ready}, 200 if is_ready else 503)

    async def _scrape(self, _asked: Asked) -> Reply:
        content = self._metrics.render(self._host, in_flight=self._admission.in_flight)
        return Reply(status=200, body=content, content_type=_PROMETHEUS)

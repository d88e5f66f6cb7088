"""One request on its way through the server: what it is about, and what each stage took."""

from __future__ import annotations

from time import perf_counter


class Call:
    """A request's route, subject, stage times and facts for the log line.

    Attributes:
        route: The route's template, such as `/v1/products/{product}/decisions`.
        subject: The product or model named in the path.
        version: The model version named in the path, or None.
        is_timed: Whether the stages are of interest to anybody.
        is_told: Whether the facts are.
        is_asked: Whether the client asked for the stages' times.
    """

    __slots__ = (
        "facts",
        "is_asked",
        "is_timed",
        "is_told",
        "marks",
        "route",
        "started",
        "subject",
        "version",
    )

    def __init__(
        self,
        route: str,
        subject: str,
        version: str | None = None,
        *,
        is_timed: bool = True,
        is_told: bool = True,
    ) -> None:
        self.route = route
        self.subject = subject
        self.version = version
        self.is_timed = is_timed
        self.is_told = is_told
        self.is_asked = False
        self.started = perf_counter()
        self.marks: list[tuple[str, float]] = []
        self.facts: dict[str, object] = {}

    def mark(self, stage: str, *, at: float | None = None) -> None:
        """The stage ended now, or *at* that reading of the steady clock."""
        if self.is_timed:
            self.marks.append((stage, perf_counter() if at is None else at))

    def note(self, **facts: object) -> None:
        """Facts for the request's log line."""
        if self.is_told:
            self.facts.update(facts)

    def stages(self) -> list[tuple[str, float]]:
        """Each stage with its seconds."""
        before = self.started
        spans: list[tuple[str, float]] = []
        for stage, end in self.marks:
            spans.append((stage, max(0.0, end - before)))
            before = max(before, end)
        return spans

    def server_timing(self) -> bytes:
        """The stages as a Server-Timing header, in milliseconds (W3C Server Timing)."""
        return ", ".join(f"{stage};dur={seconds * 1e3:.3f}" for stage, seconds in self.stages()).encode()

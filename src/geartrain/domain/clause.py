"""A clause: one promise of the contract, in the form that the program can check.

Every check in the system, from the first feasibility look to live traffic, is a
clause with findings. There is no second mechanism.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from geartrain.domain.roles import Role


class Severity(StrEnum):
    """What a clause that is not kept does to a release."""

    BLOCK = "block"
    WARN = "warn"


class Stage(StrEnum):
    """When a clause is checked. The same clause gives findings at many stages."""

    FEASIBILITY = "feasibility"
    DATA = "data"
    TRAINING = "training"
    COMPRESSION = "compression"
    RELEASE = "release"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"


class Comparison(StrEnum):
    """Which side of the bound keeps the promise; the bound itself still keeps it."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"


Scalar = str | int | float | bool | None
#: What a clause's measurement needs besides; anything nested is canonical JSON text.
Parameter = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where in the contract's text something was written, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One promise, with its owner and the reason for it.

    Attributes:
        path: Its stable name, such as `success.recall`.
        metric: The measured quantity, such as `recall` or `latency_p99_ms`.
        comparison: Which side of the bound keeps the promise.
        bound: The bound, in `unit`; the bound itself still keeps the promise.
        unit: The unit of value and bound, such as `ms`, or empty for a plain number.
        relative_to: The named baseline that value and bound are fractions of, or None.
        where: The slice, as an expression over columns, or None for every row.
        owner: The role that answers for it.
        severity: Whether it blocks a release or only warns.
        because: The reason in plain words.
        stages: When it is checked.
        parameters: What the metric's measurement needs besides, sorted by name.
        mark: Its place in the contract's text; not part of its identity.
    """

    path: str
    metric: str
    comparison: Comparison
    bound: float
    unit: str = ""
    relative_to: str | None = None
    where: str | None = None
    owner: Role
    severity: Severity = Severity.BLOCK
    because: str = ""
    stages: tuple[Stage, ...] = ()
    parameters: tuple[tuple[str, Parameter], ...] = ()
    mark: Mark | None = field(default=None, compare=False, metadata={"digest": False})

    @property
    def section(self) -> str:
        """The contract section that the clause stands in."""
        return self.path.split(".", 1)[0]

    def parameter(self, name: str, default: Parameter = None) -> Parameter:
        """The parameter *name*, or *default* where the contract does not say it."""
        return dict(self.parameters).get(name, default)

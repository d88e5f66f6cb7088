"""Model nouns: a trial that was tried, a model version that can be released, a variant of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from geartrain.domain.clause import Parameter
from geartrain.domain.digest import digest
from geartrain.domain.features import Encoding
from geartrain.domain.task import Task

Params = tuple[tuple[str, Parameter], ...]


class Pool(StrEnum):
    """Rows with different rights: free, metered, and sealed."""

    SEARCH = "search"
    SELECT = "select"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting that was tried, in the ledger whether it was good or not.

    Attributes:
        params: The *resolved* parameters: library defaults written out, so that an
            upgrade cannot change them silently.
        score: The mean cost of its decisions on the pool's rows; lower is better. Of a metered
            pool it is what the pool's mechanism showed.
        class_weights: What the rule that decided multiplied the probabilities with; empty for
            the threshold that the costs imply.
        variant: How the model was made smaller; empty for the reference.
    """

    contract: str
    snapshot: str
    features: str
    code: str
    algorithm: str
    params: Params
    seed: int
    pool: Pool
    metric: str
    score: float
    rows: int
    class_weights: tuple[float, ...] = ()
    variant: str = ""

    @property
    def id(self) -> str:
        """The digest of what was tried and what came out."""
        return digest(self)

    @property
    def question(self) -> str:
        """The digest of what was tried, whatever came out and whatever else the contract said then."""
        return digest(("question", replace(self, score=0.0, contract="")))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A trained model: same snapshot, same seed, same id.

    Attributes:
        artifact: The digest of its ONNX bytes.
        trial: The recorded trial that chose its parameters.
        variant: How it was made smaller: empty for the reference.
    """

    product: str
    task: Task
    classes: tuple[str, ...]
    algorithm: str
    params: Params
    seed: int
    contract: str
    snapshot: str
    encoding: Encoding
    trial: str
    artifact: str
    variant: str = ""

    @property
    def id(self) -> str:
        """The digest of its content and its parents' ids."""
        return digest(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one variant costs on this machine, measured through the serving path.

    Attributes:
        p50_us: Median time of a single row in microseconds.
        p99_us: 99th percentile of the same.
        rows_per_s: Throughput in batches.
        size_bytes: The artifact's size on disk.
        memory_bytes: Resident memory that loading it added.
        repeats: Single-row calls behind the percentiles.
        p50_low_us: The lower end of the 95 % interval of the median, by order statistics.
        p50_high_us: Its upper end; None where the calls were too few to have one.
        p99_low_us: The lower end of the 95 % interval of the 99th percentile.
        p99_high_us: Its upper end; None where the calls were too few to have one.
    """

    p50_us: float
    p99_us: float
    rows_per_s: float
    size_bytes: int
    memory_bytes: int
    repeats: int
    p50_low_us: float | None = None
    p50_high_us: float | None = None
    p99_low_us: float | None = None
    p99_high_us: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far an artifact's decisions are from the reference's.

    Attributes:
        decisions_agree: The share of rows with the same action.
        largest_change: The largest absolute change of a probability (or value).
        rows: The rows compared.
    """

    decisions_agree: float
    largest_change: float
    rows: int

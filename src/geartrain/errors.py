"""One family of exceptions, raised only for what callers cannot be handed as a value.

Every error says what is so, where, what was found and what to do. The `code` is
stable and documented in `docs/errors.md`; the exit code tells a script whether
the command could not run (2), should be tried again (75) or met our own bug (70).

    GeartrainError
    ├── ContractUnreadable       contract.unreadable
    ├── ContractInvalid          contract.invalid        all problems at once
    ├── ExpressionInvalid        contract.expression
    ├── ProseUnreadable          document.prose
    ├── DocumentEdited           document.edited
    ├── ProductUnknown           product.unknown
    ├── ProductCodeBroken        product.code
    ├── SourceUnreadable         source.unreadable       empty, half-written, wrong format
    ├── ColumnMissing            source.column-missing
    ├── SnapshotEmpty            data.snapshot-empty
    ├── LakeUnreadable           lake.unreadable
    ├── WorkspaceMissing         workspace.missing
    ├── WorkspaceBusy            workspace.busy          try again
    ├── DiskFull                 disk.full               try again
    ├── LedgerConflict           ledger.conflict         try again
    ├── LedgerTampered           ledger.tampered
    ├── LedgerUnavailable        ledger.unavailable      try again
    ├── FeatureInvalid           features.invalid
    ├── BusUnavailable           bus.unavailable         try again
    ├── OnlineUnavailable        online.unavailable      try again
    ├── TrainingImpossible       training.impossible
    ├── TrialUnrecorded          training.trial-unrecorded
    ├── PoolClosed               training.pool-closed
    ├── ModelNotExportable       compression.not-exportable
    ├── ReleaseUnknown           release.unknown
    ├── ReleaseRefused           release.refused
    ├── BundleTampered           release.bundle-tampered
    ├── RequestInvalid           serving.request-invalid
    ├── ModelUnknown             serving.model-unknown
    ├── DecisionUnknown          serving.decision-unknown
    ├── Overloaded               serving.overloaded      try again
    ├── NotReady                 serving.not-ready       try again
    └── SettingInvalid           settings.invalid

Expected bad news (a broken clause, drift, a bad row, a refused promotion that a
rule foresaw) is a returned value, never one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

EXIT_YES = 0
EXIT_NO = 1
EXIT_COULD_NOT_RUN = 2
EXIT_OUR_BUG = 70
EXIT_TRY_AGAIN = 75


class GeartrainError(Exception):
    """Something that stops the work, told so that the reader knows the next step.

    Attributes:
        message: What is so, in one sentence without a full stop.
        where: The place, such as `product.yaml:14:3` or `lake/transactions`.
        found: What was found there, shown to the person.
        hint: What to do now.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = EXIT_COULD_NOT_RUN

    def __init__(self, message: str, *, where: str = "", found: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        if self.where:
            lines.append(f"  at {self.where}")
        if self.found:
            lines.append(f"  found: {self.found}")
        if self.hint:
            lines.extend(["", f"hint: {self.hint}"])
        return "\n".join(lines)

    def to_document(self) -> dict[str, object]:
        """The same facts as a JSON object, for `--json` and HTTP error bodies."""
        return {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "found": self.found,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a text that a person wrote, with its place.

    Attributes:
        path: The path inside the document, such as `costs.false_negative`.
        line: The line, counted from 1.
        column: The column, counted from 1.
        message: What is so.
        found: What was found.
        expected: What would be right.
    """

    path: str
    line: int
    column: int
    message: str
    found: str = ""
    expected: str = ""


class ContractUnreadable(GeartrainError):
    """The contract is not there, is not text, or is not YAML."""

    code = "contract.unreadable"


class ProseUnreadable(GeartrainError):
    """A note that a person wrote for a document is not text, or is far too long to be one."""

    code = "document.prose"


class DocumentEdited(GeartrainError):
    """A generated document was changed by hand; making it again would lose those words."""

    code = "document.edited"


class ContractInvalid(GeartrainError):
    """The contract says things that cannot hold; all of them are listed."""

    code = "contract.invalid"

    def __init__(self, origin: str, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in the contract",
            where=origin,
            hint="each line above names its place; `geartrain contract schema` lists what may stand there",
        )
        self.origin = origin
        self.problems = problems

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        for problem in self.problems:
            place = f"{self.origin}:{problem.line}:{problem.column}"
            lines.append(f"  {place}: {problem.path}: {problem.message}")
            if problem.found:
                lines.append(f"      found: {problem.found}")
            if problem.expected:
                lines.append(f"      right: {problem.expected}")
        lines.extend(["", f"hint: {self.hint}"])
        return "\n".join(lines)

    def to_document(self) -> dict[str, object]:
        """The same facts as a JSON object, each problem with its place."""
        document = super().to_document()
        document["problems"] = [
            {
                "path": problem.path,
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
                "found": problem.found,
                "expected": problem.expected,
            }
            for problem in self.problems
        ]
        return document


class ContractReplaced(GeartrainError):
    """The folder's contract is one that signed words have replaced."""

    code = "contract.replaced"


class ExpressionInvalid(GeartrainError):
    """An expression over columns cannot be read or names an unknown column."""

    code = "contract.expression"


class ProductUnknown(GeartrainError):
    """No product of that name lives in this workspace."""

    code = "product.unknown"


class ProductCodeBroken(GeartrainError):
    """`features.py` or `model.py` of a product cannot be imported or lacks its name."""

    code = "product.code"


class SourceUnreadable(GeartrainError):
    """A file of rows is empty, half-written or not in the format it claims."""

    code = "source.unreadable"


class ColumnMissing(GeartrainError):
    """A batch lacks a column that the contract requires."""

    code = "source.column-missing"


class SnapshotEmpty(GeartrainError):
    """No row was known at the time asked for."""

    code = "data.snapshot-empty"


class LakeUnreadable(GeartrainError):
    """A lake table is missing or damaged."""

    code = "lake.unreadable"


class WorkspaceMissing(GeartrainError):
    """There is no workspace here."""

    code = "workspace.missing"


class WorkspaceBusy(GeartrainError):
    """Another process is writing to this workspace."""

    code = "workspace.busy"
    exit_code = EXIT_TRY_AGAIN


class DiskFull(GeartrainError):
    """The disk took no more; what was acknowledged is kept, the rest was not taken."""

    code = "disk.full"
    exit_code = EXIT_TRY_AGAIN


class LedgerConflict(GeartrainError):
    """Somebody else appended to the stream first; read again and decide again."""

    code = "ledger.conflict"
    exit_code = EXIT_TRY_AGAIN


class LedgerTampered(GeartrainError):
    """The ledger's hash chain does not hold."""

    code = "ledger.tampered"
    exit_code = EXIT_NO


class LedgerUnavailable(GeartrainError):
    """The ledger's database does not answer."""

    code = "ledger.unavailable"
    exit_code = EXIT_TRY_AGAIN


class FeatureInvalid(GeartrainError):
    """A feature definition contradicts itself or the contract's data section."""

    code = "features.invalid"


class BusUnavailable(GeartrainError):
    """The event bus does not answer, or no longer holds what was to be read from it."""

    code = "bus.unavailable"
    exit_code = EXIT_TRY_AGAIN


class OnlineUnavailable(GeartrainError):
    """The store of online features does not answer; decisions fall back until it does."""

    code = "online.unavailable"
    exit_code = EXIT_TRY_AGAIN


class TrainingImpossible(GeartrainError):
    """These rows cannot train a model for this decision, with the reason."""

    code = "training.impossible"


class TrialUnrecorded(GeartrainError):
    """A model that no recorded trial produced was offered for release."""

    code = "training.trial-unrecorded"


class PoolClosed(GeartrainError):
    """The sealed pool was opened for this candidate before, or its budget is spent."""

    code = "training.pool-closed"


class ModelNotExportable(GeartrainError):
    """The estimator has no ONNX form, so it cannot be released safely."""

    code = "compression.not-exportable"


class ReleaseUnknown(GeartrainError):
    """No release has that id or alias."""

    code = "release.unknown"


class ReleaseRefused(GeartrainError):
    """The command does not fit the release's state or the person's role."""

    code = "release.refused"


class BundleTampered(GeartrainError):
    """A release bundle is not byte for byte what was signed."""

    code = "release.bundle-tampered"


class RequestInvalid(GeartrainError):
    """A client's request cannot be understood; nothing was decided."""

    code = "serving.request-invalid"


class ModelUnknown(GeartrainError):
    """No model of that name or version is served here."""

    code = "serving.model-unknown"


class DecisionUnknown(GeartrainError):
    """An outcome names a decision that was never made here."""

    code = "serving.decision-unknown"


class Overloaded(GeartrainError):
    """The server answers no to this request so that it can keep its promise to others."""

    code = "serving.overloaded"
    exit_code = EXIT_TRY_AGAIN


class NotReady(GeartrainError):
    """The server has no release to answer with yet, or is draining."""

    code = "serving.not-ready"
    exit_code = EXIT_TRY_AGAIN


class SettingInvalid(GeartrainError):
    """A setting in the environment or in `geartrain.toml` cannot be used."""

    code = "settings.invalid"


class PageMissing(GeartrainError):
    """The room has nothing at this address."""

    code = "room.missing"
    exit_code = EXIT_NO


class NotAllowed(GeartrainError):
    """A person, or a token, may not do what was asked."""

    code = "room.not-allowed"
    exit_code = EXIT_NO


def from_document(document: Mapping[str, object]) -> GeartrainError:
    """The error that `to_document` wrote down, of its own class again; an unknown code is the family's.

    >>> told = from_document(DiskFull("no room", where="lake").to_document())
    >>> type(told).__name__, told.where
    ('DiskFull', 'lake')
    """
    said = {name: str(document.get(name, "")) for name in ("message", "where", "found", "hint")}
    code = document.get("code")
    problems = document.get("problems")
    if code == ContractInvalid.code and isinstance(problems, list):
        return ContractInvalid(said["where"], tuple(Problem(**problem) for problem in problems))
    kind = next((one for one in GeartrainError.__subclasses__() if one.code == code), GeartrainError)
    return kind(said["message"], where=said["where"], found=said["found"], hint=said["hint"])

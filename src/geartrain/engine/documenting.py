"""From ledger, bundle and notes to a release's documents: every figure is read, none is made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from geartrain.contract.wording import in_words
from geartrain.documents.facts import DocumentFacts, MetricLine
from geartrain.documents.prose import FOLDER as PROSE
from geartrain.documents.prose import Ask, Note, begun, flag, read_note
from geartrain.documents.rendering import ASKS, DOCUMENTS, Rendered
from geartrain.documents.report_nouns import PromiseLine
from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest_bytes
from geartrain.domain.events import FindingsRecorded, Recorded
from geartrain.domain.release import ReleaseStage
from geartrain.domain.wire import decode
from geartrain.engine.bundles import bundle_files, load_bundle
from geartrain.engine.runs import run_of_release
from geartrain.engine.workspace import Workspace
from geartrain.errors import DocumentEdited, ProseUnreadable, ReleaseUnknown
from geartrain.evaluation.judging import Report, Shown
from geartrain.release.bundle_nouns import SBOM
from geartrain.release.conditions import signing
from geartrain.release.state import fold

#: The folder in the product's own that holds what was made.
FOLDER = "documents"
CHECKSUMS = "SHA256SUMS"
#: The release that was proposed last, beside the aliases.
LATEST = "latest"
#: A note longer than this is not a paragraph for a document.
LONGEST_NOTE = 200_000
_ON_TRAFFIC = (Stage.SHADOW, Stage.CANARY, Stage.LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one asked statement stands: `missing`, `written`, or why it must be read again."""

    ask: Ask
    words: str
    by: str = ""

    @property
    def holds(self) -> bool:
        """Whether somebody wrote it for what is documented."""
        return self.words == "written"


def document_facts(
    workspace: Workspace, product: str, release: str, *, now: datetime, folder: Path | None = None
) -> DocumentFacts:
    """What the documents of *release* (an id, its beginning, an alias or `latest`) are made of, as known at *now*.

    The contract, model and evidence are those of the signed bundle, which is verified first;
    the notes are read from the product's *folder*, none where it is None.

    Raises:
        ReleaseUnknown: No release has that name, or there was none at *now*.
        BundleTampered: The bundle is not what was signed.
        ProseUnreadable: A note is not text.
    """
    history = tuple(one for one in workspace.history(product) if one.at <= now)
    state = fold(history)
    named = state.records[-1].id if release == LATEST and state.records else release
    record = state.record(state.resolve(named))
    if record is None:
        raise ReleaseUnknown("no such release at that time", where=product, found=release)
    loaded = load_bundle(workspace, record.id)
    report = _report_of(workspace, product, record.id, history)
    lives = [one.at for one in record.passages if one.stage is ReleaseStage.LIVE]
    return DocumentFacts(
        made_at=now,
        made_with=version("geartrain"),
        contract=loaded.contract,
        release=record.release,
        model=loaded.model,
        stage=record.stage,
        proposed_at=record.proposed_at,
        retrained=record.retrained,
        adopted=state.contract,
        live_since=lives[-1] if lives else None,
        needed=signing(loaded.contract, record).needed,
        sign_offs=record.sign_offs,
        waivers=tuple(one for one in record.waivers if one.granted_at <= now),
        findings=loaded.findings,
        later=tuple(
            finding
            for one in state.judged
            if one.subject in (record.id, record.release.model) and one.stage in _ON_TRAFFIC
            for finding in one.findings
        ),
        promises=_promises(loaded.contract),
        metrics=tuple(_line(one) for one in report.metrics) if report else (),
        baselines=tuple(_line(one) for one in report.baselines) if report else (),
        tables=report.groups if report else (),
        impossible=report.impossible if report else (),
        explanation=report.explanation if report else None,
        thresholds=report.thresholds if report else (),
        robustness=tuple(_line(one) for one in report.robustness) if report else (),
        luck=report.lift.sentences if report and report.lift else (),
        above_luck=report.lift.above_luck if report and report.lift else None,
        rows=report.rows if report else None,
        python=loaded.environment.python,
        platform=loaded.environment.platform,
        packages=tuple((one.name, one.version) for one in loaded.environment.packages),
        bill=bundle_files(workspace, record.id)[SBOM],
        history=history,
        notes=read_notes(folder) if folder else (),
    )


def read_notes(folder: Path) -> tuple[Note, ...]:
    """What people wrote in the product's *folder*, in the order of its names.

    Raises:
        ProseUnreadable: A file is not UTF-8 text, or is longer than any note.
    """
    return tuple(
        read_note(document, file.stem, _text_of(file))
        for document in DOCUMENTS
        for file in sorted((folder / PROSE / document).glob("*.md"))
    )


def stray_notes(folder: Path) -> tuple[str, ...]:
    """Files in the folder of notes that no document will include, by their paths."""
    root = folder / PROSE
    known = {file for document in DOCUMENTS for file in (root / document).glob("*.md")}
    return tuple(
        str(file.relative_to(folder))
        for file in sorted(root.rglob("*"))
        if file.is_file() and file not in known
    )


def standings(facts: DocumentFacts) -> tuple[Standing, ...]:
    """How every statement stands that the documents ask of people."""
    notes = {note.path: note for note in facts.notes if not note.empty}
    told = []
    for ask in ASKS:
        note = notes.get(ask.path)
        words = "missing" if note is None else flag(note, facts.about) or "written"
        told.append(Standing(ask=ask, words=words, by=note.by if note else ""))
    return tuple(told)


def begin_notes(folder: Path, facts: DocumentFacts, asks: Iterable[Ask]) -> tuple[str, ...]:
    """Write a file with the question for each of *asks* that has none; one that is there is never touched."""
    about, made = facts.about, []
    for ask in asks:
        file = folder / ask.path
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(begun(ask, about))
        except FileExistsError:
            continue
        made.append(ask.path)
    return tuple(made)


def keep_documents(folder: Path, documents: Iterable[Rendered]) -> tuple[Path, ...]:
    """Write *documents* into *folder*, over what was made there before.

    Checksums beside them tell what was made from what a person changed: words that
    somebody typed into a generated file are not lost in silence.

    Raises:
        DocumentEdited: A file there was changed by hand, or is not one of ours.
    """
    made = {one.name: one.content for one in documents}
    known = _checksums(folder)
    for name in made:
        file = folder / name
        if file.exists() and (digest_bytes(file.read_bytes()), name) not in known:
            raise DocumentEdited(
                "this document was changed by hand, and making it again would lose that",
                where=str(file),
                hint=f"move your words into `{PROSE}/`, where they survive, then remove the file; or name another folder",
            )
    folder.mkdir(parents=True, exist_ok=True)
    new = {(digest_bytes(content), name) for name, content in made.items()}
    others = {(told, name) for told, name in known if name not in made}
    # Old and new sums stand together while files are replaced, so a writer that is cut off accuses nobody.
    _write(folder / CHECKSUMS, _sums(known | new))
    for name, content in made.items():
        _write(folder / name, content)
    _write(folder / CHECKSUMS, _sums(others | new))
    return tuple(folder / name for name in made)


def _checksums(folder: Path) -> set[tuple[str, str]]:
    """Digest and name of everything that was made in *folder*, as `sha256sum --check` reads it."""
    file = folder / CHECKSUMS
    if not file.exists():
        return set()
    lines = (line.split("  ", maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines())
    return {(parts[0], parts[1]) for parts in lines if len(parts) == 2}


def _sums(sums: set[tuple[str, str]]) -> bytes:
    return "".join(
        f"{told}  {name}\n" for told, name in sorted(sums, key=lambda one: (one[1], one[0]))
    ).encode()


def _write(file: Path, content: bytes) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(file)


def _text_of(file: Path) -> str:
    content = file.read_bytes()
    if len(content) > LONGEST_NOTE:
        raise ProseUnreadable(
            "this note is too long for a document",
            where=str(file),
            found=f"{len(content):,} bytes",
            hint=f"keep it under {LONGEST_NOTE:,} bytes; put long texts elsewhere and name them in the note",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProseUnreadable(
            "this note is not UTF-8 text", where=str(file), found=str(error), hint="save it as UTF-8"
        ) from error


def _report_of(
    workspace: Workspace, product: str, release: str, history: tuple[Recorded, ...]
) -> Report | None:
    """What the judging showed, as the ledger names it; a ledger from before it did leaves that to the run's file."""
    named = ""
    for one in history:
        event = one.event
        if isinstance(event, FindingsRecorded) and event.subject == release and event.stage is Stage.RELEASE:
            named = event.report or named
    if not named:
        document = run_of_release(workspace.root, product, release)
        named = str(document["report"]) if document else ""
    return decode(workspace.blobs.get(named), Report) if named else None


def _line(shown: Shown) -> MetricLine:
    seen = shown.measurement
    if seen is None:
        return MetricLine(
            name=shown.name, where=shown.where, relative_to=shown.relative_to, reason=shown.reason
        )
    return MetricLine(
        name=shown.name,
        where=shown.where,
        relative_to=shown.relative_to,
        value=seen.value,
        low=seen.low,
        high=seen.high,
        confidence=seen.confidence,
        rows=seen.rows,
        method=seen.method,
    )


def _promises(contract: Contract) -> tuple[PromiseLine, ...]:
    """Each clause in words; owner and severity stand beside it and need not be said again."""
    return tuple(
        PromiseLine(clause=one.path, owner=one.owner, sentence=one.sentence.rsplit(" (", maxsplit=1)[0])
        for one in in_words(contract)
    )

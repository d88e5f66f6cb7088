"""Ledger: every trial, every look at the sealed rows, every decision, and what was live at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from geartrain.domain.digest import short
from geartrain.domain.events import PoolOpened, Recorded, TrialRecorded
from geartrain.domain.model import Pool
from geartrain.domain.wire import encode
from geartrain.engine.telling import told_event
from geartrain.engine.workspace import MACHINE
from geartrain.errors import LedgerTampered
from geartrain.release.state import LiveAnswer, live_at
from geartrain.web.pages.standing import contract_of, words_of
from geartrain.web.paging import Action, Download, Page
from geartrain.web.room import Asked

_A_PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One setting that was tried."""

    id: str
    at: datetime
    algorithm: str
    pool: Pool
    variant: str
    metric: str
    score: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LookLine:
    """One look at rows that are not free to look at."""

    at: datetime
    actor: str
    pool: Pool
    candidate: str
    purpose: str
    look: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLine:
    """One entry of the ledger, in words.

    Attributes:
        by_machine: Whether nobody wrote any of it; what people wrote is shown as they wrote it.
    """

    position: int
    at: datetime
    actor: str
    by_machine: bool
    kind: str
    words: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A type of event and how often it happened."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What verifying the whole chain gave."""

    holds: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """The ledger of one product.

    Attributes:
        alpha_left: What is left of the budget for errors of the rows that were sealed last.
        live: What was live at the time that was asked about, or None where none was asked.
        promises: The clauses in force by their paths, in words.
    """

    entries: tuple[EntryLine, ...]
    entries_in_all: int
    page: int
    pages: int
    kinds: tuple[Kind, ...]
    kind: str
    actor: str
    actors: tuple[str, ...]
    trials_in_all: int
    trials: tuple[TrialLine, ...]
    looks: tuple[LookLine, ...]
    alpha_left: float | None
    at: str
    at_wrong: str
    live: LiveAnswer | None
    checked: Checked | None
    promises: tuple[tuple[str, str], ...]


def ledger_view(asked: Asked) -> LedgerView:
    """The ledger: `?kind=`, `?actor=`, `?page=` choose entries, `?at=` asks what was live, `?verify=1` checks it."""
    contract, plain = contract_of(asked), words_of(asked)
    history = asked.workspace.history(asked.product)
    kind, actor = asked.query.get("kind", ""), asked.query.get("actor", "")
    chosen = [one for one in history if kind in {"", type(one.event).__name__} and actor in {"", one.actor}]
    pages = max(1, -(-len(chosen) // _A_PAGE))
    told = asked.query.get("page", "1")
    page = min(max(int(told), 1), pages) if told.isdigit() and len(told) < 10 else 1
    newest = chosen[::-1][(page - 1) * _A_PAGE : page * _A_PAGE]
    trials = [one for one in history if isinstance(one.event, TrialRecorded)]
    looks = [one for one in history if isinstance(one.event, PoolOpened)]
    at, wrong = _moment(asked.query.get("at", ""))
    return LedgerView(
        entries=tuple(_entry(one) for one in newest),
        entries_in_all=len(chosen),
        page=page,
        pages=pages,
        kinds=tuple(
            Kind(name=name, count=count)
            for name, count in sorted(Counter(type(one.event).__name__ for one in history).items())
        ),
        kind=kind,
        actor=actor,
        actors=tuple(sorted({one.actor for one in history})),
        trials_in_all=len(trials),
        trials=tuple(_trial(one) for one in trials[: -_A_PAGE - 1 : -1]),
        looks=tuple(_look(one) for one in reversed(looks)),
        alpha_left=_alpha_left(looks),
        at=asked.query.get("at", ""),
        at_wrong=wrong,
        live=live_at(asked.workspace.releases(asked.product), at) if at else None,
        checked=_verified(asked) if asked.query.get("verify") == "1" else None,
        promises=tuple((one.path, plain.promise(one)) for one in contract.clauses) if at else (),
    )


def history_file(asked: Asked) -> tuple[str, str, bytes]:
    """The product's whole history as JSON lines, each with the hash that chains it to the one before."""
    contract_of(asked)
    lines = [
        encode(
            {
                "position": one.position,
                "stream": one.stream,
                "version": one.version,
                "at": one.at,
                "actor": one.actor,
                "type": type(one.event).__name__,
                "event": one.event,
                "previous": one.previous,
                "hash": one.hash,
            }
        )
        for one in asked.workspace.history(asked.product)
    ]
    return f"{asked.product}-ledger.jsonl", "application/jsonl", b"\n".join(lines) + b"\n"


def _entry(recorded: Recorded) -> EntryLine:
    return EntryLine(
        position=recorded.position,
        at=recorded.at,
        actor=recorded.actor,
        kind=type(recorded.event).__name__,
        by_machine=recorded.actor == MACHINE,
        words=told_event(recorded.event),
        hash=recorded.hash,
    )


def _trial(recorded: Recorded) -> TrialLine:
    assert isinstance(recorded.event, TrialRecorded)
    trial = recorded.event.trial
    return TrialLine(
        id=recorded.event.id,
        at=recorded.at,
        algorithm=trial.algorithm,
        pool=trial.pool,
        variant=trial.variant,
        metric=trial.metric,
        score=trial.score,
        rows=trial.rows,
    )


def _look(recorded: Recorded) -> LookLine:
    event = recorded.event
    assert isinstance(event, PoolOpened)
    return LookLine(
        at=recorded.at,
        actor=recorded.actor,
        pool=event.pool,
        candidate=short(event.candidate),
        purpose=event.purpose,
        look=event.look,
        confidence=event.confidence,
    )


def _alpha_left(looks: list[Recorded]) -> float | None:
    """What the looks at the latest sealed rows have left of 5 in 100; None before the first look."""
    sealed = [
        one.event for one in looks if isinstance(one.event, PoolOpened) and one.event.pool is Pool.VERDICT
    ]
    if not sealed or not sealed[-1].confidence:
        return None
    latest = sealed[-1].snapshot
    spent = sum(1 - one.confidence for one in sealed if one.snapshot == latest and one.confidence)
    return max(0.05 - spent, 0.0)


def _moment(text: str) -> tuple[datetime | None, str]:
    if not text:
        return None, ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, "this is not a time; try 2026-03-01T12:00"
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), ""


def _verified(asked: Asked) -> Checked:
    try:
        length = asked.workspace.ledger.verify()
    except LedgerTampered as error:
        return Checked(holds=False, words=error.message)
    return Checked(
        holds=True,
        words=f"the chain of {length:,} entries holds: nothing was changed, left out or put in between",
    )


_AT = "/products/{product}/ledger"
PAGES = (Page(path=_AT, template="ledger.html", view=ledger_view),)
ACTIONS: tuple[Action, ...] = ()
DOWNLOADS = (Download(path=f"{_AT}/history", file=history_file),)

"""The truth about decisions: found by name, written once, corrected when it changes, whoever wrote before."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from geartrain.adapters.lake import DeltaLake
from geartrain.domain.contract import CostTerms
from geartrain.domain.prediction import Decision, Outcome
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.engine import outcomes
from geartrain.engine.logbook import log_records
from geartrain.engine.outcomes import LoggedDecisions, OutcomeBook
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.serving.host import OutcomeStatus
from geartrain.serving.journal import LoggedDecision
from geartrain.testing.blobs import MemoryBlobs
from geartrain.testing.lake import MemoryLake
from geartrain.testing.ledger import MemoryLedger
from geartrain.testing.notifier import MemoryNotifier

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULE = DecisionRule(
    task=Task.BINARY, classes=("no", "yes"), actions=("accept", "stop"), costs=CostTerms(), fallback="accept"
)


class Watched(MemoryLake):
    """A lake that tells how many rows each look gave."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[int] = []

    def scan(self, table, **wanted):
        found = super().scan(table, **wanted)
        self.looks.append(found.num_rows)
        return found


@pytest.fixture
def lake() -> Watched:
    return Watched()


@pytest.fixture
def workspace(tmp_path, lake) -> Workspace:
    return Workspace(
        root=tmp_path,
        ledger=MemoryLedger(),
        lake=lake,
        blobs=MemoryBlobs(),
        notifier=MemoryNotifier(),
        signing_key=lambda: b"",
    )


def decision(name: str) -> Decision:
    return Decision(
        id=name,
        product="p",
        release="r1",
        key="",
        decided_at=NOON,
        action="accept",
        probabilities=(("no", 0.75), ("yes", 0.25)),
        expected_cost=0.25,
    )


def logged(workspace: Workspace, *names: str) -> None:
    records = [
        LoggedDecision(
            decision=decision(name), at=NOON, row=b'{"a":1}', features=np.zeros(1, "<f4").tobytes()
        )
        for name in names
    ]
    log_records(workspace, records, batch=f"b-{names[0]}", encoding_of=lambda _product, _release: None)


def outcome(name: str, label: str, *, hours: int = 1) -> Outcome:
    at = NOON + timedelta(hours=hours)
    return Outcome(decision=name, label=label, happened_at=at, arrived_at=at)


def recorded(workspace: Workspace, *told: Outcome) -> list[str]:
    """What a book that knows nothing but the lake says of *told*."""
    made = {name: decision(name) for name in ("d1", "d2", "d3")}
    statuses, _ = OutcomeBook(workspace, "p").record(told, rule=RULE, find=made.get)
    return [str(one) for one in statuses]


def test_what_is_said_later_counts_though_a_clock_went_backwards(workspace, lake):
    """Also in one request, where both arrive at one time: whoever was told `corrected` was heard."""
    assert recorded(workspace, outcome("d1", "yes", hours=30)) == ["recorded"]
    assert recorded(workspace, outcome("d1", "no", hours=6)) == ["corrected"]
    assert recorded(workspace, outcome("d1", "no", hours=7)) == ["duplicate"]
    assert recorded(workspace, outcome("d2", "yes"), outcome("d2", "no"), outcome("d2", "no")) == [
        "recorded",
        "corrected",
        "duplicate",
    ]

    rows = pl.DataFrame(lake.scan("p/outcomes")).sort(ARRIVAL_TIME, "label")
    assert dict(rows.select("decision", "label").iter_rows()) == {"d1": "no", "d2": "no"}


def test_the_same_outcomes_at_several_servers_at_once_are_news_once(workspace, tmp_path):
    """Each server has its own lake on the same folder; whoever is second finds what the first wrote."""
    names = [f"d{number}" for number in range(50)]
    told = [outcome(name, "yes") for name in names]
    made = {name: decision(name) for name in names}
    books = [OutcomeBook(replace(workspace, lake=DeltaLake(tmp_path / "lake")), "p") for _server in range(3)]

    with ThreadPoolExecutor(len(books)) as pool:
        answers = list(pool.map(lambda book: book.record(told, rule=RULE, find=made.get), books))

    counted = Counter(status for statuses, _ in answers for status in statuses)
    assert counted == {OutcomeStatus.RECORDED: 50, OutcomeStatus.DUPLICATE: 100}
    assert DeltaLake(tmp_path / "lake").scan("p/outcomes").num_rows == 50


def test_only_what_is_asked_for_is_read(workspace, lake):
    """Of a thousand decisions a look gives the two that were asked for; asked again, the lake is left alone."""
    logged(workspace, *(f"d{number}" for number in range(1000)))
    log = LoggedDecisions(workspace, "p")
    assert log.find({"d7", "d8", "nobody"}) == {"d7": decision("d7"), "d8": decision("d8")}
    assert lake.looks == [2]
    assert log.rows(["d7"])["d7"]["row"] == '{"a":1}'
    assert lake.looks == [2]


def test_what_was_not_there_is_looked_for_again_after_a_while(workspace, lake, monkeypatch):
    """A decision that is delivered later is found, at once where whoever asks knows that it was delivered."""
    logged(workspace, "d1")
    log = LoggedDecisions(workspace, "p")
    assert log.find(["d2"]) == {}
    logged(workspace, "d2")
    assert log.find(["d2"]) == {}, "it was looked for a moment ago"
    assert list(log.rows(["d2"], look_again=True)) == ["d2"]
    monkeypatch.setattr(outcomes, "_LOOK_AGAIN_S", 0.0)
    assert log.find(["d3"]) == {}
    logged(workspace, "d3")
    assert list(log.find(["d3"])) == ["d3"]
    assert lake.looks == [0, 1, 0, 1]


def test_memory_holds_the_latest_that_were_asked_for(workspace, monkeypatch):
    """However many are looked for, a bounded number is kept, and all of a request are found."""
    monkeypatch.setattr(outcomes, "_MOST_KEPT", 3)
    names = [f"d{number}" for number in range(10)]
    logged(workspace, *names)
    log = LoggedDecisions(workspace, "p")
    assert log.find(names).keys() == set(names)
    assert len(log._kept) == 3


def test_an_outcome_counts_once_and_a_later_one_corrects_it(workspace):
    """Each book begins with nothing in memory, as another worker or a restart does: the lake is what counts."""
    assert recorded(workspace, outcome("d1", "yes"), outcome("d9", "yes")) == ["recorded", "unknown decision"]
    assert recorded(workspace, outcome("d1", "yes", hours=2)) == ["duplicate"]
    assert recorded(workspace, outcome("d1", "no", hours=3), outcome("d1", "no", hours=3)) == [
        "corrected",
        "duplicate",
    ]
    assert recorded(workspace, outcome("d1", "yes", hours=4), outcome("d2", "maybe")) == [
        "corrected",
        "invalid",
    ]
    assert workspace.lake.scan("p/outcomes").num_rows == 3, "every piece of news once"

"""The truth about decisions that were answered here: found again, written down once, corrected when it changes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from threading import RLock

import polars as pl

from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.prediction import Decision, Outcome
from geartrain.domain.rule import DecisionRule
from geartrain.engine.logbook import DECISIONS, decision_of, key_of
from geartrain.engine.rows import OUTCOMES, data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME
from geartrain.serving.host import OutcomeStatus

_COLUMNS = (
    "decision_id", "release", "key", "action", "probabilities", "expected_cost", "abstained", "fallback",
    "doubt", "arm", "row", EVENT_TIME, ARRIVAL_TIME,
)  # fmt: skip
#: The lake is asked again for unknown decisions at most this often; a flood of wrong ids must not read it whole.
_LOOK_AGAIN_S = 1.0

Find = Callable[[str], Decision | None]


class LoggedDecisions:
    """One product's decisions in the lake, found by id."""

    def __init__(self, workspace: Workspace, product: str) -> None:
        self._workspace = workspace
        self._product = product
        self._lock = RLock()
        self._rows = pl.DataFrame()
        self._place: dict[str, int] = {}
        self._looked = float("-inf")

    def find(self, decision: str) -> Decision | None:
        """The decision of that id, or None."""
        row = self.row(decision)
        return None if row is None else decision_of(row, self._product)

    def row(self, decision: str, *, look_again: bool = False) -> Mapping[str, object] | None:
        """The log's row of that decision, or None."""
        with self._lock:
            due = time.monotonic() - self._looked >= _LOOK_AGAIN_S
            if decision not in self._place and (due or look_again):
                self._read()
            place = self._place.get(decision)
            return None if place is None else self._rows.row(place, named=True)

    def _read(self) -> None:
        table = table_of(self._product, DECISIONS)
        self._rows = frame_of(self._workspace.lake.scan(table, columns=_COLUMNS))
        ids = self._rows.get_column("decision_id").to_list() if self._rows.width else []
        self._place = {one: place for place, one in enumerate(ids)}
        self._looked = time.monotonic()


class OutcomeBook:
    """One product's outcomes: appended to the lake, each piece of news once."""

    def __init__(self, workspace: Workspace, product: str) -> None:
        self._workspace = workspace
        self._table = table_of(product, OUTCOMES)
        self._lock = RLock()
        self._labels: dict[str, str] | None = None

    def record(
        self, outcomes: Sequence[Outcome], *, rule: DecisionRule, find: Find
    ) -> tuple[tuple[OutcomeStatus, ...], tuple[tuple[Decision, Outcome], ...]]:
        """Write down what is new; what became of each outcome, and those that are news.

        Raises:
            DiskFull: Nothing was written.
            WorkspaceBusy: Another process kept the table for too long; nothing was written.
        """
        with self._lock:
            known = self._known()
            said: dict[str, str] = {}
            statuses: list[OutcomeStatus] = []
            news: list[tuple[Decision, Outcome]] = []
            for outcome in outcomes:
                decision = find(outcome.decision)
                before = said.get(outcome.decision, known.get(outcome.decision))
                if decision is None:
                    status = OutcomeStatus.UNKNOWN
                elif rule.classes and outcome.label not in rule.classes:
                    status = OutcomeStatus.INVALID
                elif before == outcome.label:
                    status = OutcomeStatus.DUPLICATE
                else:
                    status = OutcomeStatus.RECORDED if before is None else OutcomeStatus.CORRECTED
                    said[outcome.decision] = outcome.label
                    news.append((decision, outcome))
                statuses.append(status)
            if news:
                self._append(news)
                known.update(said)
            return tuple(statuses), tuple(news)

    def _append(self, news: Sequence[tuple[Decision, Outcome]]) -> None:
        batch = "outcomes-" + digest([outcome for _, outcome in news])[:24]
        clock = pl.Datetime("us", "UTC")
        rows = pl.DataFrame(
            {
                EVENT_TIME: pl.Series([outcome.happened_at for _, outcome in news], dtype=clock),
                ARRIVAL_TIME: pl.Series([outcome.arrived_at for _, outcome in news], dtype=clock),
                BATCH: [batch] * len(news),
                "key": [key_of(decision) for decision, _ in news],
                "label": [outcome.label for _, outcome in news],
                "decision": [outcome.decision for _, outcome in news],
                "by": [outcome.by for _, outcome in news],
            }
        )
        self._workspace.lake.append(self._table, rows.to_arrow(), batch=batch)

    def _known(self) -> dict[str, str]:
        if self._labels is None:
            held = frame_of(
                self._workspace.lake.scan(self._table, columns=("decision", "label", ARRIVAL_TIME))
            )
            ordered = held.sort(ARRIVAL_TIME, "label") if held.width else held
            pairs = ordered.select("decision", "label").iter_rows() if held.width else iter(())
            self._labels = {decision: label for decision, label in pairs if decision is not None}
        return self._labels


def rows_with_truth(
    contract: Contract,
    news: Sequence[tuple[Decision, Outcome]],
    row_of: Callable[[str], Mapping[str, object] | None],
    *,
    held: frozenset[str],
) -> tuple[dict[str, object], ...]:
    """The rows behind *news* that the decision source does not hold yet, ready for the door.

    A row that was only ever sent to be decided about becomes one to learn from when its
    truth is known. *held* are the keys that the source has.
    """
    data = data_of(contract)
    source = data.decisions
    rows: dict[str, dict[str, object]] = {}
    for decision, outcome in news:
        key = key_of(decision)
        logged = None if key in held else row_of(decision.id)
        if logged is None:
            continue
        row: dict[str, object] = {**json.loads(str(logged["row"])), source.key: key}
        if source.event_time:
            row.setdefault(source.event_time, _text(logged[EVENT_TIME]))
        if source.arrival_time:
            row[source.arrival_time] = _text(logged[ARRIVAL_TIME])
        if data.labels is None:
            row[contract.decision.label] = outcome.label
        rows[key] = row
    return tuple(rows.values())


def _text(moment: object) -> str:
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)

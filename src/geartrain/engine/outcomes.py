"""The truth about decisions that were answered here: found again, written down once, corrected when it changes."""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import RLock

import polars as pl

from geartrain.domain.columns import texts_of
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.prediction import Decision, Outcome
from geartrain.domain.rule import DecisionRule
from geartrain.engine.logbook import DECISIONS, decision_of, key_of
from geartrain.engine.rows import OUTCOMES, data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.ports.lake import ARRIVAL_TIME, BATCH, EVENT_TIME
from geartrain.serving.host import OutcomeStatus

_ID = "decision_id"
_COLUMNS = (
    _ID, "release", "key", "action", "probabilities", "expected_cost", "abstained", "fallback",
    "doubt", "arm", "row", EVENT_TIME, ARRIVAL_TIME,
)  # fmt: skip
#: A decision that was not there is looked for again at the earliest after this time.
_LOOK_AGAIN_S = 1.0
#: So many decisions that were looked for lately are kept: an outcome asks for its decision, and then for its row.
_MOST_KEPT = 1_000

#: The smallest step of the lake's clocks.
_NEXT = timedelta(microseconds=1)

Find = Callable[[str], Decision | None]


class LoggedDecisions:
    """One product's decisions in the lake, found by id. However many there are, memory holds the latest that were read."""

    def __init__(self, workspace: Workspace, product: str) -> None:
        self._workspace = workspace
        self._product = product
        self._lock = RLock()
        self._kept: OrderedDict[str, Mapping[str, object]] = OrderedDict()
        self._missed: dict[str, float] = {}

    def find(self, decisions: Collection[str]) -> dict[str, Decision]:
        """Those of *decisions* that the log has, by id."""
        return {one: decision_of(row, self._product) for one, row in self.rows(decisions).items()}

    def rows(
        self, decisions: Collection[str], *, look_again: bool = False
    ) -> dict[str, Mapping[str, object]]:
        """The log's rows of those of *decisions* that it has, by id, in one look at the lake."""
        with self._lock:
            now = time.monotonic()
            found = {one: self._kept[one] for one in decisions if one in self._kept}
            asked = {
                one
                for one in decisions
                if one not in found
                and (look_again or now - self._missed.get(one, -math.inf) >= _LOOK_AGAIN_S)
            }
            if asked:
                fresh = self._read(asked)
                self._missed = dict.fromkeys(asked - fresh.keys(), now)
                found |= fresh
                self._kept.update(fresh)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return found

    def _read(self, decisions: Collection[str]) -> dict[str, Mapping[str, object]]:
        table = table_of(self._product, DECISIONS)
        held = frame_of(self._workspace.lake.scan(table, columns=_COLUMNS, among=(_ID, decisions)))
        return {str(row[_ID]): row for row in held.iter_rows(named=True)}


class OutcomeBook:
    """One product's outcomes: appended to the lake, each piece of news once."""

    def __init__(self, workspace: Workspace, product: str) -> None:
        self._workspace = workspace
        self._table = table_of(product, OUTCOMES)

    def record(
        self, outcomes: Sequence[Outcome], *, rule: DecisionRule, find: Find
    ) -> tuple[tuple[OutcomeStatus, ...], tuple[tuple[Decision, Outcome], ...]]:
        """Write down what is new; what became of each outcome, and those that are news.

        Of the same outcome at two servers at once one is news. What is said later counts, also where a clock went
        backwards meanwhile: a correction arrives after what it corrects.

        Raises:
            DiskFull: Nothing was written.
            WorkspaceBusy: Another process kept the table for too long; nothing was written.
        """
        with self._workspace.lake.in_turn(self._table):
            said = self._known({outcome.decision for outcome in outcomes})
            statuses: list[OutcomeStatus] = []
            news: list[tuple[Decision, Outcome]] = []
            for outcome in outcomes:
                decision = find(outcome.decision)
                before, since = said.get(outcome.decision, (None, None))
                if decision is None:
                    status = OutcomeStatus.UNKNOWN
                elif rule.classes and outcome.label not in rule.classes:
                    status = OutcomeStatus.INVALID
                elif before == outcome.label:
                    status = OutcomeStatus.DUPLICATE
                else:
                    status = OutcomeStatus.RECORDED if before is None else OutcomeStatus.CORRECTED
                    later = outcome.arrived_at if since is None else max(outcome.arrived_at, since + _NEXT)
                    said[outcome.decision] = outcome.label, later
                    news.append((decision, replace(outcome, arrived_at=later)))
                statuses.append(status)
            if news:
                self._append(news)
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

    def _known(self, decisions: Collection[str]) -> dict[str, tuple[str, datetime]]:
        """What was said last about each of *decisions* that anything was said about, and when it arrived."""
        held = frame_of(
            self._workspace.lake.scan(
                self._table, columns=("decision", "label", ARRIVAL_TIME), among=("decision", decisions)
            )
        )
        if not held.width:
            return {}
        ordered = held.sort(ARRIVAL_TIME, "label").select("decision", "label", ARRIVAL_TIME)
        return {decision: (label, arrived) for decision, label, arrived in ordered.iter_rows()}


def keys_held(workspace: Workspace, contract: Contract, keys: Collection[str]) -> frozenset[str]:
    """Those of *keys* whose rows the decision source has."""
    source = data_of(contract).decisions
    table = table_of(contract.product.name, source.name)
    held = frame_of(workspace.lake.scan(table, columns=(source.key,), among=(source.key, keys)))
    return frozenset(texts_of(held.get_column(source.key)).to_list()) if held.width else frozenset()


def rows_with_truth(
    contract: Contract,
    news: Sequence[tuple[Decision, Outcome]],
    row_of: Callable[[str], Mapping[str, object] | None],
    *,
    held: frozenset[str],
) -> tuple[dict[str, object], ...]:
    """The rows behind *news* that the decision source does not hold yet, ready for the door.

    A row that was only ever sent to be decided about becomes one to learn from when its
    truth is known. *held* are the keys of *news* that the source has.
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

"""Durable workflows: on DBOS (SQLite or PostgreSQL), and in memory for replays.

Both run the same plans: a plan is a function of `Steps` and JSON arguments. DBOS keeps
each finished step's result; after a crash the plan is run again from the top and its
finished steps answer from there.

An error of our own family ends a run: it is kept as its document, which survives any
serialiser, and is raised again as what it was. A run that ended in an error is never
gone on with; the same order given again begins a new attempt, whose id is the run's with
the attempt's number.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from geartrain.errors import GeartrainError, SettingInvalid, from_document
from geartrain.ports.workflow import Plan

T = TypeVar("T")

#: DBOS resumes only runs of the version it was started with; a run must survive an upgrade
#: of the code, so this changes only when a plan's steps change their meaning.
PLANS_VERSION = "geartrain-plans-1"
#: The key under which a run, or a step, leaves the error that ended it.
_ERROR = "geartrain.error"
_UNDER_WAY = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
_DONE = "SUCCESS"
_POLL_S = 0.05


class MemoryWorkflows:
    """Runs plans at once, remembering nothing beyond the process: for replays and tests."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        self._results: dict[str, object] = {}

    def run(self, run_id: str, plan: str, arguments: dict[str, object]) -> object:
        """Run *plan* to its end; the same *run_id* again returns the same result."""
        if run_id not in self._results:
            self._results[run_id] = self._plans[plan](_Direct(), arguments)
        return self._results[run_id]

    def unfinished(self) -> tuple[str, ...]:
        """Nothing outlives a run here."""
        return ()

    def resume(self) -> tuple[str, ...]:
        """Nothing to go on with."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""


class _Direct:
    """Steps that simply run."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        del name
        return work()


class DbosWorkflows:
    """Runs plans durably: a killed process goes on where it was when it is started again.

    DBOS is one per process; opening a second one closes the first.
    """

    def __init__(self, url: str, plans: Mapping[str, Plan]) -> None:
        from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

        logger = logging.getLogger("dbos")
        logger.setLevel(logging.ERROR)
        # An earlier one in this process left handlers whose streams may be closed by now.
        logger.handlers.clear()
        config: DBOSConfig = {
            "name": "geartrain",
            "system_database_url": url,
            "application_version": PLANS_VERSION,
            "executor_id": "geartrain",
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
        }
        DBOS.destroy(destroy_registry=True)
        self._dbos = DBOS
        DBOS(config=config)
        self._workflow = DBOS.workflow(name="geartrain.plan", max_recovery_attempts=1_000)(_runner(plans))
        self._launched_s = int(time.time())
        try:
            DBOS.launch()
        except (OSError, ValueError) as error:
            raise SettingInvalid(
                "the workflow database cannot be opened", where=url, found=str(error)
            ) from error

    def run(self, run_id: str, plan: str, arguments: dict[str, object]) -> object:
        """Run *plan*, or wait for the run of that id that was resumed when this process began.

        Raises:
            GeartrainError: The plan ended in this error; the next call tries again.
        """
        from dbos import SetWorkflowID

        attempt = run_id
        number = 1
        while self._failed(attempt):
            number += 1
            attempt = f"{run_id}.{number}"
        with SetWorkflowID(attempt):
            handle = self._dbos.start_workflow(self._workflow, plan, arguments)
        return _demanded(handle.get_result())

    def unfinished(self) -> tuple[str, ...]:
        """The ids of runs that were cut off and are being gone on with."""
        return tuple(run.workflow_id for run in self._dbos.list_workflows(status=sorted(_UNDER_WAY)))

    def resume(self) -> tuple[str, ...]:
        """Wait until every unfinished run has ended; launching has started them already."""
        waiting = self.unfinished()
        for run_id in waiting:
            while self._status(run_id) in _UNDER_WAY:
                time.sleep(_POLL_S)
        # A short one may have ended between the launch and this question; SQLite's times are whole seconds.
        since = datetime.fromtimestamp(self._launched_s, tz=UTC).isoformat()
        ended = self._dbos.list_workflows(completed_after=since)
        return tuple(
            run.workflow_id
            for run in ended
            if run.workflow_id in waiting
            or (run.created_at is not None and run.created_at <= self._launched_s * 1000)
        )

    def _status(self, run_id: str) -> str | None:
        found = self._dbos.get_workflow_status(run_id)
        return None if found is None else str(found.status)

    def _failed(self, run_id: str) -> bool:
        """Whether the run has ended without a result."""
        status = self._status(run_id)
        if status is None or status in _UNDER_WAY:
            return False
        if status != _DONE:
            return True
        return _error_in(self._dbos.retrieve_workflow(run_id).get_result()) is not None

    def close(self) -> None:
        """Stop the background threads; unfinished runs stay unfinished."""
        self._dbos.destroy(destroy_registry=True)


def sqlite_url(path: Path) -> str:
    """The URL of the workflow database in a workspace."""
    return f"sqlite:///{path}"


def _runner(plans: Mapping[str, Plan]) -> Callable[[str, dict[str, object]], object]:
    def geartrain_plan(plan: str, arguments: dict[str, object]) -> object:
        return _told(lambda: plans[plan](_Durable(), arguments))

    return geartrain_plan


class _Durable:
    """Steps whose results DBOS keeps."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        from dbos import DBOS

        result: Any = DBOS.run_step({"name": name}, lambda: _told(work))
        return _demanded(result)  # type: ignore[no-any-return]  # what work returned, or the same through JSON


def _told(work: Callable[[], object]) -> object:
    """What *work* returns, or the document of the error that stopped it."""
    try:
        return work()
    except GeartrainError as error:
        return {_ERROR: error.to_document()}


def _error_in(result: object) -> GeartrainError | None:
    document = result.get(_ERROR) if isinstance(result, dict) else None
    return from_document(document) if isinstance(document, dict) else None


def _demanded(result: Any) -> Any:
    error = _error_in(result)
    if error is not None:
        raise error
    return result

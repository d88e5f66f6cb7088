"""Durable workflows: on DBOS (SQLite or PostgreSQL), and in memory for replays.

Both run the same plans: a plan is a function of `Steps` and JSON arguments. DBOS keeps
each finished step's result; after a crash the plan is run again from the top and its
finished steps answer from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from geartrain.errors import SettingInvalid
from geartrain.ports.workflow import Plan

T = TypeVar("T")

#: DBOS resumes only runs of the version it was started with; a run must survive an upgrade
#: of the code, so this changes only when a plan's steps change their meaning.
PLANS_VERSION = "geartrain-plans-1"


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

        logging.getLogger("dbos").setLevel(logging.ERROR)
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
        try:
            DBOS.launch()
        except (OSError, ValueError) as error:
            raise SettingInvalid(
                "the workflow database cannot be opened", where=url, found=str(error)
            ) from error

    def run(self, run_id: str, plan: str, arguments: dict[str, object]) -> object:
        """Run *plan*, or wait for the run of that id that was resumed when this process began."""
        from dbos import SetWorkflowID

        with SetWorkflowID(run_id):
            handle = self._dbos.start_workflow(self._workflow, plan, arguments)
        return handle.get_result()

    def unfinished(self) -> tuple[str, ...]:
        """The ids of runs that were cut off and are being gone on with."""
        return tuple(run.workflow_id for run in self._dbos.list_workflows(status="PENDING"))

    def resume(self) -> tuple[str, ...]:
        """Wait until every unfinished run has ended; launching has started them already."""
        waiting = self.unfinished()
        for run_id in waiting:
            self._dbos.retrieve_workflow(run_id).get_result()
        return waiting

    def close(self) -> None:
        """Stop the background threads; unfinished runs stay unfinished."""
        self._dbos.destroy(destroy_registry=True)


def sqlite_url(path: Path) -> str:
    """The URL of the workflow database in a workspace."""
    return f"sqlite:///{path}"


def _runner(plans: Mapping[str, Plan]) -> Callable[[str, dict[str, object]], object]:
    def geartrain_plan(plan: str, arguments: dict[str, object]) -> object:
        return plans[plan](_Durable(), arguments)

    return geartrain_plan


class _Durable:
    """Steps whose results DBOS keeps."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        from dbos import DBOS

        result: Any = DBOS.run_step({"name": name}, work)
        return result  # type: ignore[no-any-return]  # what work returned, or the same through JSON

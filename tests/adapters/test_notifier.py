import json
from datetime import UTC, datetime

import structlog

from geartrain.adapters.notifier import FileNotifier
from geartrain.domain.contract import Cause
from geartrain.domain.incident import FirstAction, Incident
from geartrain.domain.roles import Role

INCIDENT = Incident(
    id="i1",
    product="p",
    cause=Cause.FEED,
    owner=Role.ENGINEERING,
    opened_at=datetime(2026, 1, 2, tzinfo=UTC),
    began_at=None,
    message="the feed is silent",
    first_action=FirstAction.REPAIR_FEED,
    signals=(),
)


def test_a_notification_is_a_line_and_a_log_entry(tmp_path):
    """Whoever reads the file or the log sees who was called, and why."""
    notifier = FileNotifier(tmp_path / "deep" / "notifications.jsonl")
    with structlog.testing.capture_logs() as logs:
        notifier.notify(INCIDENT, ("Emil Berg",))
        notifier.notify(INCIDENT, ("Emil Berg",))

    lines = (tmp_path / "deep" / "notifications.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 2
    assert first["people"] == ["Emil Berg"]
    assert first["incident"]["message"] == "the feed is silent"
    assert logs[0]["owner"] == "engineering"
    assert logs[0]["people"] == ["Emil Berg"]

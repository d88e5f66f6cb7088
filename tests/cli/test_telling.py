"""What commands say beside their answer."""

import structlog

from geartrain.cli.telling import quieten


def test_a_story_told_quietly_leaves_the_logs_as_it_found_them():
    """Whoever was not configured before is not afterwards, so that the next notifier still finds standard error."""
    before = structlog.is_configured(), structlog.get_config()
    try:
        structlog.reset_defaults()
        with quieten():
            assert structlog.is_configured()
        assert not structlog.is_configured()
    finally:
        if before[0]:
            structlog.configure(**before[1])

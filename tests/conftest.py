"""What every test run shares."""

from __future__ import annotations

import os

from hypothesis import settings

# Where a run decides whether work may land it must give the same answer twice; everywhere else
# Hypothesis looks at new examples each time.
settings.register_profile("steady", derandomize=True, database=None)
if os.environ.get("CI"):
    settings.load_profile("steady")

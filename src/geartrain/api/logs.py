"""Structured logs: one JSON line an event, on stderr, with decision and trace ids."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog


def json_logger(*, level: str = "info", stream: TextIO | None = None) -> Any:
    """A logger that writes JSON lines of at least *level*; it touches no global setting."""
    return structlog.wrap_logger(
        structlog.WriteLogger(stream or sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the values of variables: they are people's rows, and no erasure reaches a log.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )


def quiet_logger() -> Any:
    """A logger that says only what must not be missed: errors."""
    return json_logger(level="error")

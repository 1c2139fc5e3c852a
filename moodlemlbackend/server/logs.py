"""What the server tells its administrator: a line of JSON each, on standard error.

A record has ``time`` (UTC), ``level``, ``event`` and what belongs to it, ``request_id`` first of all. Neither secrets
nor what a client sent in a body are logged, and of an error only its type and place.
"""

from __future__ import annotations

import json
import logging
import logging.config
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_TEXT_CHARACTERS = 300


class JsonLines(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback becomes the error's type and place."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage().partition("\n")[0][:_TEXT_CHARACTERS],
        }
        if REQUEST_ID.get():
            entry["request_id"] = REQUEST_ID.get()
        entry |= {key: value for key, value in vars(record).items() if key not in _USUAL}
        if record.exc_info and record.exc_info[1] is not None:
            entry["fault"] = describe_fault(record.exc_info[1])
        return json.dumps(entry, default=str)


def configure(level: str = "INFO") -> None:
    """Send the records of the server, of uvicorn and of other libraries to standard error as lines of JSON."""
    logging.captureWarnings(True)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonLines}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": "ERROR"},
            "loggers": {
                "python_multipart": {"handlers": [], "level": "CRITICAL", "propagate": False},
                "moodlemlbackend.server": {"handlers": ["stderr"], "level": level, "propagate": False},
                "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
                "uvicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
            },
        }
    )


def describe_fault(error: BaseException) -> str:
    """What went wrong where, for the server's log: without the error's text, which may quote what a client sent."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if str(module).startswith("moodlemlbackend"):
            where = f" in {module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return type(error).__name__ + where

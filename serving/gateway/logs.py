"""Structured logs: one JSON object a line, without feature values and without keys."""

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any


class JsonFormatter(logging.Formatter):
    """Formats a record and the mapping `fields` passed as its `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in getattr(record, "fields", {}).items() if value is not None},
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = "".join(_traceback(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False)


def _traceback(error: BaseException) -> Iterator[str]:
    """Yield where an error and what led to it were raised; messages may hold values, the system's do not."""
    earlier = error.__cause__ or error.__context__
    if earlier is not None:
        yield from _traceback(earlier)
        yield "\nthen:\n"
    yield from traceback.format_tb(error.__traceback__)
    message = f": {error.strerror}" if isinstance(error, OSError) else ""
    yield f"{type(error).__module__}.{type(error).__qualname__}{message}\n"


def configure_logging() -> None:
    """Send the process's logs to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)

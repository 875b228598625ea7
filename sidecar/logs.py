"""Logs: one JSON object per line on stderr, in UTC, with the process's role and id.

A log line must never stop a process: a closed or full stderr loses the line and nothing else.
"""

import logging
import os
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = ("debug", "info", "warning", "error")
MAX_FIELD_CHARS = 4_096
"""Longest text of one field: a hostile name or body cannot make a line of megabytes. Chosen."""


def configure(role: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging to ``stream`` (default: stderr).

    ``role`` is supervisor, router or controller. Uncaught exceptions of the main thread and of
    others are logged as well. Raises ValueError for a level that is not one of LEVELS.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    sink = _Sink(stream or sys.stderr)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _Origin(role),
        structlog.processors.format_exc_info,
        _shorten,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(default=repr)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(shared, sink, number)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class _Sink:
    """What structlog writes finished lines to; every level is the same to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # reader gone, disk full, or stream closed: lose the line
            return

    debug = info = warning = error = critical = exception = log = msg


class _Origin:
    """Adds who speaks; the id is read at each line, so a fork would not lie."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["process"] = self._role
        event["pid"] = os.getpid()
        return event


def _shorten(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and len(value) > MAX_FIELD_CHARS:
            event[name] = value[-MAX_FIELD_CHARS:] if name == "exception" else _cut(value)
    return event


def _cut(value: str) -> str:
    return f"{value[:MAX_FIELD_CHARS]}... ({len(value)} characters)"


class _StandardLines(logging.Handler):
    """Passes the standard library's records (asyncio, aiohttp) to the same sink."""

    def __init__(self, formatter: logging.Formatter, sink: _Sink) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # a broken record must not break its caller
            self.handleError(record)
            return
        self._sink.msg(line)


def _route_standard_logging(shared: list[Processor], sink: _Sink, number: int) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared[:-2],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _shorten,
            structlog.processors.JSONRenderer(default=repr),
        ],
    )
    root = logging.getLogger()
    root.handlers[:] = [_StandardLines(formatter, sink)]
    # Libraries speak from warning on: their debug lines may hold bodies and headers.
    root.setLevel(max(number, logging.WARNING))


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log: Any = structlog.get_logger()
    log.error("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    if error is not None and not isinstance(error, SystemExit):
        _log_uncaught(arguments.exc_type, error, arguments.exc_traceback)

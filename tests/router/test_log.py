"""A log line is one JSON object, whatever is logged."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.log import JsonLines, configure
from tests.router.strategies import few

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def line_of(
    message: object,
    *arguments: object,
    level: int = logging.INFO,
    exc_info: ExcInfo | None = None,
    **extra: object,
) -> dict[str, Any]:
    record = logging.getLogger("router").makeRecord(
        "router", level, "f.py", 1, message, arguments, exc_info, extra=extra
    )
    text = JsonLines("router-0").format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_line_says_what_where_when_and_how_bad() -> None:
    line = line_of("worker %d is up", 3, level=logging.WARNING)
    assert line["event"] == "worker 3 is up"
    assert (line["level"], line["process"], line["pid"]) == ("warning", "router-0", os.getpid())
    offset = datetime.fromisoformat(line["timestamp"]).utcoffset()
    assert offset is not None and offset.total_seconds() == 0
    assert set(line) == {"event", "level", "process", "pid", "timestamp"}


def test_extra_fields_stand_beside_the_event() -> None:
    line = line_of("ejected", route="digits", failures=5)
    assert (line["route"], line["failures"]) == ("digits", 5)


def test_value_that_is_not_json_is_written_as_text() -> None:
    assert line_of("odd", value=b"\xff")["value"] == "b'\\xff'"


@few
@given(text=st.text())
def test_any_text_stays_on_one_line_and_comes_back(text: str) -> None:
    assert line_of("%s", text)["event"] == text


def test_exception_is_told_with_its_traceback() -> None:
    try:
        raise RuntimeError("the cause")
    except RuntimeError as error:
        line = line_of("it failed", exc_info=(RuntimeError, error, error.__traceback__))
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("RuntimeError: the cause")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was: pytest has handlers of its own on it."""
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    root.handlers.clear()
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_configured_process_logs_to_standard_error_from_its_level_up(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("router-7", "warning")
    assert isinstance(root.handlers[0], logging.StreamHandler)
    assert root.handlers[0].stream is sys.stderr
    logging.getLogger("router.pool").info("not this")
    logging.getLogger("router.pool").warning("but this")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(line)["event"] for line in captured.err.splitlines()] == ["but this"]

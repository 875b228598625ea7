"""Logs: one JSON line per event, whoever speaks, and no line can stop its speaker."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from sidecar import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, sys.excepthook)
    yield io.StringIO()
    root.handlers[:], root.level, sys.excepthook = before
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_json_line_with_time_role_and_pid(stream: io.StringIO) -> None:
    logs.configure("router", stream=stream)
    structlog.get_logger().info("table swapped", version=17, why="line one\nline two")
    (line,) = lines(stream)
    assert line["event"] == "table swapped" and line["version"] == 17
    assert line["process"] == "router" and line["pid"] == os.getpid()
    assert line["level"] == "info"
    assert datetime.fromisoformat(str(line["timestamp"])).utcoffset() == timedelta(0)


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    logs.configure("router", level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_unknown_level_is_refused(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="verbose"):
        logs.configure("router", level="verbose", stream=stream)


def test_standard_library_lines_have_the_same_form(stream: io.StringIO) -> None:
    logs.configure("controller", stream=stream)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logging.getLogger("aiohttp.server").exception("request failed for %s", "x")
    (line,) = lines(stream)
    assert line["event"] == "request failed for x" and line["process"] == "controller"
    assert "RuntimeError: boom" in str(line["exception"])


def test_value_that_is_not_json_is_written_by_its_repr(stream: io.StringIO) -> None:
    logs.configure("controller", stream=stream)
    structlog.get_logger().info("odd", value={1, 2})
    assert lines(stream)[0]["value"] == "{1, 2}"


def test_giant_field_is_cut(stream: io.StringIO) -> None:
    logs.configure("controller", stream=stream)
    structlog.get_logger().info("long", body="x" * 10_000_000)
    assert len(stream.getvalue()) < 3 * logs.MAX_FIELD_CHARS


def test_closed_stream_loses_the_line_and_nothing_else(stream: io.StringIO) -> None:
    logs.configure("controller", stream=stream)
    stream.close()
    structlog.get_logger().error("nobody reads this")
    logging.getLogger("x").error("nor this")


def test_full_disk_under_stderr_stops_nobody() -> None:
    code = (
        "from sidecar import logs; import structlog; logs.configure('router');"
        "structlog.get_logger().error('lost'); print('alive')"
    )
    with open("/dev/full", "w") as full:
        run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full)
    assert run.stdout == b"alive\n"


def test_uncaught_exceptions_are_logged_in_every_thread() -> None:
    code = (
        "from sidecar import logs; import threading; logs.configure('router')\n"
        "def fail(): raise KeyError('in thread')\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
        "raise ValueError('in main')"
    )
    run = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    events = [json.loads(line) for line in run.stderr.splitlines()]
    assert [event["event"] for event in events] == ["uncaught exception"] * 2
    assert "in thread" in events[0]["exception"] and "in main" in events[1]["exception"]

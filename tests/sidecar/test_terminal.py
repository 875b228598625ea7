"""Colours on a terminal, none anywhere else: tried on a real pseudo-terminal."""

import os
import pty
import subprocess
import sys

import pytest

from tests.sidecar.routing_texts import ROOT

SHOW = (
    "from rich.text import Text; from sidecar.terminal import console; "
    "console().print(Text('x' * 100, style='red'))"
)
BASE = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}


def on_a_terminal(environment: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SHOW], cwd=ROOT, stdout=theirs, env=BASE | environment
    ) as child:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux says EIO when the other side is closed
                break
            if not part:
                break
            said += part
        assert child.wait(30) == 0
    os.close(ours)
    return said.decode()


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[31m" in on_a_terminal({"TERM": "xterm-256color"})


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_none(environment: dict[str, str]) -> None:
    assert "\x1b[3" not in on_a_terminal({"TERM": "xterm-256color"} | environment)


def test_a_pipe_gets_no_colours_and_whole_lines() -> None:
    out = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=BASE, capture_output=True, text=True, check=True
    )
    assert out.stdout == "x" * 100 + "\n"

import io
from dataclasses import replace

from rich.console import Console

from sidecar.demo.progress import Progress
from sidecar.demo.show import LiveShow, PlainShow, Show, show_on

PROGRESS = Progress(
    elapsed_s=1.0,
    stage="shadow",
    share=0.0,
    requests=10,
    failed=0,
    labels=3,
    odds=2.0,
    odds_needed=None,
    expected_s=30.0,
    missing="accuracy: odds 2:1, needs 20:1",
)


def shown(is_terminal: bool) -> tuple[Show, io.StringIO]:
    written = io.StringIO()
    return show_on(Console(file=written, force_terminal=is_terminal, width=100)), written


def test_pipe_gets_plain_lines_and_a_terminal_a_panel() -> None:
    assert isinstance(shown(False)[0], PlainShow)
    assert isinstance(shown(True)[0], LiveShow)


def test_pipe_gets_no_control_characters() -> None:
    show, written = shown(False)
    show.say("[not markup] hello " + "x" * 200)
    show.update(PROGRESS)
    show.end()
    first, second = written.getvalue().splitlines()
    assert first == "[not markup] hello " + "x" * 200
    assert second.startswith("  1.0 s  stage shadow")
    assert "\x1b" not in written.getvalue()


def test_pipe_gets_a_line_per_change_and_every_five_seconds() -> None:
    show, written = shown(False)
    for tenth in range(120):  # twelve seconds of the same
        show.update(replace(PROGRESS, elapsed_s=tenth / 10, requests=tenth))
    assert len(written.getvalue().splitlines()) == 3
    show.update(replace(PROGRESS, elapsed_s=12.0, stage="canary 1 of 3"))
    show.update(replace(PROGRESS, elapsed_s=12.1, stage="canary 1 of 3", share=0.05))
    assert len(written.getvalue().splitlines()) == 5


def test_terminal_shows_the_numbers_and_what_is_waited_for() -> None:
    show, written = shown(True)
    show.update(PROGRESS)
    show.say("a port was taken")
    show.end()
    for words in ("shadow", "2.0:1", "30 s", "needs 20:1", "a port was taken"):
        assert words in written.getvalue()


def test_terminal_gets_its_cursor_back() -> None:
    show, written = shown(True)
    show.update(PROGRESS)
    assert written.getvalue().count("\x1b[?25l") == 1
    show.end()
    show.end()
    assert written.getvalue().count("\x1b[?25h") == 1

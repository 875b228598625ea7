from typing import Any

import pytest

from sidecar.demo.progress import Progress, cells, line, odds_words, progress_of

ROUTE: dict[str, Any] = {
    "step": 1,
    "steps": 3,
    "share": 0.25,
    "missing": ["accuracy: odds 4:1, needs 20:1", "errors: undecided"],
    "expected_seconds": 41.6,
    "checks": [
        {"check": "errors", "role": "guardrail", "odds": 900.0},
        {"check": "accuracy", "role": "objective", "odds": 4.0},
    ],
    "labels": {"accepted": 1234, "duplicate": 9},
}


def words_of(progress: Progress) -> dict[str, str]:
    return dict(cells(progress))


def test_everything_that_a_viewer_needs_is_shown() -> None:
    progress = progress_of(ROUTE, "canary", 12.3, 5678, 0)
    assert words_of(progress) == {
        "stage": "canary 2 of 3",
        "share": "25%",
        "requests": "5,678 (0 failed)",
        "labels": "1,234",
        'odds against "not better"': "4.0:1",
        "decision in about": "42 s",
    }
    assert progress.missing == "accuracy: odds 4:1, needs 20:1"


def test_needed_odds_are_shown_when_the_check_says_its_alpha() -> None:
    checks = [{"check": "accuracy", "role": "objective", "odds": 4.0, "alpha": 0.05}]
    progress = progress_of({**ROUTE, "checks": checks}, "shadow", 1.0, 1, 0)
    assert words_of(progress)['odds against "not better"'] == "4.0:1 (needed 20:1)"


@pytest.mark.parametrize("empty", [{}, {"checks": None, "missing": [], "labels": None}])
def test_route_that_says_little_is_shown_all_the_same(empty: dict[str, Any]) -> None:
    words = words_of(progress_of(empty, "waiting", 0.0, 0, 0))
    assert words["stage"] == "waiting"
    assert words["decision in about"] == "-"
    assert words['odds against "not better"'] == "-"


@pytest.mark.parametrize(
    ("odds", "words"),
    [
        (1.0, "1.0:1"),
        (9.94, "9.9:1"),
        (20.0, "20:1"),
        (123456.0, "123,456:1"),
        (float("inf"), "1,000,000,000:1"),
        (0.2, "1:5.0"),
        (0.0, "1:1,000,000,000"),
        (1e-300, "1:1,000,000,000.0"),
    ],
)
def test_odds_are_said_as_people_say_them(odds: float, words: str) -> None:
    assert odds_words(odds) == words


def test_line_starts_with_the_time_and_has_no_line_break() -> None:
    said = line(progress_of(ROUTE, "canary", 12.3, 5678, 0))
    assert said.startswith(" 12.3 s  stage canary 2 of 3, share 25%")
    assert said.endswith("waiting for accuracy: odds 4:1, needs 20:1")
    assert "\n" not in said

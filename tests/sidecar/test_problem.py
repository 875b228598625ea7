import doctest

import pytest

from sidecar import problem
from sidecar.problem import ConfigError, Problem, quoted


def test_text_is_file_line_column_path_found_expected() -> None:
    one = Problem(3, 7, "routes[0].name", "a b", "a name")
    assert one.text("r.yaml") == "r.yaml:3:7: routes[0].name: found a b; expected a name"


def test_problem_of_a_whole_file_has_no_line() -> None:
    assert Problem(0, 0, "file", "x", "y").text("r.yaml") == "r.yaml: file: found x; expected y"


def test_problems_sort_by_line_then_column() -> None:
    places = [(2, 1), (1, 9), (10, 1), (1, 2)]
    problems = sorted(Problem(line, column, "p", "f", "e") for line, column in places)
    assert [(p.line, p.column) for p in problems] == sorted(places)


def test_config_error_has_one_line_for_each_problem() -> None:
    error = ConfigError("f", (Problem(1, 1, "a", "b", "c"), Problem(2, 1, "d", "e", "f")))
    assert str(error).splitlines() == [p.text("f") for p in error.problems]


@pytest.mark.parametrize("text", ["\x1b[31mred", "two\nlines", "", "\u202eback"])
def test_quoted_text_is_printable_and_on_one_line(text: str) -> None:
    shown = quoted(text)
    assert shown and shown.isprintable()


def test_quoted_text_is_cut() -> None:
    assert len(quoted("x" * 1000)) == 60


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(problem)
    assert result.attempted > 0 and result.failed == 0

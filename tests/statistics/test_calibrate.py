"""Measuring in full: what is kept, and what is made of it."""

import json
from pathlib import Path

import pytest

from tests.statistics import calibrate, measure, plots, table
from tests.statistics.bars import bars
from tests.statistics.calibrate import BEGIN, DOCUMENT, END, MEASURED, PLOTS, written


def test_only_what_is_between_the_markers_is_replaced() -> None:
    assert written(f"a\n{BEGIN}\nold\n{END}\nb\n", ["new"]) == f"a\n{BEGIN}\nnew\n{END}\nb\n"


def test_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError):
        written("a", ["new"])


def test_document_holds_the_tables_of_what_was_measured() -> None:
    """Run ``python -m tests.statistics.calibrate --render`` when it does not."""
    text = DOCUMENT.read_text()
    assert written(text, list(table.lines(calibrate.load()))) == text


def test_plots_are_those_of_what_was_measured(tmp_path: Path) -> None:
    """The same bytes, as long as the library is the same: no date, no random ids."""
    drawn = plots.draw(calibrate.load(), tmp_path)
    assert {path.stem for path in drawn} == plots.PLOTS.keys()
    for path in drawn:
        kept = (PLOTS / path.name).read_bytes()
        if plots.CREATOR.encode() in kept:
            assert path.read_bytes() == kept, path.name


def test_every_part_was_measured() -> None:
    assert calibrate.load().keys() == measure.PARTS.keys()
    assert {bar.name for bar in bars(calibrate.load())} == {f"B{n}" for n in range(1, 15)}


def test_every_plot_stands_in_the_document() -> None:
    text = DOCUMENT.read_text()
    assert all(f"plots/{name}.svg" in text for name in plots.PLOTS)


def test_what_was_measured_is_kept_a_part_a_line(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    calibrate.save({"b": {"runs": 1}, "a": {"runs": 2}}, path)
    assert path.read_text() == '{\n"a": {"runs": 2},\n"b": {"runs": 1}\n}\n'
    assert calibrate.load(path) == json.loads(path.read_text())
    assert calibrate.load(tmp_path / "none.json") == {}
    assert MEASURED.exists()


def test_nothing_is_shown_of_parts_that_were_not_measured(tmp_path: Path) -> None:
    assert "".join(table.lines({})).strip() == ""
    assert plots.draw({}, tmp_path) == []
    assert bars({}) == []

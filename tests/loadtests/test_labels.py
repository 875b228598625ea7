"""The benchmark of pending observations, at a size that takes a second."""

import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

from loadtests import labels
from loadtests.labels import Figures, in_process, table


def test_every_figure_of_a_small_state_is_there(tmp_path: Path) -> None:
    """What is joined and matured is checked where it is measured."""
    for kind in labels.IDS:
        figures = in_process(tmp_path, 4_000, kind)
        assert (figures.pending, figures.ids) == (4_000, kind)
        rest = [value for value in asdict(figures).values() if isinstance(value, float)]
        assert len(rest) == len(fields(Figures)) - 2 and min(rest) > 0
        assert 50 < figures.bytes_per_pending < 400
        assert figures.rss_peak_mb >= figures.rss_empty_mb
    assert list(tmp_path.iterdir()) == []  # ten million take gigabytes


def test_the_table_has_a_row_for_each_state_and_the_json_all_figures(tmp_path: Path) -> None:
    out = tmp_path / "labels.json"
    command = [sys.executable, "-m", "loadtests.labels", "--sizes", "2000,4000"]
    command += ["--ids", "client", "--folder", str(tmp_path / "states"), "--json", str(out)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [Figures(**row) for row in json.loads(out.read_text())]
    assert [row.pending for row in rows] == [2000, 4000]
    assert table(rows) == out.with_suffix(".md").read_text()
    assert "| 2,000 | client |" in ended.stdout

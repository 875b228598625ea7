"""Measure error rates and sample sizes in full, and write them into docs/statistics.md.

Run as ``python -m tests.statistics.calibrate``; about twenty minutes of one core. Each part that is
done is kept in measured.json beside this file, so that the tables and plots can be made again
without measuring (``--render``), and a part can be measured alone (``--only``). Seeds are fixed:
the numbers change only when a formula does, but for the cost of an evaluation, which is a time.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.statistics import measure, plots, table

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "statistics.md"
PLOTS = ROOT / "docs" / "plots"
MEASURED = Path(__file__).with_name("measured.json")
BEGIN, END = "<!-- calibration:begin -->", "<!-- calibration:end -->"


def load(path: Path = MEASURED) -> dict[str, Any]:
    """Return what was measured so far, in the order of the parts; nothing if there is no file."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return {name: found[name] for name in (*measure.PARTS, *found) if name in found}


def save(measured: dict[str, Any], path: Path = MEASURED) -> None:
    """Write ``measured``, a part a line: a change shows which part it is in."""
    parts = [f"{json.dumps(name)}: {json.dumps(measured[name])}" for name in sorted(measured)]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def written(document: str, lines: Sequence[str]) -> str:
    """Return ``document`` with the lines between its two markers replaced; ValueError if none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} lacks {BEGIN} or {END}")
    return "\n".join([before + begin, *lines, end + after])


def render(measured: dict[str, Any]) -> None:
    """Write the tables into the document, and the plots beside it."""
    DOCUMENT.write_text(written(DOCUMENT.read_text(), list(table.lines(measured))))
    plots.draw(measured, PLOTS)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, keep, show and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="parts by name")
    parser.add_argument(
        "--reps", type=float, default=1.0, help="runs, as a multiple of the full number"
    )
    parser.add_argument("--render", action="store_true", help="measure nothing, write again")
    asked = parser.parse_args(words)
    measured = load()
    if not asked.render:
        for name in measure.chosen(asked.only):
            begun = time.monotonic()
            measured[name] = measure.PARTS[name](asked.reps)
            save(measured)
            print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
    render(load())


if __name__ == "__main__":
    main()

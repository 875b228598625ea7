"""Measure error rates and sample sizes in full, and write them into docs/statistics.md.

Run as ``python -m tests.statistics.calibrate [RUNS [OBSERVATIONS]]``; about six minutes on one
core with the defaults. Seeds are fixed, so that the table changes only when a formula does.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.statistics import cases

DOCUMENT = Path(__file__).parents[2] / "docs" / "statistics.md"
BEGIN, END = "<!-- calibration:begin -->", "<!-- calibration:end -->"
SEED = 20_261_123


def table(runs: int, observations: int) -> Iterator[str]:
    """Yield the lines of the measured tables as they are ready."""
    yield f"{runs:,} runs of {observations:,} observations unless said, every one of them a look."
    yield ""
    yield "| when nothing is wrong or better | rejecting would be | declared | measured | runs |"
    yield "|---|---|---|---|---|"
    for null in (*cases.NULLS, cases.NAIVE):
        count = int(runs * null.runs)
        share = cases.rejected(null, count, observations, SEED)
        yield f"| {null.name} | {null.error} | {null.alpha:g} | {share:.4f} | {count:,} |"
    yield ""
    yield "| when the challenger is better | observations needed, mean | oracle | ratio |"
    yield "|---|---|---|---|"
    for gain in cases.GAINS:
        ours, oracle = cases.needed(gain, runs // 2, SEED)
        yield f"| {gain.name} | {ours:,.0f} | {oracle:,.0f} | {ours / oracle:.2f} |"
    yield ""
    yield "| error guardrail, margin .5 % | mean | counted in |"
    yield "|---|---|---|"
    for wait in cases.WAITS:
        rng = np.random.default_rng(SEED)
        mean = float(np.mean([wait.mean(rng) for _ in range(min(50, runs))]))
        yield f"| {wait.name} | {mean:,.0f} | {wait.unit} |"


def written(document: str, lines: list[str]) -> str:
    """Return ``document`` with the lines between its two markers replaced; ValueError if none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} lacks {BEGIN} or {END}")
    return "\n".join([before + begin, *lines, end + after])


def main() -> None:
    """Measure, show and write."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    observations = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    lines = []
    for line in table(runs, observations):
        print(line, flush=True)
        lines.append(line)
    DOCUMENT.write_text(written(DOCUMENT.read_text(), lines))


if __name__ == "__main__":
    main()

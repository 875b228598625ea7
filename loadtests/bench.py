"""``make bench``: every peer in turn, the same work, processor time per request.

``python -m loadtests.bench [--rounds N] [--seconds S] [--only ROWS] [--work WORKS] [--json FILE]``
Exit code 1 when a row is invalid or a peer failed. README.md says how to read the figures.
"""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console

from loadtests import bar, growth
from loadtests.cores import Cores, choose_cores, share_cores
from loadtests.grid import Grid
from loadtests.launch import StartFailed
from loadtests.load import LoadFailed
from loadtests.network import choose_network, congestion_control
from loadtests.peers import INSTALL
from loadtests.plan import Entry, choose_entries
from loadtests.relation import relate
from loadtests.report import Row, Turn, cost_grid, faults_of, figure_grids, summarise, to_json
from loadtests.turn import Plan, measure, running_upstreams
from loadtests.work import PREDICT, Shape, Work

ROUNDS = 3
SECONDS = 2
SHARE_OF_CAPACITY = 0.3
"""What the open loop asks of us, and of every peer at the same rate."""
CAPACITY_ROW = "understudy-split"
"""Whose capacity that is: what its processor time per request allows one core to serve."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to measure."""

    rounds: int = ROUNDS
    seconds: int = SECONDS
    control: str = "auto"
    """Whose core our controller shares, see cores.py."""
    rate_per_s: float = 0.0
    """Of the open loop; 0 takes 30 % of our capacity."""

    def cores(self, work: Work) -> Cores:
        """Return where everything runs in this work."""
        available = os.sched_getaffinity(0)
        if work.shape is Shape.SHARED:
            return share_cores(available, work.workers)
        return choose_cores(available, self.control)


class Bench:
    """One run: the turns so far, by row, and which rows have failed."""

    def __init__(self, entries: Sequence[Entry], settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._programs = find_programs(entries, console)
        self._entries = [entry for entry in entries if entry.name in self._programs]
        self._rate_per_s = settings.rate_per_s
        self._turns: dict[str, list[Turn]] = {entry.name: [] for entry in self._entries}
        self.failed: set[str] = set()

    def run(self) -> list[Row]:
        """Measure all rows, round by round; a row that failed in any round is left out."""
        for number in range(1, self._settings.rounds + 1):
            of_round: dict[str, Turn] = {}
            for work, entries in groupby(self._entries, key=lambda entry: entry.work):
                for name, turn in self._measure_work(work, list(entries)):
                    of_round[name] = turn
                    self._console.print(f"round {number}  {_told(name, turn)}", highlight=False)
            for name, turn in relate(of_round).items():
                self._turns[name].append(turn)
        return [
            summarise(name, turns) for name, turns in self._turns.items() if name not in self.failed
        ]

    def _measure_work(self, work: Work, entries: Sequence[Entry]) -> Iterator[tuple[str, Turn]]:
        plan = Plan(seconds=self._settings.seconds, work=work, cores=self._settings.cores(work))
        if work.shape is Shape.PACED:
            plan = dataclasses.replace(plan, rate_per_s=self._rate())
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            with running_upstreams(plan, Path(directory)) as upstreams:
                for entry in entries:
                    if entry.name in self.failed:
                        continue
                    try:
                        turn = measure(entry.peer, self._programs[entry.name], upstreams, plan)
                    except (StartFailed, LoadFailed, OSError) as exc:
                        self.failed.add(entry.name)
                        self._console.print(
                            f"[bold red]FAILED[/] {entry.name}: {exc}", highlight=False
                        )
                        continue
                    if entry.name == CAPACITY_ROW and not self._rate_per_s:
                        self._rate_per_s = rate_of(turn)
                    yield entry.name, turn

    def _rate(self) -> float:
        """Return the open loop's rate: the same one in all rounds, for all peers."""
        if not self._rate_per_s:
            (ours,) = choose_entries(CAPACITY_ROW)
            plan = Plan(seconds=1, work=PREDICT, cores=self._settings.cores(PREDICT))
            with tempfile.TemporaryDirectory(prefix="bench-") as directory:
                with running_upstreams(plan, Path(directory)) as upstreams:
                    program = ours.peer.find()
                    assert program is not None  # it is in the environment that we run in
                    self._rate_per_s = rate_of(measure(ours.peer, program, upstreams, plan))
        return self._rate_per_s


def rate_of(turn: Turn) -> float:
    """Return 30 % of what a core that only routes could serve, in requests per second. Pure."""
    return SHARE_OF_CAPACITY * 1e6 / max(turn.cpu_us_per_request, 1.0)


def _told(name: str, turn: Turn) -> str:
    cost = f"{turn.cpu_us_per_request:8.1f} us/request" if turn.cpu_us_per_request else ""
    return f"{name:22}{cost:20} {turn.rss_mb:5.0f} MB"


def find_programs(entries: Sequence[Entry], console: Console) -> dict[str, str]:
    """Return each installed peer's program by row; warn of the others."""
    programs = {}
    for entry in entries:
        program = entry.peer.find()
        if program is None:
            console.print(f"[yellow]left out[/] {entry.name}: not installed, run {INSTALL}")
        else:
            programs[entry.name] = program
    return programs


def main() -> None:
    parser = argparse.ArgumentParser(prog="loadtests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of load per turn")
    parser.add_argument("--only", metavar="ROWS", help="names or their beginnings, by comma")
    parser.add_argument("--work", metavar="WORKS", help="predict, 64k, 1m, sse, open, idle, 1w, 2w")
    parser.add_argument("--control", choices=("auto", "proxy", "load"), default="auto")
    parser.add_argument("--network", choices=("host", "own"), default="host")
    parser.add_argument("--rate", type=float, default=0.0, help="of the open loop, requests/s")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), metavar="FILE")
    parser.add_argument("--growth", action=argparse.BooleanOptionalAction, help="off with --only")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    try:
        entries = choose_entries(options.only, options.work)
    except ValueError as exc:
        parser.error(str(exc))
    has_growth = options.growth
    if has_growth is None:
        has_growth = options.only is None and options.work is None
    # Without this, SIGTERM would end us alone and leave the peer and the upstreams running.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        print(f"network: {choose_network(options.network)}", flush=True)
    except OSError as exc:
        parser.error(f"--network own: {exc}")
    settings = Settings(
        rounds=options.rounds,
        seconds=options.seconds,
        control=options.control,
        rate_per_s=options.rate,
    )
    sys.exit(bench(entries, settings, options.json, has_growth=has_growth))


def bench(
    entries: Sequence[Entry], settings: Settings, json_file: Path, *, has_growth: bool = False
) -> int:
    """Measure, print the tables, write JSON and Markdown; return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 180)
    cores = settings.cores(PREDICT)
    console.print(f"{cores}", highlight=False)
    if cores.proxy == cores.load:
        console.print("[yellow]one core only: proxy and load share it, latencies mean little[/]")
    if shutil.which("wrk") is None:
        console.print(f"[yellow]wrk is not installed, run {INSTALL}; using our own generator[/]")
    run = Bench(entries, settings, console)
    rows = run.run()
    verdicts = bar.judge(rows)
    report = to_json(settings.rounds, rows)
    report |= {"bars": bar.to_json(verdicts), "cores": cores.as_dict()}
    report["congestion_control"] = congestion_control()
    grids = [cost_grid(settings.rounds, rows, bar.words(verdicts)), *figure_grids(rows)]
    grids += [bar.bar_grid(verdicts)] if verdicts else []
    if has_growth:
        points = growth.grow(growth.SECONDS, growth.WINDOW_S, console)
        report["growth"] = growth.to_json(points)
        grids.append(growth.growth_grid(points))
    for grid in grids:
        console.print(grid.to_rich())
    for name, fault in faults_of(rows):
        console.print(f"[bold red]INVALID[/] {name}: {fault}", highlight=False)
    write(json_file, report, grids)
    console.print(f"written to {json_file} and {json_file.with_suffix('.md')}", highlight=False)
    return 0 if rows and not run.failed and all(row.is_valid for row in rows) else 1


def write(json_file: Path, report: dict[str, object], grids: Sequence[Grid]) -> None:
    """Write the figures as JSON, and the tables as Markdown beside it."""
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report, indent=2) + "\n")
    json_file.with_suffix(".md").write_text("\n".join(grid.to_markdown() for grid in grids))


if __name__ == "__main__":
    main()

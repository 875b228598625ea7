import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.bench import Settings, bench, find_programs, rate_of
from loadtests.cpu import process_tree
from loadtests.peers import INSTALL, Peer, predict, relay_peer
from loadtests.plan import Entry, choose_entries
from loadtests.work import PREDICT, Mode
from tests.loadtests.test_report import make_turn

SHORT = Settings(rounds=1, seconds=1)

FAILING = """
import http.server, sys
class Failing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Failing).serve_forever()
"""


def entries(*peers: Peer) -> list[Entry]:
    return [Entry(peer=peer, work=PREDICT) for peer in peers]


def test_peer_that_is_not_installed_is_left_out_with_the_script_named() -> None:
    missing = Peer(
        name="ghost-split", mode=Mode.SPLIT, find=lambda: None, command=lambda program, site: []
    )
    out = io.StringIO()
    programs = find_programs(entries(missing, relay_peer()), Console(file=out, width=200))
    assert list(programs) == ["relay"]
    assert f"ghost-split: not installed, run {INSTALL}" in out.getvalue()


def test_short_run_measures_real_processes_and_all_answers_are_200(tmp_path: Path) -> None:
    file = tmp_path / "made" / "bench.json"
    code = bench(choose_entries("relay,aiohttp-split"), SHORT, file)
    report = json.loads(file.read_text())
    assert report["rounds"] == 1
    assert [row["name"] for row in report["rows"]] == ["aiohttp-split", "relay"]
    for row in report["rows"]:
        assert row["valid"], row["faults"]
        assert row["requests"] > 0
        assert all(row[key] > 0 for key in ("cpu_us_per_request", "requests_per_s", "rss_mb"))
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert code == 0
    assert "| aiohttp-split |" in file.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("rows", "figure"),
    [
        ("relay-64k", "cpu_us_per_request"),
        ("relay-1m", "cpu_us_per_request"),
        ("direct-sse", "journey_p99_ms"),
        ("direct-open", "generator_late_p99_ms"),
        ("router-split-sse", "added_gap_p99_ms"),
        ("router-split-open", "added_p99_ms"),
        ("router-split-idle", "kb_per_connection"),
    ],
)
def test_every_kind_of_work_is_done_whole_and_has_its_figures(
    rows: str, figure: str, tmp_path: Path
) -> None:
    file = tmp_path / "bench.json"
    settings = Settings(rounds=1, seconds=1, rate_per_s=300.0)
    assert bench(choose_entries(rows), settings, file) == 0, file.read_text()
    (row,) = (row for row in json.loads(file.read_text())["rows"] if row["name"] == rows)
    assert row["requests"] > 0
    assert figure in row


@pytest.mark.slow
def test_second_worker_is_compared_with_one(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    assert bench(choose_entries("understudy-split-2w"), SHORT, file) == 0, file.read_text()
    report = json.loads(file.read_text())
    one, two = report["rows"]
    assert (one["name"], two["name"]) == ("understudy-split-1w", "understudy-split-2w")
    assert two["two_over_one"] > 0
    assert 0.5 <= two["busiest_worker_share"] < 0.75  # 256 connections by hash: 8 standard errors
    assert [bar["row"] for bar in report["bars"]] == ["understudy-split-2w"]


def test_rate_of_the_open_loop_is_thirty_percent_of_a_core() -> None:
    assert rate_of(make_turn(30.0)) == pytest.approx(10_000)


def test_peer_that_does_not_start_fails_the_run_and_spares_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Peer(
        name="dead-split",
        mode=Mode.SPLIT,
        find=lambda: os.devnull,
        command=lambda program, site: ["/bin/sh", "-c", "echo no luck; exit 3"],
    )
    file = tmp_path / "bench.json"
    code = bench(entries(dead, relay_peer()), SHORT, file)
    assert code == 1
    assert [row["name"] for row in json.loads(file.read_text())["rows"]] == ["relay"]
    said = capsys.readouterr().out
    assert "FAILED dead-split" in said
    assert "no luck" in said


def test_answers_other_than_200_make_the_row_invalid_and_fail_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = Peer(
        name="failing-split",
        mode=Mode.SPLIT,
        find=lambda: sys.executable,
        command=lambda program, site: [program, "-c", FAILING, str(site.port)],
        is_ready=lambda site: predict(site.port, "ready")[0] == 503,
    )
    file = tmp_path / "bench.json"
    code = bench(entries(failing), SHORT, file)
    (row,) = json.loads(file.read_text())["rows"]
    assert code == 1
    assert row["valid"] is False
    assert f"{row['requests']} of {row['requests']} answers were not 200" in row["faults"]
    assert "INVALID failing-split" in capsys.readouterr().out


def test_sigterm_ends_everything_that_the_run_has_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtests.bench", "--only", "relay", "--seconds", "20"]
    command += ["--json", str(tmp_path / "bench.json")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        give_up_at = time.monotonic() + 20
        while len(tree := process_tree(run.pid)) < 5 and time.monotonic() < give_up_at:
            time.sleep(0.05)  # itself, two upstreams, the relay, the load generator
        assert len(tree) == 5
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 128 + signal.SIGTERM
    assert not [pid for pid in tree if Path(f"/proc/{pid}").exists()]

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

from loadtests.bench import bench, choose_peers, find_programs
from loadtests.cpu import process_tree
from loadtests.peers import INSTALL, Peer, predict, relay_peer
from loadtests.work import Mode

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


def test_only_takes_names_and_their_beginnings() -> None:
    names = [peer.name for peer in choose_peers("relay, envoy")]
    assert names == ["envoy-split", "envoy-mirror", "relay"]


def test_router_alone_is_measured_only_when_it_is_named() -> None:
    assert not any(peer.name.startswith("router") for peer in choose_peers(None))
    assert [peer.name for peer in choose_peers("router")] == ["router-split", "router-mirror"]


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'traefik'.*haproxy-split"):
        choose_peers("traefik")


def test_peer_that_is_not_installed_is_left_out_with_the_script_named() -> None:
    missing = Peer(
        name="ghost-split", mode=Mode.SPLIT, find=lambda: None, command=lambda program, site: []
    )
    out = io.StringIO()
    programs = find_programs([missing, relay_peer()], Console(file=out, width=200))
    assert list(programs) == ["relay"]
    assert f"ghost-split: not installed, run {INSTALL}" in out.getvalue()


def test_short_run_measures_real_processes_and_all_answers_are_200(tmp_path: Path) -> None:
    file = tmp_path / "made" / "bench.json"
    code = bench(choose_peers("relay,aiohttp-split"), rounds=1, seconds=1, json_file=file)
    report = json.loads(file.read_text())
    assert report["rounds"] == 1
    assert [row["name"] for row in report["rows"]] == ["aiohttp-split", "relay"]
    for row in report["rows"]:
        assert row["valid"], row["faults"]
        assert row["requests"] > 0
        assert all(row[key] > 0 for key in ("cpu_us_per_request", "requests_per_s", "rss_mb"))
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert code == 0


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
    code = bench([dead, relay_peer()], rounds=1, seconds=1, json_file=file)
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
    code = bench([failing], rounds=1, seconds=1, json_file=file)
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

"""``understudy label`` against a real admin port on a double."""

import asyncio
import doctest
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.commands import label as module
from sidecar.commands.label import Asked, label
from tests.sidecar.admin_bench import AdminBench
from tests.sidecar.test_labelfile import write_parquet

SECRET = "label-secret"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[AdminBench]:
    one = AdminBench(tmp_path, label_token=SECRET)
    await one.start()
    yield one
    await one.close()


async def send(bench: AdminBench, *files: Path, token: str = SECRET, **more: Any) -> int:
    asked = Asked(files=list(files), admin=str(bench.client.make_url("")).rstrip("/"), **more)
    return await asyncio.to_thread(label, asked, {"UNDERSTUDY_LABEL_TOKEN": token})


def write(folder: Path, name: str, rows: list[tuple[str, object]]) -> Path:
    path = folder / name
    path.write_text("request_id,label\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return path


async def test_every_label_of_every_file_is_sent_once(
    bench: AdminBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path, "one.csv", [(f"a{k}", k) for k in range(12_000)])
    two = tmp_path / "two.parquet"
    write_parquet(two, {"request_id": ["b1", "b2"], "label": ["x", "y"]})
    assert await send(bench, one, two, as_json=True, route="digits") == 0
    sent = [(label.request_id, label.label, label.route) for label in bench.double.labelled]
    assert sent == [(f"a{k}", str(k), "digits") for k in range(12_000)] + [
        *(("b1", '"x"', "digits"), ("b2", '"y"', "digits")),
    ]
    summary = json.loads(capsys.readouterr().out)
    assert summary["read"] == summary["results"]["accepted"] == 12_002
    assert summary["rejected"] == 0 and summary["files"] == [str(one), str(two)]


async def test_what_was_rejected_is_reported_line_by_line(
    bench: AdminBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("a", 1), ("unknown-b", 2), ("c", ""), ("d", 3)]
    path, report = write(tmp_path, "l.csv", rows), tmp_path / "rejected.ndjson"
    assert await send(bench, path, rejected=report) == 4
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(row["line"], row["result"], row["request_id"]) for row in lines] == [
        *((3, "unknown", "unknown-b"), (4, "invalid", None)),
    ]
    assert all(row["because"] and row["file"] == str(path) for row in lines)
    out = capsys.readouterr().out
    assert "accepted" in out and "2 rejected" in out and str(report.name) in out


async def test_without_a_report_the_first_rejected_rows_are_shown(
    bench: AdminBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "l.csv", [(f"unknown-{k}", k) for k in range(9)])
    assert await send(bench, path) == 4
    captured = capsys.readouterr()
    assert "line 2: unknown" in captured.out and "and 4 more" in captured.out
    assert captured.err == "", "no progress bar where nobody looks"


def _all_of(terminal: int) -> str:
    """Return what is written to a terminal until nobody has it open any more."""
    parts = []
    try:
        while part := os.read(terminal, 65_536):
            parts.append(part)
    except OSError:  # EIO: the other end is closed
        pass
    return b"".join(parts).decode()


async def test_a_bar_is_drawn_where_somebody_looks(bench: AdminBench, tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", [(f"a{k}", k) for k in range(6_000)])
    ours, theirs = os.openpty()
    admin = str(bench.client.make_url("")).rstrip("/")
    code = "from sidecar.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "label", str(path), "--admin", admin, "--json"),
        env=os.environ | {"UNDERSTUDY_LABEL_TOKEN": SECRET, "TERM": "xterm", "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    reading = asyncio.to_thread(_all_of, ours)  # or a full terminal would stop the program
    (out, _), drawn = await asyncio.gather(process.communicate(), reading)
    os.close(ours)
    assert process.returncode == 0 and json.loads(out)["read"] == 6_000
    assert "6,000 labels" in drawn and "100%" in drawn


async def test_a_wrong_token_stops_at_once_and_says_so(
    bench: AdminBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "l.csv", [("a", 1)])
    assert await send(bench, path, token="wrong") == 1
    assert "401" in capsys.readouterr().err and bench.double.labelled == []


async def test_a_full_disk_is_waited_for(
    bench: AdminBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "l.csv", [("a", 1)])
    bench.double.is_full = True
    sending = asyncio.ensure_future(send(bench, path))  # noqa: TID251 - kept here
    async with asyncio.timeout(30):
        while "label 1" not in bench.double.calls:
            await asyncio.sleep(0.01)
    bench.double.is_full = False
    assert await sending == 0
    assert "waits 1 s: 503" in capsys.readouterr().err
    assert [one.request_id for one in bench.double.labelled] == ["a"]


async def test_a_file_at_fault_stops_after_what_was_before_it_and_says_how_to_go_on(
    bench: AdminBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write(tmp_path, "l.csv", [("a", 1)]), tmp_path / "bad.csv"
    bad.write_text("id,label\n")
    assert await send(bench, good, bad, as_json=True) == 2
    captured = capsys.readouterr()
    assert "--id-column" in captured.err and "l.csv line 2 was answered" in captured.err
    assert json.loads(captured.out)["results"] == {"accepted": 1}


def test_nothing_that_answers_exits_3(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", [("a", 1)])
    words = ["label", str(path), "--admin", "http://127.0.0.1:1", "--retry-for", "1ms"]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 3 and "nothing answers" in outcome.stderr


def test_what_is_said_of_all_labels_goes_with_each() -> None:
    asked = Asked(files=[], admin="", route="digits", is_correction=True)
    assert module._same_for_all(asked) == {"route": "digits", "correct": True}
    assert module._same_for_all(Asked(files=[], admin="")) == {}


@pytest.mark.parametrize("words", [["--retry-for", "soon"], ["--format", "xml"]])
def test_wrong_usage_exits_2(tmp_path: Path, words: list[str]) -> None:
    path = write(tmp_path, "l.csv", [("a", 1)])
    assert CliRunner().invoke(app, ["label", str(path), *words]).exit_code == 2


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", [("a", 1)])
    words = ["label", str(path), "--rejected", str(tmp_path / "no" / "file")]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1 and str(tmp_path / "no" / "file") in outcome.stderr


def test_examples_hold() -> None:
    from sidecar import labelfile

    for one in (module, labelfile):
        found = doctest.testmod(one)
        assert found.attempted and not found.failed

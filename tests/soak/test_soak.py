"""The soak in short, and what its judge says of good and bad runs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.router.running import ROOT
from tests.soak.clients import Failed, Findings, check
from tests.soak.faults import FAULTS
from tests.soak.model import body_of, crc
from tests.soak.report import (
    Sample,
    Summary,
    as_json,
    as_markdown,
    is_complete,
    p99,
    slope_per_minute,
    verdicts,
)
from tests.soak.soak import accounts_of

GOOD = {
    "served": 100.0, "copied": 98.0, "lost": 2.0, "observations dropped": 0.0, "pairs": 97.0,
    "aborted": 2.0, "known lost": 2.0,
}  # fmt: skip


def a_summary(minutes: int = 30) -> Summary:
    findings = Findings(answered=100)
    findings.latencies_s["quiet"] = [0.001] * 400
    findings.latencies_s["challenger hangs"] = [0.0011] * 400
    samples = [Sample(float(at), "quiet", 30.0, 80) for at in range(0, minutes * 60, 5)]
    return Summary(minutes * 60.0, 50.0, findings, samples, dict(GOOD), 90, 1, (20, 21))


def wrong(summary: Summary) -> list[str]:
    return [name for name, said in verdicts(summary).items() if said != "ok"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sidecar_under_load_keeps_its_promises_through_every_fault(tmp_path: Path) -> None:
    """About 20 s of the half hour that ``make soak`` takes."""
    command = [sys.executable, "-m", "tests.soak", "--cycles", "1", "--rate", "80"]
    command += ["--phase", "0.8", "--quiet", "0.4", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    found = json.loads((tmp_path / "soak.json").read_text())
    assert found["failed"] == 0
    assert set(FAULTS) <= set(found["p99_ms"])
    assert set(found["answered_by_kind"]) >= {"get", "small", "middle", "large", "stream"}
    assert found["labels"]["accepted"] > 100
    assert "| no failed champion request | ok |" in (tmp_path / "soak.md").read_text()


def test_good_run_is_good() -> None:
    assert wrong(a_summary()) == []
    assert "30.0 minutes at 50 requests a second" in as_markdown(a_summary())
    descriptors = json.loads(json.dumps(as_json(a_summary())))["descriptors"]
    assert descriptors == {"before": 20, "max": 80, "after": 21}


def test_failed_request_fails_the_run() -> None:
    summary = a_summary()
    summary.findings.fail("quiet", "get: ConnectionResetError")
    assert wrong(summary) == ["no failed champion request"]


def test_copy_that_is_neither_made_nor_lost_fails_the_run() -> None:
    summary = a_summary()
    summary.accounts["copied"] -= 1
    assert wrong(summary) == [
        "every copy made, or lost with a reason",
        "every pair is known to the evaluator",
    ]


def test_observation_that_never_arrives_fails_the_run() -> None:
    assert is_complete(GOOD)
    assert not is_complete(GOOD | {"pairs": 94.0})
    assert not is_complete(GOOD | {"known lost": 1.0})


def test_growing_memory_fails_the_run() -> None:
    summary = a_summary()
    summary.samples = [replace(one, rss_mib=30 + one.at_s / 60) for one in summary.samples]
    assert wrong(summary) == ["memory does not grow"]
    summary = a_summary()
    summary.samples[100] = replace(summary.samples[100], rss_mib=120.0)
    assert wrong(summary) == ["memory stays within its budget"]


def test_descriptor_left_behind_fails_the_run() -> None:
    summary = a_summary()
    summary.n_descriptors = (20, 40)
    assert wrong(summary) == ["no descriptor is left behind"]


def test_slow_champion_under_a_fault_fails_the_run() -> None:
    summary = a_summary()
    summary.findings.latencies_s["challenger hangs"] = [0.2] * 400
    assert wrong(summary) == ["champion's p99 under faults"]


def test_accounts_are_read_from_metrics_and_status() -> None:
    metrics = {
        'understudy_requests_total{code="2xx",role="champion",route="r",variant="a"}': 5.0,
        'understudy_mirror_requests_total{route="r",variant="b"}': 3.0,
        'understudy_mirror_dropped_total{reason="budget",route="r"}': 2.0,
        'understudy_mirror_dropped_total{reason="deadline",route="r"}': 1.0,
    }
    status: dict[str, object] = {"routes": [{"counts": {"pairs": 3, "lost": 2}}]}
    found = accounts_of(metrics, status)
    assert is_complete(found)
    assert (found["lost: budget"], found["lost: deadline"], found["lost"]) == (2.0, 1.0, 2.0)


def test_slope_and_percentile_of_known_values() -> None:
    assert slope_per_minute([(0.0, 1.0), (60.0, 3.0), (120.0, 5.0)]) == pytest.approx(2.0)
    assert slope_per_minute([(0.0, 1.0)]) == 0.0
    assert p99([float(n) for n in range(100)]) == 99.0
    assert p99([]) == 0.0


def test_answer_is_taken_only_when_every_byte_is_the_champions() -> None:
    body = body_of("champion", b"asked", 200)
    fields = {b"x-by": b"champion", b"x-crc": crc(body)}
    check("get", 200, fields, body, b"asked")
    for status, changed, told, asked in (
        (502, body, fields, b"asked"),
        (200, body[:-1] + b"?", fields, b"asked"),
        (200, body, fields | {b"x-by": b"challenger"}, b"asked"),
        (200, body, fields, b"something else"),
    ):
        with pytest.raises(Failed):
            check("get", status, told, changed, asked)
    stream = b"data: 0 champion\n\n"
    check("stream", 200, fields, stream + b"data: %b\n\n" % crc(stream), b"")
    with pytest.raises(Failed):
        check("stream", 200, fields, stream + b"data: %b\n\n" % crc(b""), b"")

"""The rules before promtool: each alert fires on what it is for, and none on a quiet sidecar."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sidecar.monitoring.alerts import ALERTS
from sidecar.monitoring.query import faults
from sidecar.monitoring.rules import RECORDINGS, expressions, render
from tests.sidecar.monitoring.names import labels, metrics

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
AT = {"instance": "a:8081", "job": "understudy"}
DIGITS = AT | {"route": "digits"}
DAY = 86_400


def series(name: str, labels: dict[str, str], values: str) -> dict[str, str]:
    """One input of promtool: a sample a minute, in its notation (start+step x count)."""
    matched = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{matched}}}", "values": values}


def phase(values: str = "1x95") -> dict[str, str]:
    return series("understudy_rollout_phase", DIGITS | {"phase": "canary"}, values)


CERTIFICATE = "understudy_certificate_expiry_timestamp_seconds"
LATE, ACCEPTED = DIGITS | {"result": "late"}, DIGITS | {"result": "accepted"}
OPS = AT | {"destination": "ops", "result": "dropped"}
DROPPED = DIGITS | {"reason": "queue_full"}
SENT = DIGITS | {"variant": "digits-2", "result": "answered"}
FIRING: dict[str, list[dict[str, str]]] = {
    "UnderstudyDown": [series("up", AT, "0x95")],
    "UnderstudyNoRouter": [series("understudy_routers", AT, "0x95")],
    # The counter is there only from the first event on: nothing that increase() can see.
    "UnderstudyChallengerEjected": [
        series("understudy_ejections_total", DIGITS | {"variant": "digits-2"}, "_x85 1x10")
    ],
    "UnderstudyRollback": [
        series("understudy_decisions_total", DIGITS | {"action": "rollback"}, "3x85 4x10")
    ],
    "UnderstudyEvidenceStale": [
        series("understudy_last_observation_timestamp_seconds", DIGITS, "0x95"),
        phase(),
    ],
    "UnderstudyLabelsLate": [
        series("understudy_labels_total", LATE, "0+20x95"),
        series("understudy_labels_total", ACCEPTED, "0+80x95"),
    ],
    "UnderstudyMirrorDrops": [
        series("understudy_mirror_dropped_total", DROPPED, "0+10x95"),
        series("understudy_mirror_requests_total", SENT, "0+90x95"),
    ],
    "UnderstudyObservationsDropped": [
        series("understudy_observations_dropped_total", AT | {"reason": "full"}, "_x85 9x10")
    ],
    "UnderstudyOverload": [series("understudy_overload", AT | {"relief": "mirrors"}, "1x95")],
    "UnderstudyAuditBroken": [series("understudy_audit_verified", AT, "0x95")],
    "UnderstudyAuditUnverified": [
        series("understudy_audit_verified_timestamp_seconds", AT, f"-{3 * 3600}x95")
    ],
    "UnderstudyEventsDropped": [series("understudy_events_total", OPS, "0x85 1x10")],
    "UnderstudyBreakGlassActive": [series("understudy_break_glass_active", DIGITS, "1x95")],
    "UnderstudyCertificateExpires": [
        series(CERTIFICATE, AT | {"certificate": "listener"}, f"{10 * DAY}x125")
    ],
    "UnderstudyCertificateExpiresSoon": [
        series(CERTIFICATE, AT | {"certificate": "listener"}, f"{DAY}x125")
    ],
    "UnderstudyConfigReloadFailed": [
        series("understudy_config_last_reload_successful", AT, "0x95")
    ],
    "UnderstudyStoreNearlyFull": [
        series("understudy_store_bytes", AT, "85x95"),
        series("understudy_store_limit_bytes", AT, "100x95"),
    ],
    "UnderstudyStoreNotWritable": [series("understudy_store_writable", AT, "0x95")],
    "UnderstudyDiskNearlyFull": [
        series("understudy_disk_free_bytes", AT, "5x95"),
        series("understudy_disk_size_bytes", AT, "100x95"),
    ],
}
QUIET = [
    series("up", AT, "1x125"),
    series("understudy_routers", AT, "2x125"),
    series("understudy_ejections_total", DIGITS | {"variant": "digits-2"}, "7x125"),
    series("understudy_decisions_total", DIGITS | {"action": "rollback"}, "3x125"),
    series("understudy_last_observation_timestamp_seconds", DIGITS, "0+60x125"),
    phase("1x125"),
    series("understudy_labels_total", LATE, "0+1x125"),
    series("understudy_labels_total", ACCEPTED, "0+99x125"),
    series("understudy_mirror_dropped_total", DROPPED, "0+1x125"),
    # The file says what is no inference: that it is not mirrored is no loss.
    series("understudy_mirror_dropped_total", DROPPED | {"reason": "not_mirrorable"}, "0+900x125"),
    series("understudy_mirror_requests_total", SENT, "0+99x125"),
    series("understudy_observations_dropped_total", AT | {"reason": "full"}, "9x125"),
    series("understudy_overload", AT | {"relief": "mirrors"}, "0x125"),
    series("understudy_audit_verified", AT, "1x125"),
    series("understudy_audit_verified_timestamp_seconds", AT, "0x125"),
    series("understudy_events_total", OPS, "2x125"),
    series("understudy_break_glass_active", DIGITS, "0x125"),
    series(CERTIFICATE, AT | {"certificate": "listener"}, f"{90 * DAY}x125"),
    series("understudy_config_last_reload_successful", AT, "1x125"),
    series("understudy_store_bytes", AT, "50x125"),
    series("understudy_store_limit_bytes", AT, "100x125"),
    series("understudy_store_writable", AT, "1x125"),
    series("understudy_disk_free_bytes", AT, "50x125"),
    series("understudy_disk_size_bytes", AT, "100x125"),
]
ALSO = {"UnderstudyCertificateExpiresSoon": ["UnderstudyCertificateExpires"]}
"""What else fires, once its own time has come."""


def told(tmp_path: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    (tmp_path / "rules.yaml").write_text(render())
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": ["rules.yaml"], "tests": tests}))  # JSON is YAML
    return subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )


def firing(tmp_path: Path, inputs: list[dict[str, str]], moment: str) -> list[str]:
    """Return which alerts fire: promtool is told that none does, and names those that do."""
    asked = [{"eval_time": moment, "alertname": alert.name, "exp_alerts": []} for alert in ALERTS]
    run = told(tmp_path, [{"interval": "1m", "input_series": inputs, "alert_rule_test": asked}])
    named = re.findall(r"alertname: ?(\w+),", run.stdout + run.stderr)
    assert (run.returncode == 0) == (named == []), run.stdout + run.stderr
    return named


def test_every_alert_has_a_case() -> None:
    assert FIRING.keys() == {alert.name for alert in ALERTS}


@pytest.mark.peer
@promtool
def test_rules_are_valid(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(render())
    run = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yaml")], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert f"{len(ALERTS) + len(RECORDINGS)} rules found" in run.stdout


@pytest.mark.peer
@promtool
def test_a_quiet_sidecar_wakes_nobody(tmp_path: Path) -> None:
    assert firing(tmp_path, QUIET, "2h") == []


@pytest.mark.peer
@promtool
@pytest.mark.parametrize("name", FIRING)
def test_each_alert_fires_on_what_it_is_for_and_no_other_does(name: str, tmp_path: Path) -> None:
    assert sorted(firing(tmp_path, FIRING[name], "90m")) == sorted([name, *ALSO.get(name, [])])


@pytest.mark.peer
@promtool
def test_an_alert_that_must_last_does_not_fire_at_once(tmp_path: Path) -> None:
    inputs = [series("understudy_overload", AT | {"relief": "mirrors"}, "0x87 1x10")]
    assert firing(tmp_path, inputs, "90m") == []
    assert firing(tmp_path, inputs, "95m") == ["UnderstudyOverload"]


@pytest.mark.peer
@promtool
def test_recorded_series_are_what_they_say(tmp_path: Path) -> None:
    digits = DIGITS | {"variant": "digits-2", "role": "mirror"}
    inputs = [
        series("understudy_requests_total", digits | {"code": "2xx"}, "0+54x20"),
        series("understudy_requests_total", digits | {"code": "5xx"}, "0+6x20"),
        series("understudy_requests_total", DIGITS | {"variant": "c", "code": "2xx"}, "0+60x20"),
        series("understudy_mirror_dropped_total", DROPPED, "0+10x20"),
    ]
    level = '{instance="a:8081", role="mirror", route="digits", variant="digits-2"}'
    bare = '{instance="a:8081", route="digits", variant="c"}'
    errors = "variant:understudy_request_errors:ratio_rate5m"
    dropped = "route:understudy_mirror_dropped:ratio_rate5m"
    expected = {
        "variant:understudy_requests:rate5m": {level: 1.0, bare: 1.0},
        errors: {level: 0.1, bare: 0.0},
        dropped: {'{instance="a:8081", route="digits"}': 1.0},  # nothing was sent at all
    }
    asked = [
        {
            "expr": f"round({name}, 0.001)",
            "eval_time": "15m",
            "exp_samples": [{"labels": at, "value": value} for at, value in rows.items()],
        }
        for name, rows in expected.items()
    ]
    tests = [{"interval": "1m", "input_series": inputs, "promql_expr_test": asked}]
    run = told(tmp_path, tests)
    assert run.returncode == 0, run.stdout + run.stderr


def test_rules_name_only_what_is_there() -> None:
    assert faults(expressions(), metrics(), labels()) == []


def test_recordings_are_named_by_level_metric_and_operation() -> None:
    assert all(one.name.count(":") == 2 for one in RECORDINGS)

"""/metrics: read by the reference parser and by promtool, bounded, and free of clients' words."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from router.counters import Counters
from sidecar import metrics, routermetrics
from sidecar.metrics import Readout
from sidecar.monitoring.catalogue import EVERYTHING
from tests.sidecar.double import ROUTE, STATUS

ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def counted() -> dict[str, float]:
    """Return what a router says after some traffic, in its own words."""
    counters = Counters()
    for variant, role, status in (
        *(("digits-1", "champion", 200), ("digits-1", "champion", 503)),
        *(("digits-2", "challenger", 200), ("digits-1", "fallback", 200)),
        *(("digits-2", "mirror", 200), ("digits-2", "mirror", 500), ("digits-2", "mirror", 0)),
    ):
        counters.calls("digits", variant, role).add(status, 0.004)
    counters.event("understudy_fallbacks_total", "route=digits", "reason=timeout")
    counters.event("understudy_mirror_dropped_total", "route=digits", "reason=queue_full")
    counters.event("understudy_observations_dropped_total", "reason=buffer_full")
    counters.event("understudy_ejections_total", "route=digits", "variant=digits-2")
    counters.event("understudy_refused_requests_total", "code=400")
    counters.event("understudy_unrouted_requests_total")
    counters.event("understudy_dns_failures_total", "host=models.example")
    counters.event("understudy_tls_handshake_failures_total", "reason=not_tls")
    counters.event("understudy_certificate_reloads_total", "certificate=listener", "result=refused")
    counters.event(
        "understudy_connect_failures_total", "route=digits", "variant=digits-2", "reason=tls"
    )
    levels = {
        "understudy_certificate_expiry_timestamp_seconds|certificate=digits/digits-1": 2e9,
        "understudy_downstream_connections": 3.0,
        "understudy_upstream_connections|route=digits|variant=digits-1|state=open": 2.0,
    }
    return counters.values() | levels


def samples(
    counts: Mapping[str, float] | None = None, status: Mapping[str, Any] = STATUS, **more: Any
) -> Samples:
    text = metrics.render(Readout(counted() if counts is None else counts, status, **more))
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def test_calls_keep_their_variant_role_and_class() -> None:
    found = samples()
    name = "understudy_requests_total"
    one = {"route": "digits", "variant": "digits-1", "role": "champion"}
    assert value(found, name, **one, code="2xx") == 1
    assert value(found, name, **one, code="5xx") == 1


def test_durations_are_a_histogram_that_adds_up() -> None:
    found = samples()
    labels = {"route": "digits", "variant": "digits-2", "role": "mirror"}
    name = routermetrics.DURATION
    assert value(found, f"{name}_bucket", **labels, le="0.0025") == 0
    assert value(found, f"{name}_bucket", **labels, le="0.005") == 3
    assert value(found, f"{name}_bucket", **labels, le="+Inf") == 3
    assert value(found, f"{name}_count", **labels) == 3
    assert value(found, f"{name}_sum", **labels) == pytest.approx(0.012)


def test_copies_are_told_by_whether_they_were_answered() -> None:
    found = samples()
    labels = {"route": "digits", "variant": "digits-2"}
    assert value(found, "understudy_mirror_requests_total", **labels, result="answered") == 1
    assert value(found, "understudy_mirror_requests_total", **labels, result="failed") == 2


def test_broken_glass_and_a_cool_down_are_gauges() -> None:
    active, cooling = "understudy_break_glass_active", "understudy_cool_down_seconds"
    found = samples()
    assert (value(found, active, route="digits"), value(found, cooling, route="digits")) == (0, 0)
    glass = {"who": "ada", "reason": "outage", "at": "", "left_s": 60.0}
    loud = STATUS | {"routes": [ROUTE | {"break_glass": glass, "cool_down_s": 90.0}]}
    found = samples(status=loud)
    assert (value(found, active, route="digits"), value(found, cooling, route="digits")) == (1, 90)


def test_status_becomes_gauges() -> None:
    found = samples()
    assert value(found, "understudy_rollout_phase", route="digits", phase="canary") == 1
    assert value(found, "understudy_rollout_phase", route="digits", phase="shadow") == 0
    weight = "understudy_variant_weight_ratio"
    assert value(found, weight, route="digits", variant="digits-1", kind="serve") == 0.75
    assert value(found, weight, route="digits", variant="digits-2", kind="serve") == 0.25
    check = {"route": "digits", "check": "accuracy"}
    assert value(found, "understudy_check_log_e", **check) == 1.25
    assert value(found, "understudy_check_effect", **check) == 0.05
    assert value(found, "understudy_check_effect_low", **check) == -0.01
    assert value(found, "understudy_check_state", **check, state="undecided") == 1
    assert value(found, "understudy_labels_total", route="digits", result="accepted") == 7
    assert value(found, "understudy_routing_table_version") == 17


def test_the_store_tells_its_size_and_what_it_could_not_keep() -> None:
    route = ROUTE | {
        "labels": {"accepted": 7, "waiting": 41},
        "counts": {"refused": 3, "repeated": 2},
    }
    store = {"bytes": 4096, "limit_bytes": 8192, "log_bytes": 100}
    found = samples(status=STATUS | {"routes": [route], "store": store})
    assert value(found, "understudy_store_bytes") == 4096
    assert value(found, "understudy_store_limit_bytes") == 8192
    assert value(found, "understudy_store_log_bytes") == 100
    assert value(found, "understudy_labels_waiting", route="digits") == 41
    name = "understudy_observations_unkept_total"
    assert value(found, name, route="digits", reason="refused") == 3
    assert value(found, name, route="digits", reason="repeated") == 2


def test_what_is_not_known_yet_is_absent_and_not_zero() -> None:
    found = samples()
    assert not any(name == "understudy_check_effect_high" for name, _ in found)


def test_process_says_how_the_last_reload_went() -> None:
    assert value(samples(), "understudy_config_last_reload_successful") == 1
    assert value(samples(reload_ok=False), "understudy_config_last_reload_successful") == 0
    assert value(samples(store_ok=False), "understudy_store_writable") == 0


def test_moves_are_counted_by_action() -> None:
    found = samples(decisions={"digits": {"promote": 2}}.get)
    name = "understudy_decisions_total"
    assert value(found, name, route="digits", action="promote") == 2
    assert value(found, name, route="digits", action="rollback") == 0


def test_empty_state_renders() -> None:
    assert value(samples({}, {}), "understudy_routing_table_version") == 0


def test_nothing_from_outside_the_configuration_becomes_a_series() -> None:
    before = samples()
    hostile = {
        f"understudy_requests_total|route=evil{k}|variant=v|role=champion|code=2xx": 1.0
        for k in range(1000)
    }
    hostile |= {f"understudy_made_up_total|route=digits|id={k}": 1.0 for k in range(1000)}
    hostile |= {f"understudy_requests_total|route=digits|x={k}": 1.0 for k in range(1000)}
    assert samples(counted() | hostile).keys() == before.keys()


def test_two_variants_stay_far_below_500_series() -> None:
    assert len(samples()) < 300


def test_name_that_would_forge_a_sample_is_escaped() -> None:
    """F45: the file's names are restricted, but the exposition must not depend on it."""
    name = 'a"} 1\nunderstudy_fake 2\\'
    status = STATUS | {"routes": [ROUTE | {"name": name}]}
    found = samples({}, status)
    assert not any(key == "understudy_fake" for key, _ in found)
    assert value(found, "understudy_rollout_phase", route=name, phase="canary") == 1


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say() -> None:
    readout = Readout(counted(), STATUS | EVERYTHING, disk=(1, 2), verified=(True, 1.0))
    text = metrics.render(readout)
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_ways_to_variants_and_certificates_are_shown() -> None:
    found = samples()
    dns = value(found, "understudy_dns_failures_total", host="models.example")
    tls = value(found, "understudy_tls_handshake_failures_total", reason="not_tls")
    assert dns == tls == 1
    labels = {"route": "digits", "variant": "digits-2", "reason": "tls"}
    assert value(found, "understudy_connect_failures_total", **labels) == 1
    labels = {"certificate": "listener", "result": "refused"}
    assert value(found, "understudy_certificate_reloads_total", **labels) == 1
    name = "understudy_certificate_expiry_timestamp_seconds"
    assert value(found, name, certificate="digits/digits-1") == 2e9


def test_recording_is_measured_only_where_there_is_one() -> None:
    assert not any(name.startswith("understudy_recording") for name, _ in samples())
    found = samples(status=STATUS | {"recording": {"folder": "x", "bytes": 512, "dropped": 3}})
    assert value(found, "understudy_recording_bytes") == 512
    assert value(found, "understudy_recording_dropped_total") == 3


def test_tokens_are_counted_where_they_are_given_and_where_they_come_back() -> None:
    counters = Counters()
    for _ in range(3):
        counters.event("understudy_exposure_tokens_total", "route=digits", "prediction=value")
    counters.event("understudy_exposure_tokens_withheld_total", "route=digits", "reason=no_key")
    counters.event("understudy_exposure_key_reloads_total", "result=taken")
    route = ROUTE | {"tokens": {"accepted": 2, "late": 1}}
    status = STATUS | {"routes": [route], "forged_labels": 4}
    found = samples(counters.values(), status)
    tokens = "understudy_exposure_tokens_total"
    assert value(found, tokens, route="digits", prediction="value") == 3
    withheld = "understudy_exposure_tokens_withheld_total"
    assert value(found, withheld, route="digits", reason="no_key") == 1
    assert value(found, "understudy_exposure_key_reloads_total", result="taken") == 1
    labels = "understudy_exposure_token_labels_total"
    assert value(found, labels, route="digits", result="accepted") == 2
    assert value(found, labels, route="digits", result="late") == 1
    assert value(found, "understudy_forged_labels_total") == 4


def test_break_glass_and_the_age_of_the_evidence_are_per_route() -> None:
    route = ROUTE | {"break_glass": {"who": "eve"}, "last_observation": "1970-01-01T00:01:00Z"}
    found = samples(status=STATUS | {"routes": [route]})
    assert value(found, "understudy_break_glass_active", route="digits") == 1
    observed = "understudy_last_observation_timestamp_seconds"
    assert value(found, observed, route="digits") == 60
    assert value(samples(), "understudy_break_glass_active", route="digits") == 0
    assert not any(name == observed for name, _ in samples())


def test_the_end_of_the_audit_and_whom_it_was_told_are_shown() -> None:
    row = {"name": "ops", "sent": 7, "failed": 2, "dropped": 1, "waiting": 3, "error": None}
    status = STATUS | {"audit_head": {"sequence": 41, "hash": "ab" * 32}, "events": [row]}
    found = samples(status=status)
    assert found["understudy_audit_head_sequence", ()] == 41.0
    assert found["understudy_audit_head_info", (("hash", "ab" * 32),)] == 1.0
    for word in ("sent", "failed", "dropped"):
        labels = (("destination", "ops"), ("result", word))
        assert found["understudy_events_total", labels] == row[word]
    assert found["understudy_events_waiting", (("destination", "ops"),)] == 3.0
    names = {name for name, _ in samples()}
    assert "understudy_audit_head_sequence" not in names, "not known is not 0"

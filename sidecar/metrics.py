"""``/metrics``: the routers' counts and the controller's status as Prometheus families.

Label values come from the routing file and from our own fixed words, never from a client.
Rules, dashboard and the list in docs/metrics.md are written from these (sidecar/monitoring).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sidecar import routermetrics
from sidecar.ways import REASONS, WAYS, Ways

VERSION = "0.1.0"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PHASES = (
    *("queued", "functional", "performance", "security", "cold_start"),
    *("shadow", "canary", "watch", "promoted", "rolled_back"),
)
LABEL_RESULTS = (
    "accepted",
    "corrected",
    "duplicate",
    "conflict",
    "unknown",
    "late",
    "invalid",
    "forged",
    "early",
)
"""What labels were answered; ``early`` are those of the unknown ones that joined later."""
STORE_SIZES = {
    "bytes": "Size of the store's file, less what is free in it.",
    "limit_bytes": "Size of the store's file from which on no observation waits for a label.",
    "log_bytes": "Size of the store's write-ahead log; large while somebody reads for long.",
}
SPAN_RESULTS = ("exported", "dropped", "failed")
UNKEPT = ("refused", "repeated")
"""Why an observation does not wait for its label."""
ACTIONS = ("advance", "promote", "rollback")


@dataclass(frozen=True, slots=True)
class Readout:
    """What the metrics are made from, at one moment."""

    counts: Mapping[str, float]
    """Of all routers together, by flat name (sidecar/counts.py)."""
    status: Mapping[str, Any]
    """As ``Controller.status`` returns it."""
    decisions: Callable[[str], Mapping[str, int]] = lambda _: {}
    """Audit records of a route by action."""
    reload_ok: bool = True
    reload_at_s: float = 0.0
    """Wall clock of the last reload that succeeded."""
    store_ok: bool = True
    """Whether the disk takes what must be durable."""
    ways: Ways = field(default_factory=Ways)
    disk: tuple[int, int] | None = None
    """Free and all bytes of the disk that holds the state; None where it cannot be asked."""
    spans: Mapping[str, int] | None = None
    """What became of spans; None while nothing is traced."""
    verified: tuple[bool, float] | None = None
    """Whether the audit's chain was whole, and the wall clock when it was last walked; None before
    the first time."""


def render(readout: Readout) -> bytes:
    """Return the text exposition of ``readout``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(readout))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, readout: Readout) -> None:
        self._readout = readout

    def collect(self) -> Iterator[Metric]:
        return families(self._readout)


def families(readout: Readout) -> Iterator[Metric]:
    """Yield every family; those without a sample now have their name and meaning all the same."""
    status = readout.status
    routes = list(status.get("routes", ()))
    yield from routermetrics.families(readout.counts, {route["name"] for route in routes})
    yield from _sidecar(readout)
    yield from _rollouts(routes)
    yield from _checks(routes)
    yield from _labels(routes, status.get("labels") or {}, readout.decisions)
    yield from _tokens(routes, status)
    yield from _ways(readout.ways)
    yield from _fetched(status.get("labels_from"))
    yield from _spans(readout.spans)
    yield from _head(status.get("audit_head"))
    yield from _events(status.get("events") or ())


def _sidecar(readout: Readout) -> Iterator[Metric]:
    about = "Whether the routing file was accepted when it was last read."
    name = "understudy_config_last_reload_successful"
    yield GaugeMetricFamily(name, about, float(readout.reload_ok))
    name = "understudy_config_last_reload_success_timestamp_seconds"
    about = "When the routing file was last accepted, since the epoch."
    yield GaugeMetricFamily(name, about, readout.reload_at_s)
    digest = str(readout.status.get("config_digest") or "")
    config = InfoMetricFamily("understudy_config", "The routing file in force.")
    config.add_metric((), {"digest": digest})
    yield config
    version = float(readout.status.get("table_version") or 0)
    name = "understudy_routing_table_version"
    yield GaugeMetricFamily(name, "Version of the routing table in force.", version)
    n_routers = float(len(readout.status.get("routers", ())))
    yield GaugeMetricFamily("understudy_routers", "Router processes connected.", n_routers)
    about = "Whether labels and transitions can be made durable."
    yield GaugeMetricFamily("understudy_store_writable", about, float(readout.store_ok))
    build = InfoMetricFamily("understudy_build", "The program itself.")
    build.add_metric((), {"version": VERSION})
    yield build
    yield from _store(readout.status.get("store") or {})
    yield from _disk(readout)
    recording = readout.status.get("recording")
    if recording:
        about = "Lines that could not be written into the recording."
        yield CounterMetricFamily("understudy_recording_dropped", about, recording["dropped"])
        about = "Size of the recording's files."
        yield GaugeMetricFamily("understudy_recording_bytes", about, recording["bytes"])


def _store(sizes: Mapping[str, int]) -> Iterator[Metric]:
    for key, about in STORE_SIZES.items():
        if key in sizes:
            yield GaugeMetricFamily(f"understudy_store_{key}", about, float(sizes[key]))


def _disk(readout: Readout) -> Iterator[Metric]:
    if readout.disk is not None:
        free, size = readout.disk
        about = "Free on the disk that holds the state."
        yield GaugeMetricFamily("understudy_disk_free_bytes", about, float(free))
        about = "Size of the disk that holds the state."
        yield GaugeMetricFamily("understudy_disk_size_bytes", about, float(size))
    if readout.verified is not None:
        is_whole, at_s = readout.verified
        about = "Whether the chain of audit records was whole when it was last walked."
        yield GaugeMetricFamily("understudy_audit_verified", about, float(is_whole))
        about = "When the chain of audit records was last walked, since the epoch."
        yield GaugeMetricFamily("understudy_audit_verified_timestamp_seconds", about, at_s)


def _rollouts(routes: list[dict[str, Any]]) -> Iterator[Metric]:
    phase = GaugeMetricFamily(
        "understudy_rollout_phase",
        "1 for the phase in which a route's rollout stands, 0 for the others.",
        labels=("route", "phase"),
    )
    weight = GaugeMetricFamily(
        "understudy_variant_weight_ratio",
        "Share of a route's units that a variant serves, or whose requests are mirrored to it.",
        labels=("route", "variant", "kind"),
    )
    expected = GaugeMetricFamily(
        "understudy_decision_expected_seconds",
        "Time until a decision at the present traffic; absent while it cannot be known.",
        labels=("route",),
    )
    held = GaugeMetricFamily(
        "understudy_rollout_held", "1 while a person holds the rollout.", labels=("route",)
    )
    glass = GaugeMetricFamily(
        "understudy_break_glass_active",
        "1 while a challenger is in production around its gates, for a time.",
        labels=("route",),
    )
    observed = GaugeMetricFamily(
        "understudy_last_observation_timestamp_seconds",
        "When the evidence of the present experiment last grew, since the epoch.",
        labels=("route",),
    )
    cooling = GaugeMetricFamily(
        "understudy_cool_down_seconds",
        "How long nothing is promoted by evidence, after a rollback from production.",
        labels=("route",),
    )
    for route in routes:
        name, share = route["name"], float(route.get("share") or 0.0)
        glass.add_metric((name,), float(bool(route.get("break_glass"))))
        if route.get("last_observation"):
            at_s = datetime.fromisoformat(route["last_observation"]).timestamp()
            observed.add_metric((name,), at_s)
        cooling.add_metric((name,), float(route.get("cool_down_s") or 0.0))
        for word in PHASES:
            phase.add_metric((name, word), float(route.get("phase") == word))
        if route["champion"] is not None:
            weight.add_metric((name, route["champion"], "serve"), 1.0 - share)
        if route.get("challenger"):
            mirrored = float(route.get("mirror_share") or 0.0)
            weight.add_metric((name, route["challenger"], "serve"), share)
            weight.add_metric((name, route["challenger"], "mirror"), mirrored)
        if route.get("expected_seconds") is not None:
            expected.add_metric((name,), route["expected_seconds"])
        held.add_metric((name,), float(bool(route.get("held_by"))))
    yield from (phase, weight, expected, held, glass, observed, cooling)


def _checks(routes: list[dict[str, Any]]) -> Iterator[Metric]:
    fields = {
        "log_e": "Natural logarithm of the e-process that must grow for the check to pass.",
        "effect": "Challenger minus champion, positive is better.",
        "effect_low": "Lower end of the effect's confidence sequence.",
        "effect_high": "Upper end of the effect's confidence sequence.",
        "observations": "Observations that bear on the check.",
    }
    keys = {"effect_low": "low", "effect_high": "high", "observations": "n"}
    for suffix, about in fields.items():
        metric = GaugeMetricFamily(f"understudy_check_{suffix}", about, labels=("route", "check"))
        for route, check in _each_check(routes):
            value = check.get(keys.get(suffix, suffix))
            if value is not None:
                metric.add_metric((route, check["check"]), float(value))
        yield metric
    state = GaugeMetricFamily(
        "understudy_check_state",
        "1 for the state in which a check reads, 0 for the others.",
        labels=("route", "check", "state"),
    )
    for route, check in _each_check(routes):
        for word in ("passed", "undecided", "tripped", "unknown"):
            state.add_metric((route, check["check"], word), float(check.get("state") == word))
    yield state


def _each_check(routes: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for route in routes:
        for check in route.get("checks") or ():
            yield route["name"], check


def _labels(
    routes: list[dict[str, Any]],
    unrouted: Mapping[str, int],
    decisions_of: Callable[[str], Mapping[str, int]],
) -> Iterator[Metric]:
    results = CounterMetricFamily(
        "understudy_labels_total",
        "Labels by what became of them; without a route, those that belong to none that is known.",
        labels=("route", "result"),
    )
    for word in LABEL_RESULTS:
        results.add_metric(("", word), float(unrouted.get(word, 0)))
    waiting = GaugeMetricFamily(
        "understudy_labels_waiting", "Observations that wait for their label.", labels=("route",)
    )
    unkept = CounterMetricFamily(
        "understudy_observations_unkept_total",
        "Observations of the present experiment that do not wait for their label: the store was "
        "full (refused), or their request id was there already (repeated).",
        labels=("route", "reason"),
    )
    decisions = CounterMetricFamily(
        "understudy_decisions_total", "Moves of traffic.", labels=("route", "action")
    )
    for route in routes:
        labels = route.get("labels") or {}
        for word in LABEL_RESULTS:
            results.add_metric((route["name"], word), float(labels.get(word, 0)))
        waiting.add_metric((route["name"],), float(labels.get("waiting", 0)))
        for word in UNKEPT:
            count = (route.get("counts") or {}).get(word, 0)
            unkept.add_metric((route["name"], word), float(count))
        made = decisions_of(route["name"])
        for word in ACTIONS:
            decisions.add_metric((route["name"], word), float(made.get(word, 0)))
    yield from (results, waiting, unkept, decisions)


def _tokens(routes: list[dict[str, Any]], status: Mapping[str, Any]) -> Iterator[Metric]:
    results = CounterMetricFamily(
        "understudy_exposure_token_labels_total",
        "Labels that came with an exposure token of ours, by what became of them.",
        labels=("route", "result"),
    )
    for route in routes:
        for word, n in (route.get("tokens") or {}).items():
            results.add_metric((route["name"], word), float(n))
    forged = CounterMetricFamily(
        "understudy_forged_labels_total",
        "Labels that came with a token which is not ours, or for another request or route.",
    )
    forged.add_metric((), float(status.get("forged_labels") or 0))
    yield from (results, forged)


def _ways(ways: Ways) -> Iterator[Metric]:
    """What is in no route: an unknown id belongs to none."""
    received = CounterMetricFamily(
        "understudy_labels_received_total",
        "Labels by the way they came in and what became of them.",
        labels=("way", "result"),
    )
    refused = CounterMetricFamily(
        "understudy_label_bodies_refused_total",
        "Bodies, or messages, of which no label was taken.",
        labels=("way", "reason"),
    )
    for way in WAYS:
        for word in LABEL_RESULTS:
            received.add_metric((way, word), float(ways.labels[way, word]))
        for reason in REASONS:
            refused.add_metric((way, reason), float(ways.refused[way, reason]))
    yield from (received, refused)


def _fetched(labels_from: Mapping[str, Any] | None) -> Iterator[Metric]:
    if labels_from is not None:
        yield GaugeMetricFamily(
            "understudy_labels_from_connected",
            "1 while labels are fetched from the broker that the routing file names.",
            value=float(labels_from["connected"]),
        )


def _spans(spans: Mapping[str, int] | None) -> Iterator[Metric]:
    if spans is not None:
        about = "Spans by what became of them: exported, dropped (no room), failed (not taken)."
        metric = CounterMetricFamily("understudy_spans_total", about, labels=("result",))
        for word in SPAN_RESULTS:
            metric.add_metric((word,), float(spans.get(word, 0)))
        yield metric


def _head(head: Mapping[str, Any] | None) -> Iterator[Metric]:
    """One hash at a time: a series ends when the next record is written."""
    if head is None:
        return
    name = "understudy_audit_head_sequence"
    yield GaugeMetricFamily(name, "Number of the last audit record.", float(head["sequence"]))
    info = InfoMetricFamily("understudy_audit_head", "The end of the audit's chain, to be noted.")
    info.add_metric((), {"hash": head["hash"]})
    yield info


def _events(rows: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    made = CounterMetricFamily(
        "understudy_events_total",
        "Events: messages that were sent, attempts that failed, records that were given up.",
        labels=("destination", "result"),
    )
    waiting = GaugeMetricFamily(
        "understudy_events_waiting",
        "Audit records that a destination was not told of yet.",
        labels=("destination",),
    )
    for row in rows:
        for word in ("sent", "failed", "dropped"):
            made.add_metric((row["name"], word), float(row[word]))
        waiting.add_metric((row["name"],), float(row["waiting"]))
    yield from (made, waiting)

"""``/metrics``: the routers' counts and the controller's status as Prometheus families.

Label values come from the routing file and from our own fixed words, never from a client: what
the routers send under another name, or for a route that is not served, is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sidecar.ways import REASONS, WAYS, Ways

VERSION = "0.1.0"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "understudy_requests_total": (
        "Answers by variant, by the role in which it was asked, and by class of status.",
        ("route", "variant", "role", "code"),
    ),
    "understudy_fallbacks_total": (
        "Requests that the champion answered for a failing challenger.",
        ("route", "reason"),
    ),
    "understudy_mirror_dropped_total": (
        "Copies that were not sent, or whose answer was not measured.",
        ("route", "reason"),
    ),
    "understudy_standby_requests_total": (
        "Requests given to a champion's standby, by what had become of the champion.",
        ("route", "reason"),
    ),
    "understudy_observations_dropped_total": (
        "Observations that never reached the evaluator.",
        ("reason",),
    ),
    "understudy_ejections_total": (
        "Times a router stopped asking a challenger, or a champion with a standby, after failures "
        "in a row.",
        ("route", "variant"),
    ),
    "understudy_retries_total": (
        "Idempotent requests sent again, once, when a used connection ended before an answer.",
        ("route", "variant"),
    ),
    "understudy_refused_requests_total": (
        "Requests that we answered ourselves: malformed, too large, or too many.",
        ("code",),
    ),
    "understudy_versions_refused_total": (
        "Sets of versions (x-understudy-versions) that count as none: forged, or old.",
        ("route", "reason"),
    ),
    "understudy_closed_requests_total": (
        "Requests answered with 503 because no version of the route has passed its gates yet.",
        ("route",),
    ),
    "understudy_refused_connections_total": ("Connections over the limit, closed with 503.", ()),
    "understudy_unrouted_requests_total": ("Requests that match no route.", ()),
    "understudy_tunnels_total": (
        "Upgrades: opened, refused (answered otherwise than 101), ended as idle.",
        ("route", "result"),
    ),
    "understudy_streams_total": (
        "Streams of events (text/event-stream), by how they ended.",
        ("route", "variant", "role", "end"),
    ),
    "understudy_connect_failures_total": (
        "Connections to a variant that could not be opened.",
        ("route", "variant", "reason"),
    ),
    "understudy_dns_failures_total": (
        "Lookups of a variant's host name that failed or took too long.",
        ("host",),
    ),
    "understudy_tls_handshake_failures_total": (
        "Clients' connections on which no request could come.",
        ("reason",),
    ),
    "understudy_certificate_reloads_total": (
        "Changes of certificate files, by whether they were taken or the last ones were kept.",
        ("certificate", "result"),
    ),
    "understudy_exposure_tokens_total": (
        "Exposure tokens issued, by what they know of the prediction: value, digest, none (the "
        "answer holds none), failed (the variant gave no answer), cut (it was not looked at).",
        ("route", "prediction"),
    ),
    "understudy_exposure_tokens_withheld_total": (
        "Answers of a route that gives tokens which got none, by reason.",
        ("route", "reason"),
    ),
    "understudy_exposure_key_reloads_total": (
        "Changes of token key files, by whether they were taken or the last keys were kept.",
        ("result",),
    ),
}
"""What routers count, with the labels that they count by."""

LEVELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "understudy_upstream_connections": (
        "Open connections to a variant.",
        ("route", "variant", "state"),
    ),
    "understudy_champion_resting": (
        "Routers that give a route's requests to the standby, its champion having failed in a row.",
        ("route",),
    ),
    "understudy_downstream_connections": ("Open connections of clients.", ()),
    "understudy_requests_in_flight": ("Requests of clients under way, nearly.", ()),
    "understudy_tunnels_open": ("Client connections that were upgraded.", ()),
    "understudy_mirror_queue_depth": ("Copies under way.", ()),
    "understudy_certificate_expiry_timestamp_seconds": (
        "When the certificate that we show expires, since the epoch: listener, or ROUTE/VARIANT.",
        ("certificate",),
    ),
    "understudy_router_resident_memory_bytes": ("Resident memory of all routers.", ()),
    "understudy_event_loop_lag_seconds": (
        "How late an event loop was, at worst, in the last second; the worst of all routers.",
        (),
    ),
    "understudy_overload": (
        "Routers that give this up at the moment, being short of time, memory or room.",
        ("relief",),
    ),
    "understudy_observations_waiting": ("Observations in routers that are not durable yet.", ()),
}
DURATION = "understudy_request_duration_seconds"
HISTOGRAMS = {
    DURATION: "From a request's dispatch to its answer's last byte.",
    "understudy_stream_first_event_seconds": "From a request's dispatch to the first byte of its "
    "stream of events: the time to the first token.",
    "understudy_stream_events_per_second": "Events of a stream after its first, per second: "
    "tokens per second where an event is a token.",
}
"""What routers count by size."""
HISTOGRAM_LABELS = ("route", "variant", "role")
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


def render(readout: Readout) -> bytes:
    """Return the text exposition of ``readout``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(readout))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, readout: Readout) -> None:
        self._readout = readout

    def collect(self) -> Iterator[Metric]:
        routes = [route for route in self._readout.status.get("routes", ())]
        samples = list(_samples(self._readout, {route["name"] for route in routes}))
        yield from _counted(samples)
        yield _mirrored(samples)
        for name, about in HISTOGRAMS.items():
            yield _histogram(name, about, samples)
        yield from _sidecar(self._readout)
        yield from _rollouts(routes)
        yield from _checks(routes)
        unrouted = self._readout.status.get("labels") or {}
        yield from _labels(routes, unrouted, self._readout.decisions)
        yield from _tokens(routes, self._readout.status)
        yield from _ways(self._readout.ways)
        yield from _fetched(self._readout.status.get("labels_from"))


def _samples(readout: Readout, routes: set[str]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield (name, labels, value) of what routers counted for routes that are served."""
    for flat, value in readout.counts.items():
        name, *pairs = flat.split("|")
        labels = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if labels.get("route", "") in routes or "route" not in labels:
            yield name, labels, value


def _counted(samples: list[tuple[str, dict[str, str], float]]) -> Iterator[Metric]:
    make: list[tuple[Callable[..., Any], dict[str, tuple[str, tuple[str, ...]]]]] = [
        (CounterMetricFamily, COUNTERS),
        (GaugeMetricFamily, LEVELS),
    ]
    for family, known in make:
        for name, (about, wanted) in known.items():
            metric = family(name, about, labels=wanted)
            rows: dict[tuple[str, ...], float] = {}
            for found, labels, value in samples:
                if found == name and labels.keys() == set(wanted):
                    key = tuple(labels[label] for label in wanted)
                    rows[key] = rows.get(key, 0.0) + value
            for key, value in rows.items():
                metric.add_metric(key, value)
            yield metric


def _mirrored(samples: list[tuple[str, dict[str, str], float]]) -> Metric:
    """Copies are calls in the role of mirror; here they are told by whether they were answered."""
    metric = CounterMetricFamily(
        "understudy_mirror_requests_total",
        "Copies that were sent, by whether the challenger answered below 500.",
        labels=("route", "variant", "result"),
    )
    rows: dict[tuple[str, str, str], float] = {}
    for name, labels, value in samples:
        if name == "understudy_requests_total" and labels.get("role") == "mirror":
            result = "failed" if labels.get("code") in ("none", "5xx") else "answered"
            key = (labels["route"], labels.get("variant", ""), result)
            rows[key] = rows.get(key, 0.0) + value
    for row, value in rows.items():
        metric.add_metric(row, value)
    return metric


def _histogram(wanted: str, about: str, samples: list[tuple[str, dict[str, str], float]]) -> Metric:
    metric = HistogramMetricFamily(wanted, about, labels=HISTOGRAM_LABELS)
    buckets: dict[tuple[str, ...], list[tuple[str, float]]] = {}
    sums: dict[tuple[str, ...], float] = {}
    for name, labels, value in samples:
        if not name.startswith(wanted) or not labels.keys() >= set(HISTOGRAM_LABELS):
            continue
        key = tuple(labels[label] for label in HISTOGRAM_LABELS)
        if name.endswith("_bucket") and "le" in labels:
            buckets.setdefault(key, []).append((labels["le"], value))
        elif name.endswith("_sum"):
            sums[key] = value
    for key, rows in buckets.items():
        rows.sort(key=lambda row: float(row[0]))
        metric.add_metric(key, rows, sum_value=sums.get(key, 0.0))
    return metric


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
    cooling = GaugeMetricFamily(
        "understudy_cool_down_seconds",
        "How long nothing is promoted by evidence, after a rollback from production.",
        labels=("route",),
    )
    for route in routes:
        name, share = route["name"], float(route.get("share") or 0.0)
        glass.add_metric((name,), float(bool(route.get("break_glass"))))
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
    yield from (phase, weight, expected, held, glass, cooling)


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

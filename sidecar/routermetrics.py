"""What routers count, as Prometheus families. Pure.

Label values come from the routing file and from our own fixed words, never from a client: what
the routers send under another name, or for a route that is not served, is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

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


def families(counts: Mapping[str, float], routes: set[str]) -> Iterator[Metric]:
    """Yield the families of ``counts`` (by flat name, of all routers together)."""
    samples = list(_samples(counts, routes))
    yield from _counted(samples)
    yield _mirrored(samples)
    for name, about in HISTOGRAMS.items():
        yield _histogram(name, about, samples)


def _samples(
    counts: Mapping[str, float], routes: set[str]
) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield (name, labels, value) of what routers counted for routes that are served."""
    for flat, value in counts.items():
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

"""The Prometheus rules: what is recorded, and the alerts, as a rule file. Pure."""

import json
from dataclasses import dataclass

from sidecar.monitoring.alerts import ALERTS

RUNBOOK = "docs/operations.md#alerts"
_FAILED = 'code=~"5xx|none"'
_BY = "instance, route, variant, role"


@dataclass(frozen=True, slots=True)
class Recording:
    """One series that is computed ahead; named LEVEL:METRIC:OPERATION, as Prometheus asks."""

    name: str
    expression: str


def _quantile(which: float) -> str:
    rate = "rate(understudy_request_duration_seconds_bucket[5m])"
    return f"histogram_quantile({which}, sum by ({_BY}, le) ({rate}))"


RECORDINGS = (
    Recording(
        "variant:understudy_requests:rate5m",
        f"sum by ({_BY}) (rate(understudy_requests_total[5m]))",
    ),
    Recording(
        "variant:understudy_request_errors:ratio_rate5m",
        f"(sum by ({_BY}) (rate(understudy_requests_total{{{_FAILED}}}[5m])) or "
        "0 * variant:understudy_requests:rate5m) / (variant:understudy_requests:rate5m > 0)",
    ),
    Recording("variant:understudy_request_duration_seconds:p50_5m", _quantile(0.5)),
    Recording("variant:understudy_request_duration_seconds:p99_5m", _quantile(0.99)),
    Recording(
        "route:understudy_mirror_dropped:ratio_rate5m",
        "sum by (instance, route) (rate(understudy_mirror_dropped_total"
        '{reason!="not_mirrorable"}[5m])) / (sum by (instance, route) '
        '(rate(understudy_mirror_dropped_total{reason!="not_mirrorable"}[5m])) + '
        "(sum by (instance, route) (rate(understudy_mirror_requests_total[5m])) or 0 * sum by "
        "(instance, route) (rate(understudy_mirror_dropped_total[5m]))) > 0)",
    ),
)


def expressions() -> list[str]:
    """Return every expression of the rules."""
    return [one.expression for one in RECORDINGS] + [one.expression for one in ALERTS]


def render() -> str:
    """Return the rule file. Its strings are JSON's, which are YAML's too."""
    lines = [
        "# Written by `make deploy` from sidecar/monitoring: do not edit.",
        "groups:",
        "  - name: understudy-recordings",
        "    rules:",
    ]
    for recording in RECORDINGS:
        lines.append(f"      - record: {recording.name}")
        lines.append(f"        expr: {_text(recording.expression)}")
    lines += ["  - name: understudy-alerts", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {_text(alert.expression)}",
            f"        for: {alert.lasts}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_text(alert.summary)}",
            f"          description: {_text(alert.todo)}",
            f"          runbook: {_text(RUNBOOK)}",
        ]
    return "\n".join(lines) + "\n"


def _text(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)

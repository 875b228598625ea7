"""The Grafana dashboard: one row for each question that is asked about a route. Pure."""

import json
from dataclasses import dataclass
from typing import Any

WIDTH = 24
"""Columns of Grafana's grid."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_R = 'route=~"$route"'
_RI = f'{_R}, instance=~"$instance"'
_I = 'instance=~"$instance"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture; ``queries`` are pairs of an expression and the legend of its lines."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    about: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


ROWS = (
    Row(
        "Where the rollout stands",
        (
            Panel(
                "Phase",
                ((f"understudy_rollout_phase{{{_RI}}} == 1", "{{route}}: {{phase}}"),),
                kind="stat",
            ),
            Panel(
                "Share of the units, by variant",
                (
                    (
                        f'understudy_variant_weight_ratio{{{_RI}, kind="serve"}}',
                        "{{route}}: {{variant}}",
                    ),
                ),
                unit="percentunit",
            ),
            Panel(
                "Decision expected in",
                ((f"understudy_decision_expected_seconds{{{_RI}}}", "{{route}}"),),
                unit="s",
                kind="stat",
                about="Absent while it cannot be known. `understudy explain ROUTE` says why.",
            ),
            Panel(
                "Moves of traffic",
                (
                    (
                        f"increase(understudy_decisions_total{{{_RI}}}[$__rate_interval])",
                        "{{route}}: {{action}}",
                    ),
                ),
            ),
            Panel(
                "Held by a person, or around the gates",
                (
                    (f"understudy_rollout_held{{{_RI}}} == 1", "{{route}}: held"),
                    (f"understudy_break_glass_active{{{_RI}}} == 1", "{{route}}: break-glass"),
                ),
                kind="stat",
            ),
            Panel(
                "Age of the newest evidence",
                (
                    (
                        f"time() - understudy_last_observation_timestamp_seconds{{{_RI}}}",
                        "{{route}}",
                    ),
                ),
                unit="s",
            ),
        ),
    ),
    Row(
        "Evidence",
        (
            Panel(
                "Log of the odds against each null",
                ((f"understudy_check_log_e{{{_RI}}}", "{{route}}: {{check}}"),),
                about="A check with alpha 5 % passes at 3.0, the natural logarithm of 20.",
            ),
            Panel(
                "Effects, challenger minus champion",
                (
                    (f"understudy_check_effect{{{_RI}}}", "{{route}}: {{check}}"),
                    (f"understudy_check_effect_low{{{_RI}}}", "{{route}}: {{check}} low"),
                    (f"understudy_check_effect_high{{{_RI}}}", "{{route}}: {{check}} high"),
                ),
                about="Positive is better. The ends hold at all times at once.",
            ),
            Panel(
                "State of each check",
                ((f"understudy_check_state{{{_RI}}} == 1", "{{route}}: {{check}} {{state}}"),),
                kind="stat",
            ),
        ),
    ),
    Row(
        "Traffic, both variants side by side",
        (
            Panel(
                "Answers per second",
                (
                    (
                        f"variant:understudy_requests:rate5m{{{_RI}}}",
                        "{{route}}: {{variant}} as {{role}}",
                    ),
                ),
                unit="reqps",
            ),
            Panel(
                "Failed",
                (
                    (
                        f"variant:understudy_request_errors:ratio_rate5m{{{_RI}}}",
                        "{{route}}: {{variant}} as {{role}}",
                    ),
                ),
                unit="percentunit",
            ),
            Panel(
                "Time to the last byte",
                (
                    (
                        f"variant:understudy_request_duration_seconds:p50_5m{{{_RI}}}",
                        "{{route}}: {{variant}} as {{role}}, half",
                    ),
                    (
                        f"variant:understudy_request_duration_seconds:p99_5m{{{_RI}}}",
                        "{{route}}: {{variant}} as {{role}}, 99 %",
                    ),
                ),
                unit="s",
            ),
            Panel(
                "Copies not sent or not measured",
                (
                    (
                        "sum by (route, reason) (rate(understudy_mirror_dropped_total"
                        f"{{{_RI}}}[$__rate_interval]))",
                        "{{route}}: {{reason}}",
                    ),
                ),
                unit="reqps",
            ),
            Panel(
                "Answered by the champion for the challenger",
                (
                    (
                        "sum by (route, reason) (rate(understudy_fallbacks_total"
                        f"{{{_RI}}}[$__rate_interval]))",
                        "{{route}}: {{reason}}",
                    ),
                ),
                unit="reqps",
            ),
            Panel(
                "Ejections",
                (
                    (
                        f"increase(understudy_ejections_total{{{_RI}}}[$__rate_interval])",
                        "{{route}}: {{variant}}",
                    ),
                ),
            ),
        ),
    ),
    Row(
        "Labels",
        (
            Panel(
                "Labels by what became of them",
                (
                    (
                        f"rate(understudy_labels_total{{{_RI}}}[$__rate_interval]) > 0",
                        "{{route}}: {{result}}",
                    ),
                ),
                unit="cps",
                width=12,
            ),
            Panel(
                "Observations that wait for a label",
                ((f"understudy_labels_waiting{{{_RI}}}", "{{route}}"),),
                width=12,
            ),
        ),
    ),
    Row(
        "The sidecar itself",
        (
            Panel(
                "Routers, and what they give up",
                (
                    (f"understudy_routers{{{_I}}}", "routers"),
                    (f"understudy_overload{{{_I}}} > 0", "without {{relief}}"),
                ),
                width=6,
            ),
            Panel(
                "Memory of the routers",
                ((f"understudy_router_resident_memory_bytes{{{_I}}}", "{{instance}}"),),
                unit="bytes",
                width=6,
            ),
            Panel(
                "Store",
                (
                    (f"understudy_store_bytes{{{_I}}}", "used"),
                    (f"understudy_store_limit_bytes{{{_I}}}", "limit"),
                    (f"understudy_disk_free_bytes{{{_I}}}", "free on the disk"),
                ),
                unit="bytes",
                width=6,
            ),
            Panel(
                "Sound: routing file, store, audit",
                (
                    (f"understudy_config_last_reload_successful{{{_I}}}", "routing file taken"),
                    (f"understudy_store_writable{{{_I}}}", "store writable"),
                    (f"understudy_audit_verified{{{_I}}}", "audit whole"),
                ),
                kind="stat",
                width=6,
            ),
        ),
    ),
)


def expressions() -> list[str]:
    """Return every expression of the dashboard."""
    return [query for row in ROWS for panel in row.panels for query, _ in panel.queries]


def render() -> str:
    """Return the dashboard as JSON, for import or provisioning."""
    return json.dumps(_dashboard(), indent=2) + "\n"


def _dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for row in ROWS:
        panels.append(
            _placed(len(panels) + 1, 0, y, WIDTH, 1) | {"type": "row"} | _title(row.title)
        )
        y, x = y + 1, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + 8
            panels.append(_placed(len(panels) + 1, x, y, panel.width, 8) | _panel(panel))
            x += panel.width
        y += 8
    return {
        "uid": "understudy",
        "title": "Understudy",
        "description": "Written by `make deploy` from sidecar/monitoring: do not edit.",
        "tags": ["understudy"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}
    asked = {"type": "query", "datasource": SOURCE, "refresh": 2, "includeAll": True, "multi": True}
    names = {"instance": "understudy_build_info", "route": "understudy_rollout_phase"}
    return [
        source,
        *(
            asked
            | {"name": name, "label": name.capitalize(), "allValue": ".*"}
            | {"query": f"label_values({metric}, {name})"}
            for name, metric in names.items()
        ),
    ]


def _placed(number: int, x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _title(title: str) -> dict[str, Any]:
    return {"title": title, "collapsed": False, "panels": []}


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for n, (query, legend) in enumerate(panel.queries)
    ]
    found: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
    }
    if panel.kind == "stat":
        found["options"] = {"textMode": "name", "colorMode": "value"}
        if panel.unit != "short":
            found["options"]["textMode"] = "value_and_name"
    return found

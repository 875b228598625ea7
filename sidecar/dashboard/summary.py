"""What the list of routes shows of each: a line made of its status. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

BAD_FIRST = ("tripped", "unknown", "undecided", "passed")
OVERVIEW = (
    *("version", "at", "table_version", "config_digest", "config_error", "store_error"),
    *("unrecorded", "stale_s", "labels_from", "store"),
)


def row_of(route: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of one route."""
    checks = list(route.get("checks") or ())
    states = {check["state"] for check in checks if check.get("role") != "proxy"}
    return {
        "name": route["name"],
        "champion": route.get("champion"),
        "challenger": route.get("challenger"),
        "phase": route.get("phase"),
        "step": route.get("step") or 0,
        "steps": route.get("steps") or 0,
        "share": route.get("share") or 0.0,
        "held": bool(route.get("held_by") or route.get("hold_reason")),
        "tripped": [check["check"] for check in checks if check["state"] == "tripped"],
        "worst": next((state for state in BAD_FIRST if state in states), None),
        "passed": sum(check["state"] == "passed" for check in _deciding(checks)),
        "checks": sum(1 for _ in _deciding(checks)),
        "expected_seconds": route.get("expected_seconds"),
    }


def _deciding(checks: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    return (check for check in checks if check.get("role") in ("objective", "guardrail"))


def overview_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is true of the sidecar as a whole."""
    found = {key: status.get(key) for key in OVERVIEW}
    return found | {"routers": len(status.get("routers") or ())}

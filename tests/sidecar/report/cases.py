"""A promotion as status and audit tell it, with everything hostile in its texts on request."""

from typing import Any

READING: dict[str, Any] = {
    "check": "accuracy",
    "role": "objective",
    "state": "passed",
    "because": "odds 31:1",
    "alpha": 0.05,
    "odds": 31.0,
    "progress": 1.0,
    "effect": 0.021,
    "low": 0.004,
    "high": 0.038,
    "n": 2400,
    "n_expected": 2300,
}
PROXY = READING | {"check": "agrees", "role": "proxy", "effect": None, "low": None, "high": None}
VERIFIED = {"verified": True, "records": 4, "head": "h4", "because": "4 records hold together"}


def record(sequence: int, action: str, old: str, new: str, share: float, **more: Any) -> Any:
    found = {
        "sequence": sequence,
        "at": f"2026-11-2{sequence}T07:00:00.000000Z",
        "who": "controller",
        "route": "digits",
        "action": action,
        "because": "all 3 checks passed",
        "config_digest": "cd" * 32,
        "challenger": "digits-2",
        "phase_from": old,
        "phase_to": new,
        "share_from": 0.0,
        "share_to": share,
        "table_from": sequence,
        "table_to": sequence + 1,
        "evidence": {},
        "artifact": None,
        "hash": f"h{sequence}",
    }
    return found | more


RECORDS = [
    record(1, "start", "queued", "functional", 0.0),
    record(2, "advance", "functional", "shadow", 0.0, artifact="sha256:ef"),
    record(3, "advance", "shadow", "canary", 0.05, evidence={"readings": [READING]}),
    record(4, "promote", "canary", "watch", 0.99, evidence={"readings": [READING, PROXY]}),
]
ROUTE: dict[str, Any] = {
    "name": "digits",
    "champion": "digits-1",
    "challenger": "digits-2",
    "phase": "watch",
    "share": 0.99,
    "because": "proven",
    "since": "2026-11-24T07:00:00Z",
    "experiment": "digits:1",
    "missing": [],
    "checks": [READING, PROXY],
}
STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "at": "2026-11-25T07:00:00Z",
    "table_version": 5,
    "config_digest": "ab" * 32,
    "routes": [ROUTE],
}


def poisoned(value: Any, poison: str) -> Any:
    """Return ``value`` with ``poison`` behind every text that is no name, number or date."""
    if isinstance(value, dict):
        kept = ("name", "route", "challenger", "at", "since", "phase", "phase_to", "role", "state")
        return {k: v if k in kept else poisoned(v, poison) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(one, poison) for one in value]
    return value + poison if isinstance(value, str) else value

"""What a verdict rested on, written into its record so that it can be reached again. Pure.

A record holds the readings as numbers for people; the basis beside them is what ``judge`` was given
besides: where the rollout stood, the policy that it is judged by, and the digest of the evaluator's
state, from which the readings themselves can be computed anew.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from controller.audit import Entry
from controller.policy import RouteIntent
from controller.rollout import Event, Rollout
from controller.store import RouteState
from evaluator.evidence import CheckState, Evidence, Reading, Role

T = TypeVar("T")
KEY = "basis"
"""Where it is in a record's evidence."""
EXACT = ("log_e", "log_e_harm", "log_e_futile", "effect", "low", "high")
"""Numbers of a reading that may be infinite, or none: JSON has neither, so these are kept aside."""
FIELDS = ("check", "kind", "because", *EXACT, "alpha", "n", "n_expected", "needs_labels")


class NoBasis(ValueError):
    """The record does not say what its verdict rested on; the message says why."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What ``judge`` was given, and what was made of it."""

    event: Event
    rollout: Rollout
    policy: RouteIntent
    evidence: Evidence
    cooling_s: float
    """What was left of the time in which nothing is promoted after a rollback."""
    snapshot: str
    """SHA-256 of the evaluator's state, hex; empty if it was not kept."""


def with_basis(
    entry: Entry,
    before: RouteState,
    event: Event,
    evidence: Evidence | None,
    snapshot: bytes | None,
) -> Entry:
    """Return ``entry`` with what the move ``event`` of ``before`` rested on; as it is without
    evidence, which then decided nothing."""
    if evidence is None or before.rollout is None or before.policy is None:
        return entry
    basis = {
        "event": event.value,
        "experiment": evidence.experiment,
        "last_observation_s": evidence.last_observation_s,
        "rollout": msgspec.to_builtins(before.rollout),
        "policy": msgspec.to_builtins(before.policy),
        "cooling_s": before.cooling_s,
        "exact": _exact(evidence),
        "snapshot": "" if snapshot is None else digest_of(snapshot),
    }
    return replace(entry, evidence=entry.evidence | {KEY: basis})


def basis_of(record: Mapping[str, Any]) -> Basis:
    """Return what the verdict of an audit record rested on; NoBasis if it does not say."""
    said = (record.get("evidence") or {}).get(KEY)
    if said is None:
        raise NoBasis("it is no verdict of the evidence, or older than records that keep its basis")
    try:
        return Basis(
            Event(said["event"]),
            _as(Rollout, said["rollout"]),
            _as(RouteIntent, said["policy"]),
            _evidence(record["evidence"], said),
            said["cooling_s"],
            said["snapshot"],
        )
    except (KeyError, TypeError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise NoBasis(f"its basis is of another version, or no basis: {error}") from error


def digest_of(snapshot: bytes) -> str:
    """Return what a record keeps of the evaluator's state."""
    return hashlib.sha256(snapshot).hexdigest()


def _exact(evidence: Evidence) -> list[dict[str, str]]:
    """Return for each reading the numbers that JSON does not have, as texts."""
    return [
        {
            name: str(number)
            for name in EXACT
            if (number := getattr(reading, name)) is not None and not math.isfinite(number)
        }
        for reading in evidence.readings
    ]


def _evidence(told: Mapping[str, Any], said: Mapping[str, Any]) -> Evidence:
    readings = tuple(
        _reading(row, exact) for row, exact in zip(told["readings"], said["exact"], strict=True)
    )
    return Evidence(
        said["experiment"],
        told["at_s"],
        readings,
        dict(told["counts"]),
        said["last_observation_s"],
    )


def _reading(row: Mapping[str, Any], exact: Mapping[str, str]) -> Reading:
    fields = {name: row[name] for name in FIELDS}
    fields |= {name: float(text) for name, text in exact.items()}
    return Reading(role=Role(row["role"]), state=CheckState(row["state"]), **fields)


def _as(kind: type[T], value: object) -> T:
    return msgspec.json.decode(json.dumps(value), type=kind)

"""One moment of one route as the history keeps it, and many of them as plots want them. Pure."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from sidecar.dashboard.traffic import Totals, Traffic, between

MAX_POINTS = 360
"""Of one plot: as many as a screen shows."""
WINDOW = 6
"""Samples that a point of a traffic plot is taken over: a minute in the finest ring, as the live
figures are."""
MAX_CHECKS = 40
FIELDS = ("effect", "low", "high", "log_e", "log_e_harm")


class CheckSample(Struct, array_like=True):
    """One check at one moment; as in a status."""

    effect: float | None
    low: float | None
    high: float | None
    log_e: float | None
    log_e_harm: float | None
    n: int


class Sample(Struct, array_like=True):
    """One moment of one route."""

    experiment: int
    """A short hash of the experiment's name: where it changes, a line breaks."""
    phase: str
    share: float
    checks: dict[str, CheckSample]
    traffic: Traffic


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Sample)


def encode(route: Mapping[str, Any], traffic: Mapping[str, Totals]) -> bytes:
    """Return what is kept of ``route`` (as in a status) and the totals of its variants."""
    checks = {
        str(check["check"]): CheckSample(
            **{field: _short(check.get(field)) for field in FIELDS}, n=int(check.get("n") or 0)
        )
        for check in list(route.get("checks") or ())[:MAX_CHECKS]
    }
    variants = {route.get("champion"), route.get("challenger")}
    sample = Sample(
        zlib.crc32(str(route.get("experiment") or "").encode()),
        str(route.get("phase") or ""),
        float(route.get("share") or 0.0),
        checks,
        {name: totals for name, totals in traffic.items() if name in variants},
    )
    return _ENCODER.encode(sample)


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.5g}")


def columns(rows: Sequence[tuple[float, bytes]]) -> dict[str, Any]:
    """Return samples as columns of equal length, JSON-ready, at most MAX_POINTS of them.

    What is not known at a moment is null: a check that did not read then, and all of them where
    another experiment begins. Traffic is what was counted in the WINDOW samples before.
    """
    rows = _thinned(rows)
    samples = [(at_s, _DECODER.decode(content)) for at_s, content in rows]
    at = [round(at_s, 3) for at_s, _ in samples]
    ones = [sample for _, sample in samples]
    newest = ones[-1].experiment if ones else 0
    names = dict.fromkeys(name for one in ones for name in one.checks)
    return {
        "at": at,
        "phase": [one.phase for one in ones],
        "share": [one.share for one in ones],
        "checks": {name: _check(name, ones, newest) for name in names},
        "variants": _variants(samples),
    }


def _thinned(rows: Sequence[tuple[float, bytes]]) -> Sequence[tuple[float, bytes]]:
    """Every k-th from the end: totals add up, so what lies between is not lost."""
    step = max(1, -(-len(rows) // MAX_POINTS))
    return rows[(len(rows) - 1) % step :: step]


def _check(name: str, ones: Sequence[Sample], newest: int) -> dict[str, list[Any]]:
    """Return one check's columns, of the newest experiment only: others had other challengers."""
    found = [one.checks.get(name) if one.experiment == newest else None for one in ones]
    fields = (*FIELDS, "n")
    return {
        field: [getattr(x, field) if x is not None else None for x in found] for field in fields
    }


def _variants(samples: Sequence[tuple[float, Sample]]) -> dict[str, dict[str, list[Any]]]:
    names = dict.fromkeys(name for _, one in samples for name in one.traffic)
    fields = ("per_s", "error_share", "p50_s", "p99_s")
    found: dict[str, dict[str, list[Any]]] = {}
    for name in names:
        rows = [_window(name, samples, at) for at in range(len(samples))]
        found[name] = {field: [row[field] if row else None for row in rows] for field in fields}
    return found


def _window(name: str, samples: Sequence[tuple[float, Sample]], at: int) -> dict[str, Any] | None:
    """Return what was counted in the WINDOW samples before; in the last alone where counting began
    anew in between."""
    for begin in (max(0, at - WINDOW), at - 1):
        if 0 <= begin < at and (found := _step(name, samples[begin], samples[at])) is not None:
            return found
    return None


def _step(
    name: str, before: tuple[float, Sample], now: tuple[float, Sample]
) -> dict[str, Any] | None:
    old, new = before[1].traffic.get(name), now[1].traffic.get(name)
    if old is None or new is None:
        return None
    return between(old, new, now[0] - before[0])

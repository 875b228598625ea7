"""Every metric that /metrics may hold, with kind, labels and meaning, read from itself. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import Metric

from sidecar.metrics import Readout, families

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
    "gauge": ("",),
}
"""What is behind a family's name in its samples."""
EVERYTHING: dict[str, Any] = {
    "store": {"bytes": 0, "limit_bytes": 0, "log_bytes": 0},
    "recording": {"bytes": 0, "dropped": 0},
    "labels_from": {"connected": True},
    "audit_head": {"sequence": 0, "hash": ""},
}
"""A status in which no family is left out."""


@dataclass(frozen=True, slots=True)
class Known:
    """One family."""

    name: str
    """As a query names it, but for the suffix of histograms."""
    kind: str
    labels: tuple[str, ...]
    about: str

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples."""
        if self.kind != "histogram":
            return (self.name,)
        return tuple(f"{self.name}{suffix}" for suffix in SUFFIXES["histogram"])


def catalogue() -> tuple[Known, ...]:
    """Return every family, by name."""
    readout = Readout({}, EVERYTHING, disk=(0, 0), verified=(True, 0.0), spans={})
    return tuple(sorted((_known(one) for one in families(readout)), key=lambda one: one.name))


def _known(family: Metric) -> Known:
    suffix = SUFFIXES[family.type][0] if family.type in ("counter", "info") else ""
    labels = tuple(getattr(family, "_labelnames", ()))
    if family.type == "info":
        labels = tuple(key for sample in family.samples for key in sample.labels)
    return Known(f"{family.name}{suffix}", family.type, labels, family.documentation)

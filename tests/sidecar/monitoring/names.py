"""What rules and dashboard may name."""

from sidecar.monitoring.catalogue import catalogue
from sidecar.monitoring.rules import RECORDINGS


def metrics() -> set[str]:
    """Return the names of all samples, and of what is recorded."""
    return {name for one in catalogue() for name in one.samples} | {one.name for one in RECORDINGS}


def labels() -> set[str]:
    """Return the labels of all families."""
    return {label for one in catalogue() for label in one.labels}

"""What a gate found: the same shape for all of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One thing that was asked."""

    name: str
    passed: bool
    because: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready: what the audit record keeps of it."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """How the challenger did. ``challenger`` says whom it is about: a late report is ignored."""

    challenger: str
    passed: bool
    because: str
    checks: tuple[GateCheck, ...] = ()
    """In the order in which they were made."""
    is_transient: bool = False
    """Not passed because something could not be asked or read: asking again may find otherwise.
    What is not transient ends the rollout, except in the functional stage, which always asks
    again: a model server may be loading."""
    skips_shadow: bool = False
    """Passed by so much that no shadow is needed, and the file allows for that."""

    def __post_init__(self) -> None:
        if self.passed and not all(check.passed for check in self.checks):
            raise ValueError(f"passed, with a check that failed: {self.checks!r}")

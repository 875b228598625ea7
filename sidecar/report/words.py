"""Readings as rows of a table, the same in HTML and Markdown. Pure."""

from collections.abc import Mapping
from typing import Any

CHECK_HEADS = (
    *("check", "role", "state", "effect", "interval", "odds", "needs", "observations", "because"),
)
READING_HEADS = CHECK_HEADS[:-2]


def check_row(check: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one present reading, with its sentence."""
    n = check.get("n")
    seen = "-" if n is None else f"{n:,}"
    return (*reading_row(check), seen, str(check.get("because", "")))


def reading_row(check: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one reading of a record."""
    is_statistic = check.get("role") in ("objective", "guardrail")
    alpha = check.get("alpha")
    return (
        str(check.get("check")),
        str(check.get("role")),
        str(check.get("state")),
        number(check.get("effect")),
        f"{number(check.get('low'))} .. {number(check.get('high'))}",
        f"{number(check.get('odds'))}:1" if is_statistic else "-",
        f"{1 / alpha:.3g}:1" if is_statistic and alpha else "-",
    )


def number(value: Any) -> str:
    """Write a number with its sign; ``?`` for what is not known.

    >>> number(0.0123), number(None)
    ('0.0123', '?')
    """
    return f"{value:.4g}" if isinstance(value, (int, float)) else "?"

"""Readings as rows of a table, the same in HTML and Markdown. Pure."""

from collections.abc import Mapping
from typing import Any

CHECK_HEADS = (*("check", "role", "state", "effect", "interval", "odds", "needs", "observations"),)
READING_HEADS = CHECK_HEADS[:-1]


def check_row(check: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one present reading."""
    n = check.get("n")
    return (*reading_row(check), "-" if n is None else f"{n:,}")


def sentence(check: Mapping[str, Any]) -> str:
    """Return what a reading says in words."""
    return f"{check.get('check')}: {check.get('because', '')}"


def reading_row(check: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one reading of a record."""
    is_statistic = check.get("role") in ("objective", "guardrail")
    alpha = check.get("alpha")
    return (
        str(check.get("check")),
        str(check.get("role")),
        str(check.get("state")),
        number(check.get("effect")),
        _interval(check),
        f"{number(check.get('odds'))}:1" if is_statistic else "-",
        f"{1 / alpha:.3g}:1" if is_statistic and alpha else "-",
    )


def _interval(check: Mapping[str, Any]) -> str:
    low, high = check.get("low"), check.get("high")
    return "-" if low is None and high is None else f"{number(low)} .. {number(high)}"


def number(value: Any) -> str:
    """Write a number in three digits; a dash for what is not known.

    >>> number(0.0123), number(None)
    ('0.0123', '-')
    """
    return f"{value:.3g}" if isinstance(value, (int, float)) else "-"

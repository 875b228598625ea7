"""How bad a known vulnerability is, whichever way its record says so. Pure."""

import enum
from collections.abc import Iterable


class Severity(enum.IntEnum):
    """The five words of CVSS v3.1, section 5, in their order."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


WORDS = {
    "none": Severity.NONE,
    "info": Severity.NONE,
    "informational": Severity.NONE,
    "low": Severity.LOW,
    "note": Severity.LOW,  # SARIF 2.1.0, 3.27.10
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,  # GitHub's word in OSV records
    "warning": Severity.MEDIUM,
    "high": Severity.HIGH,
    "error": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
VECTOR_CHARS = 512
"""A vector with every optional metric of CVSS v4 has fewer than 300."""


def of_word(word: object) -> Severity | None:
    """Return what a word says; None for a word that nobody uses for it."""
    return WORDS.get(word.strip().lower()) if isinstance(word, str) else None


def of_score(score: float) -> Severity | None:
    """Return the word for a score (CVSS v3.1, table 14); None when it is none of 0 to 10."""
    if not 0.0 <= score <= 10.0:
        return None
    for limit, severity in (
        (9.0, Severity.CRITICAL),
        (7.0, Severity.HIGH),
        (4.0, Severity.MEDIUM),
        (0.1, Severity.LOW),
    ):
        if score >= limit:
            return severity
    return Severity.NONE


def of_vector(vector: object) -> Severity | None:
    """Return what a CVSS vector (v2, v3 or v4) or a plain score comes to; None if it is neither."""
    if not isinstance(vector, str) or len(vector) > VECTOR_CHARS:
        return None
    try:
        return of_score(float(vector))
    except ValueError:
        pass
    from cvss import CVSS2, CVSS3, CVSS4  # of the extra `scan`
    from cvss.exceptions import CVSSError

    kind = CVSS4 if vector.startswith("CVSS:4") else CVSS3 if vector.startswith("CVSS:3") else CVSS2
    try:
        return of_score(float(kind(vector).base_score))
    except (CVSSError, ArithmeticError, KeyError, ValueError):
        return None


def is_over(severity: Severity | None, limit: Severity) -> bool | None:
    """Return whether a severity is at ``limit`` or above; None when that cannot be told.

    Where everything from low on counts, what has no severity counts as well.
    """
    if severity is None:
        return True if limit <= Severity.LOW else None
    return severity >= limit


def worst(severities: Iterable[Severity | None]) -> Severity | None:
    """Return the worst that is known; None when none is."""
    known = [severity for severity in severities if severity is not None]
    return max(known) if known else None

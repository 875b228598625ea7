"""Places where a test may stop the process dead, as a power cut would.

``UNDERSTUDY_CRASH_AT=promote.in_transaction`` ends the process at the first passage of that place,
``...@3`` at the third, with no clean-up of any kind. Unset, a passage costs one comparison.
Places: ``ACTION.before_commit``, ``ACTION.in_transaction``, ``ACTION.after_commit``,
``ACTION.after_publish`` for start, advance, promote, finish, adopt, reload, hold, resume,
approve, withdraw, renew and mend;
``rollback.before_publish``, ``rollback.after_publish``, ``rollback.in_transaction``,
``rollback.after_commit``; ``ingest``, ``label`` and ``mature`` with ``.in_transaction`` and
``.after_commit``.
"""

import os

VARIABLE = "UNDERSTUDY_CRASH_AT"
EXIT_CODE = 86
"""Chosen: no shell or signal uses it, so a test can tell this end from another."""

_place = ""
_left = 0


def arm(setting: str) -> None:
    """Set where this process ends: ``PLACE`` or ``PLACE@N``; nowhere if it is empty."""
    global _place, _left
    _place, _, count = setting.partition("@")
    _left = int(count or 1)


def pass_by(place: str) -> None:
    """End the process if ``place`` is where it is to end."""
    global _left
    if place != _place:
        return
    _left -= 1
    if _left <= 0:
        os._exit(EXIT_CODE)


arm(os.environ.get(VARIABLE, ""))

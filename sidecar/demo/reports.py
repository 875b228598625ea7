"""What the demo's processes tell the one that started them: one JSON object per line on stderr.

A line that is not a report is a log line (a traceback, a warning); it is kept for the post-mortem.
"""

import json
import sys


def report(**fields: object) -> None:
    """Write one report. Never blocks for long: the parent reads all the time."""
    sys.stderr.write(json.dumps(fields) + "\n")
    sys.stderr.flush()


def read_report(line: bytes) -> dict[str, object] | None:
    """Return the report on ``line``, or None if the line is a log line."""
    if not line.startswith(b"{"):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    # A JSON log line of the sidecar is an object too; only a report has this key.
    return fields if isinstance(fields, dict) and "report" in fields else None

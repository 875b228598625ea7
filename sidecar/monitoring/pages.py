"""The metrics' and alerts' parts of the documentation. Pure."""

from sidecar.monitoring.alerts import ALERTS
from sidecar.monitoring.catalogue import catalogue
from sidecar.monitoring.rules import RECORDINGS

BEGIN, END = "<!-- alerts: written by `make deploy` -->", "<!-- alerts: end -->"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Written by `make deploy` from the metrics themselves. `GET /metrics` of the admin port "
        "has them; label values come from the routing file and from fixed words only, so the "
        "number of series is bounded by the file.",
        "",
        "| metric | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for one in catalogue():
        labels = ", ".join(f"`{label}`" for label in one.labels) or "-"
        about = one.about.replace("|", "\\|")
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {about} |")
    lines += ["", "## Recorded", "", "`deploy/prometheus/rules.yaml` computes these ahead.", ""]
    lines += ["| series | is |", "| --- | --- |"]
    lines += [
        f"| `{one.name}` | `{one.expression.replace('|', chr(92) + '|')}` |" for one in RECORDINGS
    ]
    return "\n".join(lines) + "\n"


def with_alerts(page: str) -> str:
    """Return docs/operations.md with its table of alerts; ValueError without its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must hold {BEGIN} and {END}")
    rows = ["| alert | severity | what to do |", "| --- | --- | --- |"]
    rows += [f"| `{one.name}` | {one.severity} | {one.todo} |" for one in ALERTS]
    return before + BEGIN + "\n\n" + "\n".join(rows) + "\n\n" + END + after

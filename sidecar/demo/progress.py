"""What the demo shows while it runs: one frozen record, as words. Pure."""

from dataclasses import dataclass

from sidecar.demo.scenario import Json

PHASES = {
    "waiting": "waiting",
    "queued": "waiting",
    "functional": "functional check",
    "performance": "golden dataset",
    "security": "security check",
    "shadow": "shadow",
    "canary": "canary",
    "watch": "production, watched",
    "promoted": "production",
    "rolled_back": "rolled back",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """The demo at one moment."""

    elapsed_s: float
    """Since the first request."""
    stage: str
    share: float
    """Of the units that the challenger answers, 0..1."""
    requests: int
    failed: int
    labels: int
    """Accepted ones."""
    odds: float | None
    """Against "the challenger is not better"; None before any evidence."""
    odds_needed: float | None
    expected_s: float | None
    """Expected time to the decision; None if unknown."""
    missing: str = ""
    """The first thing that the rollout waits for."""


def progress_of(route: Json, phase: str, elapsed_s: float, requests: int, failed: int) -> Progress:
    """Put together what the admin port and the client say."""
    objective = _objective(route)
    missing = route.get("missing") or [""]
    return Progress(
        elapsed_s=elapsed_s,
        stage=_stage(route, phase),
        share=float(route.get("share") or 0.0),
        requests=requests,
        failed=failed,
        labels=int((route.get("labels") or {}).get("accepted", 0)),
        odds=objective.get("odds"),
        odds_needed=1.0 / objective["alpha"] if objective.get("alpha") else None,
        expected_s=route.get("expected_seconds"),
        missing=str(missing[0]),
    )


def cells(progress: Progress) -> list[tuple[str, str]]:
    """Return what to show, as pairs of a title and its words."""
    return [
        ("stage", progress.stage),
        ("share", f"{progress.share:.0%}"),
        ("requests", f"{progress.requests:,} ({progress.failed} failed)"),
        ("labels", f"{progress.labels:,}"),
        ('odds against "not better"', _odds(progress)),
        ("decision in about", _expected(progress.expected_s)),
    ]


def line(progress: Progress) -> str:
    """Return one line for a log file."""
    words = ", ".join(f"{title} {words}" for title, words in cells(progress))
    waits = f", waiting for {progress.missing}" if progress.missing else ""
    return f"{progress.elapsed_s:5.1f} s  {words}{waits}"


def _objective(route: Json) -> Json:
    for check in route.get("checks") or []:
        if check["role"] == "objective":
            found: Json = check
            return found
    return {}


def _stage(route: Json, phase: str) -> str:
    words = PHASES.get(phase, phase)
    if phase == "canary" and route.get("steps"):
        return f"{words} {int(route['step']) + 1} of {route['steps']}"
    return words


def _odds(progress: Progress) -> str:
    if progress.odds is None:
        return "-"
    if progress.odds_needed is None:
        return odds_words(progress.odds)
    return f"{odds_words(progress.odds)} (needed {odds_words(progress.odds_needed)})"


def odds_words(odds: float) -> str:
    """Say odds as people do: ``20:1``, and ``1:5`` when they are against the challenger."""
    if odds >= 1.0:
        return f"{odds:,.1f}:1" if odds < 10.0 else f"{min(odds, 1e9):,.0f}:1"
    return f"1:{min(1.0 / odds, 1e9):,.1f}" if odds > 0.0 else "1:1,000,000,000"


def _expected(expected_s: float | None) -> str:
    return "-" if expected_s is None else f"{expected_s:,.0f} s"

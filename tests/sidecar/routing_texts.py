"""Routing files as text for the tests, and what is said about them."""

from dataclasses import replace
from pathlib import Path

from sidecar.problem import ConfigError, Problem
from sidecar.routefile import Loaded, parse_routefile

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))
SHIPPED = [*EXAMPLES, ROOT / "config" / "routing.yaml"]

# A sound file with everything that the cross checks look at; tests replace a part of it.
WHOLE = """\
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:8081}
routes:
  - name: fraud
    match: {path: "/v1/models/fraud:predict"}
    prediction: "predictions[0]"
    champion: {name: fraud-6, url: "http://127.0.0.1:9001"}
    challengers:
      - {name: fraud-7, url: "http://127.0.0.1:9002"}
    metrics:
      accuracy: {kind: correct, role: objective, detect: 1%}
      errors: {kind: error, role: guardrail, margin: 0.5%}
      latency: {kind: latency, role: guardrail, quantile: 0.99, margin: 10%}
      agrees: {kind: agreement, role: proxy, at_least: 90%}
    labels: {window: 14d, maturity: 3d}
    limits: {capture: 64KiB}
    rollout:
      alpha: 5%
      stages:
        - functional: {}
        - shadow: {share: 100%, at_most: 7d}
        - canary: {shares: [1%, 5%, 25%, 50%], at_most: 14d}
        - production: {watch: 24h, holdback: 1%}
...
"""


def with_part(old: str, new: str) -> str:
    """Return WHOLE with one part replaced; the part must be there exactly once."""
    assert WHOLE.count(old) == 1, f"{old!r} is there {WHOLE.count(old)} times"
    return WHOLE.replace(old, new)


def load(text: str, folder: Path = ROOT) -> Loaded:
    """Load ``text`` as if it were the file r.yaml in ``folder``."""
    return parse_routefile(text.encode(), folder / "r.yaml")


def meaning(loaded: Loaded) -> tuple[object, ...]:
    """Return everything that a file says, without the bytes that say it."""
    return replace(loaded.intent, digest=""), loaded.settings


def problems_of_text(text: str, folder: Path = ROOT) -> list[Problem]:
    """Return what is wrong with ``text``; empty if nothing is."""
    try:
        load(text, folder)
    except ConfigError as exc:
        return list(exc.problems)
    return []


def only_problem(text: str, folder: Path = ROOT) -> Problem:
    """Return the one thing that is wrong with ``text``."""
    problems = problems_of_text(text, folder)
    assert len(problems) == 1, problems
    return problems[0]

"""``understudy plan``: how long a rollout will take, in which mode, and with how many labels."""

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.family import alpha_objective
from controller.policy import RouteIntent, StageKind, StageSpec
from controller.ramp import least_exposures
from evaluator import planning
from evaluator.check import correct_question
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from evaluator.planning import QUANTILES, Projection, Prospect, Step
from evaluator.question import PAIRED
from router.table import BUCKETS
from sidecar.problem import ConfigError
from sidecar.quantity import parse_duration_s, parse_share, parse_share_buckets
from sidecar.routefile import load_routefile

REFUSED = 2
DAY_S = 86_400.0
LADDER = ("1%", "5%", "25%", "50%")
USUAL_ALPHA = 0.05
MODES = ("shadow", "split", "ladder")

_TRAFFIC = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)/(s|min|h|day)", re.ASCII)
_PER_DAY = {"s": 86_400.0, "min": 1440.0, "h": 24.0, "day": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line, as it was typed; None where nothing was."""

    file: Path | None
    route: str | None
    traffic: str
    baseline: str
    detect: str | None
    alpha: str | None
    beta: str | None
    mode: str | None
    share: str | None
    discordance: str | None
    correlation: float | None
    requests_per_unit: float
    icc: float
    maturity: str | None


@dataclass(frozen=True, slots=True)
class Way:
    """One way of running the experiment, and what it takes."""

    name: str
    projection: Projection
    per_day: float
    """Observations, in the last step."""
    give_up: float | None
    """Observations within which 80 % of useless challengers are given up; None if not asked."""


def plan(asked: Asked, *, as_json: bool) -> int:
    """Show what the experiment takes; return the exit code."""
    try:
        route = None if asked.file is None else _route(asked.file, asked.route)
        prospect, wait_s = prospect_of(asked, route)
        ways = ways_of(asked, route, prospect, wait_s / DAY_S)
    except (ConfigError, ValueError) as exc:
        sys.stderr.write(f"{exc}\n")
        return REFUSED
    found = summary(prospect, ways, wait_s) | {"hint": _hint(asked, route)}
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        _show(found)
    return 0


def per_day(text: str) -> float:
    """Return requests per day.

    >>> per_day("100000/day"), per_day("20/s")
    (100000.0, 1728000.0)
    """
    found = _TRAFFIC.fullmatch(text)
    if found is None or not float(found[1]):
        raise ValueError(
            f"--traffic: expected a rate such as 100000/day, 5000/h or 20/s, got {text!r}"
        )
    return float(found[1]) * _PER_DAY[found[2]]


def prospect_of(asked: Asked, route: RouteIntent | None) -> tuple[Prospect, float]:
    """Return what is assumed, and how long a request waits for its label in seconds.

    What was typed wins over the file. ValueError names the option that makes no sense.
    """
    metric = None if route is None else _objective(route)
    if asked.detect is not None:
        metric = MetricSpec("objective", "correct", Role.OBJECTIVE, _share("detect", asked.detect))
    question = correct_question(metric or MetricSpec("objective", "correct", Role.OBJECTIVE))
    baseline = _share("baseline", asked.baseline)
    if not 0.0 < baseline < 1.0 - question.effect:
        raise ValueError(
            f"--baseline: {asked.baseline} leaves no room for an improvement of "
            f"{100 * question.effect:g} points"
        )
    alpha = _alpha_of(route) if route is not None else USUAL_ALPHA
    if asked.alpha is not None:
        alpha = _share("alpha", asked.alpha)
    wait_s = route.maturity_s if route is not None else 0.0
    if asked.maturity is not None:
        wait_s = parse_duration_s(asked.maturity)
    if asked.discordance is not None:
        differ = _share("discordance", asked.discordance)
        if not question.effect < differ < 1.0:
            raise ValueError("--discordance: below the improvement itself, or not below 100%")
    else:
        correlation = asked.correlation
        if correlation is None:
            correlation = planning.DEFAULT_CORRELATION
        differ = planning.discordance_of(baseline, question.effect, correlation)
    design = planning.design_effect(asked.requests_per_unit, asked.icc)
    return Prospect(question, baseline, differ, alpha, design), wait_s


def ways_of(
    asked: Asked, route: RouteIntent | None, prospect: Prospect, wait_days: float
) -> list[Way]:
    """Return the ways that were asked for; all of them, and the file's own, if none was."""
    traffic = per_day(asked.traffic)
    if asked.mode is not None and asked.mode not in MODES:
        raise ValueError(f"--mode: expected one of {', '.join(MODES)}, got {asked.mode!r}")
    share = None if asked.share is None else parse_share_buckets(asked.share) / BUCKETS
    if share == 0.0:
        raise ValueError("--share: a share of nothing decides nothing")
    if share is not None and asked.mode == "split" and share > 0.5:
        raise ValueError("--share: a split gives the challenger 50% at most")
    shapes: dict[str, tuple[str, list[Step]]] = {}
    if route is not None and asked.mode is None:
        shapes["file"] = ("the file's stages", steps_of(route, traffic))
    mirrored = share or 1.0
    shapes["shadow"] = (
        f"shadow {100 * mirrored:g}%",
        [Step(PAIRED, 0.0, traffic * mirrored)],
    )
    given = min(share or 0.5, 0.5)
    shapes["split"] = (f"split {100 * given:g}%", [Step(given, 0.0, traffic)])
    shares = [parse_share_buckets(text) for text in LADDER]
    shapes["ladder"] = (
        f"ladder to {LADDER[-1]}",
        _ladder(StageSpec(StageKind.CANARY, shares_buckets=tuple(shares)), prospect.alpha, traffic),
    )
    wanted = [asked.mode] if asked.mode is not None else list(shapes)
    return [_way(*shapes[name], asked, prospect, wait_days) for name in wanted]


def steps_of(route: RouteIntent, traffic: float) -> list[Step]:
    """Return the steps of a route's stages, each as short as the file allows but for the last."""
    steps: list[Step] = []
    for stage in route.stages:
        if stage.kind is StageKind.SHADOW:
            rate = traffic * stage.mirror_buckets / BUCKETS
            least = max(stage.at_least, stage.for_at_least_s / DAY_S * rate)
            steps.append(Step(PAIRED, least, rate))
        elif stage.kind is StageKind.CANARY:
            steps += _ladder(stage, route.alpha, traffic)
    if not steps:
        raise ValueError(f"route {route.name!r} has neither a shadow nor a canary stage")
    return steps


def _alpha_of(route: RouteIntent) -> float:
    """Return the level that the first challenger is held to beside the others of its route."""
    if not route.challengers:
        return route.alpha
    return alpha_objective(route, route.challengers[0].name, ()) or route.alpha


def _ladder(stage: StageSpec, alpha: float, traffic: float) -> list[Step]:
    steps = []
    for buckets in stage.shares_buckets:
        share = buckets / BUCKETS
        exposures = stage.at_least or least_exposures(share_buckets=buckets, alpha=alpha)
        least = max(exposures / share, stage.for_at_least_s / DAY_S * traffic)
        steps.append(Step(share, least, traffic))
    return steps


def _way(name: str, steps: list[Step], asked: Asked, prospect: Prospect, wait_days: float) -> Way:
    give_up = None
    if asked.beta is not None:
        give_up = planning.give_up(prospect, steps[-1].propensity, _share("beta", asked.beta))
    projection = planning.project(prospect, steps, wait_days=wait_days)
    return Way(name, projection, steps[-1].per_day, give_up)


def _route(file: Path, name: str | None) -> RouteIntent:
    routes = load_routefile(file).intent.routes
    for route in routes:
        if name is None or route.name == name:
            return route
    raise ValueError(f"--route: {file} has {', '.join(r.name for r in routes)}, not {name!r}")


def _objective(route: RouteIntent) -> MetricSpec | None:
    """Return the metric that a promotion waits for, if it is one that can be planned."""
    for metric in route.metrics:
        if metric.role is Role.OBJECTIVE and metric.kind == "correct":
            return metric
    return None


def _hint(asked: Asked, route: RouteIntent | None) -> str:
    """Return what the numbers leave out; empty if nothing."""
    if route is None or route.unit_header is None or asked.icc > 0.0:
        return ""
    return (
        f"units ({route.unit_header}) may send many alike requests: "
        "--requests-per-unit and --icc say how many and how alike"
    )


def _share(option: str, text: str) -> float:
    try:
        share = parse_share(text)
    except ValueError as exc:
        raise ValueError(f"--{option}: expected {exc}, got {text!r}") from exc
    if not 0.0 < share < 1.0:
        raise ValueError(f"--{option}: must be between 0% and 100%, got {text!r}")
    return share


def summary(prospect: Prospect, ways: Sequence[Way], wait_s: float) -> dict[str, Any]:
    """Return what ``--json`` writes."""
    fastest = min(ways, key=lambda way: way.projection.days[1])
    return {
        "baseline": prospect.baseline,
        "detect": prospect.question.effect,
        "detect_is_assumed": prospect.question.is_vague,
        "alpha": prospect.alpha,
        "discordance": prospect.discordance,
        "design_effect": prospect.design,
        "maturity_s": wait_s,
        "fastest": fastest.name,
        "ways": [_json(way) for way in ways],
    }


def _json(way: Way) -> dict[str, Any]:
    found = way.projection
    return {
        "way": way.name,
        "observations": _by_quantile(found.observations),
        "days": _by_quantile(found.days, digits=6),
        "labels": _by_quantile(found.labels_all),
        "labels_differing": (
            None if found.labels_differing is None else _by_quantile(found.labels_differing)
        ),
        "give_up_observations": None if way.give_up is None else math.ceil(way.give_up),
        "give_up_days": None if way.give_up is None else round(way.give_up / way.per_day, 6),
    }


def _by_quantile(values: Sequence[float], *, digits: int = 0) -> dict[str, float]:
    return {
        f"q{round(100 * q)}": round(value, digits) if digits else math.ceil(value)
        for q, value in zip(QUANTILES, values, strict=True)
    }


def _show(found: dict[str, Any]) -> None:
    console = Console(file=sys.stdout)
    assumed = " (assumed: none was declared)" if found["detect_is_assumed"] else ""
    console.print(
        Text(
            f"from {100 * found['baseline']:g} % to {100 * (found['baseline'] + found['detect']):g}"
            f" %{assumed}, alpha {100 * found['alpha']:g} %, "
            f"{100 * found['discordance']:.3g} % of pairs differ"
        )
    )
    console.print(Text("decided within, for 50, 80 and 95 % of runs; labels for 80 %"))
    table = Table(box=None)
    table.add_column("", no_wrap=True)
    for heading in ("50 %", "80 %", "95 %", "labels", "if only of differing"):
        table.add_column(heading, justify="right", no_wrap=True)
    for way in found["ways"]:
        differing = way["labels_differing"]
        table.add_row(
            Text(way["way"]),
            *(days_text(way["days"][q]) for q in ("q50", "q80", "q95")),
            f"{way['labels']['q80']:,}",
            "-" if differing is None else f"{differing['q80']:,}",
        )
    console.print(table)
    for way in found["ways"]:
        if way["give_up_days"] is not None:
            console.print(
                Text(
                    f"{way['way']}: a challenger that is no better is given up after "
                    f"{days_text(way['give_up_days'])} (80 %)"
                )
            )
    if len(found["ways"]) > 1:
        console.print(Text(f"fastest: {found['fastest']}"))
    if found["maturity_s"]:
        waits = days_text(found["maturity_s"] / DAY_S)
        console.print(Text(f"times include {waits} of waiting for the last labels"))
    if found["hint"]:
        console.print(Text(f"hint: {found['hint']}"))


def days_text(days: float) -> str:
    """Return a time in its largest sensible unit.

    >>> days_text(3.25), days_text(0.1), days_text(0.001)
    ('3.2 days', '2.4 h', '1.4 min')
    """
    if days >= 1.0:
        return f"{days:.2g} days" if days < 10 else f"{days:.0f} days"
    return f"{24 * days:.2g} h" if days >= 1 / 24 else f"{1440 * days:.2g} min"

"""What needs more than one key of the routing file to judge.

Every check reads the parts that are sound by themselves, so a mistake in one key hides no mistake
elsewhere: all errors come at once. Checks return Problems, they never raise.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from evaluator.metric import LABELLED
from sidecar.chaincheck import check_chains
from sidecar.coldcheck import check_cold_start
from sidecar.metrickeys import check_metric
from sidecar.model.coldstart import ColdStart
from sidecar.model.functional import Functional
from sidecar.model.label import Labels
from sidecar.model.metric import MetricSection
from sidecar.model.process import Admin
from sidecar.model.route import Limits, MatchSection
from sidecar.model.stage import Canary, Shadow
from sidecar.model.variant import VariantSection
from sidecar.problem import Path, Problem
from sidecar.protocol import PROTOCOLS, inference, may_match
from sidecar.quantity import duration_text, parse_duration_s
from sidecar.routetype import Address, InferencePath, Target
from sidecar.yamltree import Tree

M = TypeVar("M", bound=BaseModel)

STAGE_ORDER = ("functional", "performance", "security", "shadow", "canary", "production")
BUILT_IN_CHECKS = ("srm", "harm", "readable", "delivery", "monitor")

_LOCAL = frozenset(("127.0.0.1", "localhost", "::1", "0.0.0.0", "::"))


def check(tree: Tree) -> list[Problem]:
    """Return what is wrong between the keys of a routing file, in no particular order."""
    problems = list(_ports(tree))
    problems += _same_names(tree, [("routes", i, "name") for i in _indices(tree, ("routes",))])
    problems += _claims(tree)
    problems += check_chains(tree)
    for index in _indices(tree, ("routes",)):
        for one in _ROUTE_CHECKS:
            problems += one(tree, ("routes", index))
    return problems


def part(tree: Tree, path: Path, model: type[M]) -> M | None:
    """Return the sound part of the file at ``path``; None if it is absent or at fault."""
    value = tree.get(path)
    if value is None:
        return None
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def stages_of(tree: Tree, route: Path) -> dict[str, Path]:
    """Return the paths of the declared stages, by kind (the first of each)."""
    found: dict[str, Path] = {}
    stages = (*route, "rollout", "stages")
    for index in _indices(tree, stages):
        entry = tree.get((*stages, index))
        for kind in entry if isinstance(entry, dict) else ():
            found.setdefault(kind, (*stages, index, kind))
    return found


def _indices(tree: Tree, path: Path) -> range:
    value = tree.get(path)
    return range(len(value)) if isinstance(value, list) else range(0)


def _metrics(tree: Tree, route: Path) -> dict[str, MetricSection | None]:
    """Return the metrics by name, None for one that is at fault."""
    value = tree.get((*route, "metrics"))
    names = value if isinstance(value, dict) else {}
    return {name: part(tree, (*route, "metrics", name), MetricSection) for name in names}


def _address(tree: Tree, path: Path, default: tuple[str, int]) -> tuple[str, int] | None:
    value = tree.get(path)
    if value is None:
        return default
    try:
        return TypeAdapter[tuple[str, int]](Address).validate_python(value)
    except ValidationError:
        return None


def _own_ports(tree: Tree) -> dict[str, tuple[str, int] | None]:
    admin = Admin().listen
    return {
        "listen": _address(tree, ("listen",), ("127.0.0.1", 8080)),
        "admin.listen": _address(tree, ("admin", "listen"), admin),
    }


def _is_same(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two addresses are the same socket; every local name is taken for the same."""
    hosts = {one[0].lower(), other[0].lower()}
    return one[1] == other[1] and (len(hosts) == 1 or hosts <= _LOCAL)


def _is_same_target(one: Target, other: Target) -> bool:
    if one.socket or other.socket:
        return one.socket == other.socket
    return _is_same((one.host, one.port), (other.host, other.port))


def _ports(tree: Tree) -> Iterator[Problem]:
    listen, admin = _own_ports(tree).values()
    if listen is not None and admin is not None and _is_same(listen, admin):
        yield tree.problem(
            ("admin", "listen"),
            "another port than `listen`",
            found=f"port {admin[1]} for both",
        )


def _same_names(tree: Tree, paths: list[Path]) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path in paths:
        name = tree.get(path)
        if not isinstance(name, str):
            continue
        if name in first:
            line, _ = tree.places[first[name]]
            yield tree.problem(path, f"a name of its own (line {line} has it already)")
        first.setdefault(name, path)


def _claims(tree: Tree) -> Iterator[Problem]:
    first: dict[tuple[Any, ...], Path] = {}
    for index in _indices(tree, ("routes",)):
        path: Path = ("routes", index, "match")
        match = part(tree, path, MatchSection)
        if match is None:
            continue
        header = match.header and (match.header.name.lower(), match.header.value)
        claim = (match.path, match.host and match.host.lower(), header)
        if claim in first:
            line, _ = tree.places[first[claim]]
            yield tree.problem(
                path,
                "requests that no other route claims; change path, host or header",
                found=f"the match of the route in line {line} again",
            )
        first.setdefault(claim, path)


def _variants(tree: Tree, route: Path) -> Iterator[Problem]:
    champion = part(tree, (*route, "champion"), VariantSection)
    challengers = (*route, "challengers")
    names = [(*challengers, index, "name") for index in _indices(tree, challengers)]
    standby = (*route, "standby")
    yield from _same_names(tree, [(*route, "champion", "name"), *names, (*standby, "name")])
    others = [(*challengers, index) for index in _indices(tree, challengers)]
    for path in [*others, standby]:
        challenger = part(tree, path, VariantSection)
        if champion and challenger and _is_same_target(champion.url, challenger.url):
            yield tree.problem((*path, "url"), "another address than the champion's")
    for path in [(*route, "champion"), *others, standby]:
        yield from _loop(tree, path)
        yield from _tls(tree, path)


def _loop(tree: Tree, path: Path) -> Iterator[Problem]:
    variant = part(tree, path, VariantSection)
    for key, own in _own_ports(tree).items():
        if variant is None or own is None or variant.url.socket:
            continue
        if _is_same((variant.url.host, variant.url.port), own):
            yield tree.problem(
                (*path, "url"), f"a model server's address, not this sidecar's own `{key}`"
            )


def _tls(tree: Tree, path: Path) -> Iterator[Problem]:
    variant = part(tree, path, VariantSection)
    if variant is None or variant.tls is None:
        return
    if not variant.url.is_tls:
        yield tree.problem(
            (*path, "tls"), "no `tls`, or a `url` that begins with https://", at_key=True
        )
    for one, other in (("cert", "key"), ("key", "cert")):
        if getattr(variant.tls, one) is not None and getattr(variant.tls, other) is None:
            yield tree.problem(
                (*path, "tls", other), f"`{other}` beside `{one}`", found=f"no `{other}`"
            )


def _stage_list(tree: Tree, route: Path) -> Iterator[Problem]:
    stages = (*route, "rollout", "stages")
    reached, seen = -1, set()
    for index in _indices(tree, stages):
        path, entry = (*stages, index), tree.get((*stages, index))
        if not isinstance(entry, dict):
            continue
        if len(entry) != 1:
            yield tree.problem(
                path, "one stage in each list entry", found=f"{len(entry)} keys in one entry"
            )
        for kind in (kind for kind in entry if kind in STAGE_ORDER):
            rank = STAGE_ORDER.index(kind)
            if kind in seen:
                yield tree.problem((*path, kind), "each stage once", found=f"{kind} again")
            elif rank < reached:
                yield tree.problem(
                    (*path, kind),
                    f"the order {', '.join(STAGE_ORDER)}",
                    found=f"{kind} after {STAGE_ORDER[reached]}",
                )
            reached = max(reached, rank)
            seen.add(kind)


def _rollout(tree: Tree, route: Path) -> Iterator[Problem]:
    is_cold = tree.get((*route, "cold_start")) is not None  # then the first one challenges nobody
    n_challengers = len(_indices(tree, (*route, "challengers")))
    if n_challengers > is_cold and tree.get((*route, "rollout")) is None:
        yield tree.problem(
            (*route, "rollout"),
            "`rollout: {stages: [...]}`: only a declared rule may move traffic",
            found="challengers and no `rollout`",
        )
    stages, metrics = stages_of(tree, route), _metrics(tree, route)
    roles = {metric.role for metric in metrics.values() if metric is not None}
    is_known = None not in metrics.values()  # a metric at fault may be the one that is asked for
    if "production" in stages:
        if not stages.keys() & {"shadow", "canary"}:
            yield tree.problem(
                stages["production"],
                "a shadow or canary stage before it, to gather evidence",
                found="production alone",
            )
        if "objective" not in roles and is_known:
            yield tree.problem(
                stages["production"],
                "a metric with `role: objective` under `metrics`; nothing else promotes",
                found="a production stage without an objective",
            )
    elif "canary" in stages and not roles & {"objective", "guardrail"} and is_known:
        yield tree.problem(
            stages["canary"],
            "a metric with `role: guardrail` or `role: objective` under `metrics`",
            found="a canary stage that nothing guards",
        )


def _inference(tree: Tree, route: Path) -> Iterator[Problem]:
    match = part(tree, (*route, "match"), MatchSection)
    declared, protocol = tree.get((*route, "inference")), tree.get((*route, "protocol")) or "json"
    is_sound = protocol in PROTOCOLS and (declared is None or _all_sound(declared))
    if match is None or not is_sound or not tree.get((*route, "challengers")):
        return
    patterns = inference(protocol, declared)
    if not may_match(patterns, match.path):
        at = "inference" if declared is not None else "match"
        yield tree.problem(
            (*route, at),
            f"a path that is inference ({patterns[0]}, ...); `inference:` declares others",
            found=f"{match.path}, which {protocol} does not know"
            if declared is None
            else f"no path of {match.path} among them",
        )


def _all_sound(declared: Any) -> bool:
    try:
        TypeAdapter[list[str]](list[InferencePath]).validate_python(declared)
    except ValidationError:
        return False
    return True


def _cold_start(tree: Tree, route: Path) -> Iterator[Problem]:
    cold = part(tree, (*route, "cold_start"), ColdStart)
    yield from check_cold_start(tree, route, cold, _metrics(tree, route))


def _ladder(tree: Tree, route: Path) -> Iterator[Problem]:
    path = stages_of(tree, route).get("canary")
    canary = part(tree, path, Canary) if path else None
    if path is None or canary is None:
        return
    for step in range(1, len(canary.shares)):
        if canary.shares[step] <= canary.shares[step - 1]:
            before = tree.shown((*path, "shares", step - 1))
            yield tree.problem((*path, "shares", step), f"shares that rise: more than {before}")
    if canary.for_at_least * len(canary.shares) > canary.at_most:
        yield tree.problem(
            (*path, "for_at_least"),
            f"{len(canary.shares)} steps that fit into at_most ({duration_text(canary.at_most)})",
        )


def _times(tree: Tree, route: Path) -> Iterator[Problem]:
    stages = stages_of(tree, route)
    if (path := stages.get("shadow")) and (shadow := part(tree, path, Shadow)):
        if shadow.for_at_least > shadow.at_most:
            yield tree.problem(
                (*path, "for_at_least"), f"no more than at_most ({duration_text(shadow.at_most)})"
            )
    labels = part(tree, (*route, "labels"), Labels)
    if labels is None:
        return
    if labels.scorer is not None and (labels.scorer.url is None) is (
        labels.scorer.function is None
    ):
        yield tree.problem((*route, "labels", "scorer"), "either `url` or `function`")
    if labels.maturity > labels.window:
        yield tree.problem(
            (*route, "labels", "maturity"),
            f"no more than the window ({duration_text(labels.window)})",
        )
        return
    has_labels = any(m is not None and _needs_label(m) for m in _metrics(tree, route).values())
    if (path := stages.get("canary")) and (canary := part(tree, path, Canary)):
        if has_labels and canary.at_most <= labels.maturity:
            yield tree.problem(
                (*path, "at_most"),
                f"more than the labels' maturity ({duration_text(labels.maturity)}), "
                "or no label ever counts",
                found=duration_text(canary.at_most),
            )


def _webhook_names(tree: Tree, route: Path) -> Iterator[Problem]:
    for path in stages_of(tree, route).values():
        hooks = (*path, "webhooks")
        yield from _same_names(tree, [(*hooks, index, "name") for index in _indices(tree, hooks)])


def _cool_down(tree: Tree, route: Path) -> Iterator[Problem]:
    """A route that cools down for longer than its last stage lasts would promote nobody."""
    rollout, stages = (*route, "rollout"), stages_of(tree, route)
    written = tree.get((*rollout, "cool_down"))
    last = next((kind for kind in ("canary", "shadow") if kind in stages), None)
    if not isinstance(written, str) or last is None:
        return
    model: type[Canary] | type[Shadow] = Canary if last == "canary" else Shadow
    stage: Canary | Shadow | None = part(tree, stages[last], model)
    try:
        cool_down_s = parse_duration_s(written)
    except ValueError:
        return  # told by the model
    if stage is not None and cool_down_s >= stage.at_most:
        yield tree.problem(
            (*rollout, "cool_down"),
            f"less than the {last} stage's at_most ({duration_text(stage.at_most)}): "
            "nobody would be promoted",
        )


def _wanted(tree: Tree, route: Path) -> Iterator[Problem]:
    labels = part(tree, (*route, "labels"), Labels)
    if labels is None or labels.wanted != "disagreements":
        return
    for name, metric in _metrics(tree, route).items():
        if metric is None or not _needs_label(metric):
            continue
        at_all = metric.margin_relative is not None or metric.at_least is not None
        if metric.kind != "correct" or at_all:
            yield tree.problem(
                (*route, "labels", "wanted"),
                "`all`: only `kind: correct` with an absolute `detect`, `margin` or `within` is "
                "the same whatever the label of equal answers",
                found=f"disagreements, and the metric {name}",
            )
    if tree.get((*route, "unit")) is not None and labels.missing == "ignore":
        yield tree.problem(
            (*route, "labels", "wanted"),
            "`missing: incorrect` beside it where `unit` names who is randomised",
            found="disagreements, a unit, and labels that may be missing",
        )


def _metric_keys(tree: Tree, route: Path) -> Iterator[Problem]:
    for name, metric in _metrics(tree, route).items():
        path = (*route, "metrics", name)
        if name in BUILT_IN_CHECKS:
            yield tree.problem(
                path, "another name: this is a built-in check", found=name, at_key=True
            )
        if metric is None:
            continue
        yield from check_metric(tree, path, metric)


def _metric_needs(tree: Tree, route: Path) -> Iterator[Problem]:
    limits = part(tree, (*route, "limits"), Limits)
    stages = stages_of(tree, route)
    for name, metric in _metrics(tree, route).items():
        if metric is None:
            continue
        path = (*route, "metrics", name, "kind")
        if _reads_prediction(metric) and tree.get((*route, "prediction")) is None:
            yield tree.problem(
                path,
                "`prediction` on the route, in the form in which labels are written",
                found="a metric that reads predictions, and no `prediction`",
            )
        labels = part(tree, (*route, "labels"), Labels)
        if _needs_label(metric) and tree.get((*route, "labels")) is None:
            yield tree.problem(
                path,
                "`labels: {window: 14d, maturity: 3d}` on the route",
                found="a metric that needs labels, and no `labels`",
            )
        if metric.source == "label" and stages and "canary" not in stages:
            yield tree.problem(
                (*path[:-1], "source"),
                "a canary stage: what a label says was earned by the answer that was sent",
            )
        if metric.source == "scorer" and labels is not None and labels.scorer is None:
            yield tree.problem(
                (*path[:-1], "source"),
                '`labels: {scorer: {url: "http://..."}}` on the route, which makes the scores',
            )
        if metric.proxy is not None and not _needs_label(metric):
            yield tree.problem(
                (*path[:-1], "proxy"), "`source: label`: only a label may be missing"
            )
        elif metric.proxy is not None and labels is not None and labels.sampled is None:
            yield tree.problem(
                (*path[:-1], "proxy"),
                "`labels: {sampled: 20%}`: a guess may stand in only for labels drawn at random",
            )
        if metric.kind in ("agreement", "divergence") and stages and "shadow" not in stages:
            yield tree.problem(
                path,
                f"a shadow stage: only mirrored pairs can {_DO[metric.kind]}",
                found=f"{metric.kind} without a shadow stage",
            )
        if metric.kind not in ("error", "latency") and limits and limits.capture == 0:
            yield tree.problem(
                (*route, "limits", "capture"), f"more than 0B: `{name}` reads the answers"
            )


_DO = {"agreement": "agree", "divergence": "diverge"}


def _needs_label(metric: MetricSection) -> bool:
    return metric.kind in LABELLED or metric.source in ("label", "scorer")


def _reads_prediction(metric: MetricSection) -> bool:
    """Whether a metric has no other place to look than the route's prediction."""
    if metric.kind in ("correct", "precision", "recall", "f1"):
        return True
    if metric.kind == "mean":
        return metric.source == "scorer" or (metric.value is None and metric.source != "label")
    return metric.kind in ("loss", "divergence", "drift", "auc") and metric.of is None


def samples_of(tree: Tree, route: Path) -> tuple[Path, str] | None:
    """Return the path of the ``samples`` key and the file it names, None without one."""
    path = stages_of(tree, route).get("functional")
    functional = part(tree, path, Functional) if path else None
    if path is None or functional is None or functional.samples is None:
        return None
    return (*path, "samples"), functional.samples


_ROUTE_CHECKS: tuple[Callable[[Tree, Path], Iterator[Problem]], ...] = (
    _variants,
    _stage_list,
    _rollout,
    _inference,
    _cold_start,
    _ladder,
    _times,
    _webhook_names,
    _cool_down,
    _wanted,
    _metric_keys,
    _metric_needs,
)

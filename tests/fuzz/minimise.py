"""Makes a finding smaller while it stays one."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

from tests.fuzz.case import Case, Plan, Step

MAX_RUNS = 1500
MAX_S = 120.0
"""A case that costs a fifth of a second is not played 1,500 times."""
IsFinding = Callable[[Case], bool]


def minimise(case: Case, is_finding: IsFinding) -> Case:
    """Return the smallest case found for which ``is_finding`` holds; it holds for ``case``."""
    n_runs = 0
    ends_s = time.monotonic() + MAX_S
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(case):
            if n_runs >= MAX_RUNS or time.monotonic() > ends_s:
                return case
            n_runs += 1
            if is_finding(smaller):
                case, is_smaller = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Yield cases that are smaller in one way, the greatest savings first."""
    merged = _merge_sends(case.steps)
    if len(merged) < len(case.steps):
        yield replace(case, steps=merged)
    for at in range(len(case.steps)):
        yield replace(case, steps=case.steps[:at] + case.steps[at + 1 :])
    for name, plans in case.plans.items():
        for at, plan in enumerate(plans):
            if len(plans) > 1:
                yield _with_plans(case, name, plans[:at] + plans[at + 1 :])
            if len(plan.pieces) > 1:
                one = Plan([plan.raw], plan.end, plan.is_early)
                yield _with_plans(case, name, [*plans[:at], one, *plans[at + 1 :]])
    for at, step in enumerate(case.steps):
        for payload in _shorter(step.payload):
            yield replace(
                case,
                steps=[*case.steps[:at], replace(step, payload=payload), *case.steps[at + 1 :]],
            )
    for name, plans in case.plans.items():
        for at, plan in enumerate(plans):
            for nth, piece in enumerate(plan.pieces):
                for shorter in _shorter(piece):
                    pieces = [*plan.pieces[:nth], shorter, *plan.pieces[nth + 1 :]]
                    one = replace(plan, pieces=[one for one in pieces if one])
                    yield _with_plans(case, name, [*plans[:at], one, *plans[at + 1 :]])


def _merge_sends(steps: list[Step]) -> list[Step]:
    merged: list[Step] = []
    for step in deepcopy(steps):
        if merged and step.verb == "send" and merged[-1].verb == "send":
            merged[-1].payload += step.payload
        else:
            merged.append(step)
    return merged


def _with_plans(case: Case, name: str, plans: list[Plan]) -> Case:
    return replace(case, plans=case.plans | {name: plans})


def _shorter(raw: bytes) -> Iterator[bytes]:
    """Yield ``raw`` without a span: large spans first."""
    span = len(raw) // 2
    while span:
        for at in range(0, len(raw), span):
            yield raw[:at] + raw[at + span :]
        span = 0 if span == 1 else max(1, span // 4)

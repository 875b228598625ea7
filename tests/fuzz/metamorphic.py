"""What must not make a difference: where the network cut the bytes, and who watches.

A calm case (bytes in order, nothing else) is played again in other pieces, and its mirror away.
"""

from dataclasses import replace
from typing import Any

from tests.fuzz.case import Case, Plan, Step
from tests.fuzz.oracle import is_own, read_client, read_received, speaks_unasked
from tests.fuzz.world import Record, World

Outcome = tuple[list[Any], list[Any]]


def outcome(case: Case, record: Record) -> Outcome:
    """Return (requests that arrived, answers that came) up to the first failure, without ids.

    A failure is 502, 504 or an answer that is cut: which of them depends on what had gone out.
    """
    asked, begun, _ = read_client(case.sent)
    arrived: list[Any] = [
        (one.request.key, [pair for pair in one.request.fields if pair[0] != b"x-request-id"])
        for one in record.arrivals
        if one.request.is_whole and one.variant == "champion"
    ]
    answers: list[Any] = []
    for answer in read_received(case, record, asked, begun)[0]:
        is_broken = not answer.is_whole or (is_own(answer) and answer.status in (502, 504))
        if is_broken or not is_own(answer):
            answers.append("broken" if is_broken else (answer.status, answer.body))
        else:
            # Of two things that are wrong, the first to be seen depends on the cut.
            answers.append("refused")
        if is_broken:
            return arrived[: len(answers)], answers
    return arrived, answers


def in_one_piece(case: Case) -> Case:
    """Return ``case`` with each stream uncut."""
    rest = [step for step in case.steps if step.verb != "send"]
    plans = {
        name: [Plan([plan.raw], plan.end, plan.is_early) for plan in made]
        for name, made in case.plans.items()
    }
    return replace(case, steps=[Step("send", case.sent), *rest], plans=plans)


def compare(case: Case, record: Record) -> list[str]:
    """Return what made a difference although it may not."""
    if not case.is_calm or case.mode == "split" or speaks_unasked(case):
        return []
    # A connection that a model closes unannounced may or may not be met by the next request.
    if len(record.arrivals) > 1 and any(one.end != "open" for one in case.plans["champion"]):
        return []
    found = []
    before = outcome(case, record)
    whole = in_one_piece(case)
    if whole.steps != case.steps or whole.plans != case.plans:
        found += _differ("cut", before, outcome(whole, World().run(whole)))
    if case.mode == "mirror":
        alone = replace(case, mode="plain")
        found += _differ("mirrored", before, outcome(alone, World().run(alone)))
    return found


def _differ(how: str, one: Outcome, other: Outcome) -> list[str]:
    if one == other:
        return []
    return [f"{how} makes a difference: {one!r:.400} / {other!r:.400}"]

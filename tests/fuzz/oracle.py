"""Judges what came of a case. Every rule here holds for every case, however hostile."""

from collections import Counter

from tests.fuzz.case import Case, Plan
from tests.fuzz.strict import (
    HOP_BY_HOP,
    Answer,
    Request,
    Requests,
    Violation,
    read_answer,
    values,
)
from tests.fuzz.world import Arrival, Record

OWN_STATUSES = {400, 404, 405, 408, 413, 414, 417, 431, 502, 503, 504, 505}
ONCE = (b"content-length", b"transfer-encoding", b"connection", b"x-request-id")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def read_client(sent: bytes) -> tuple[list[Request], Request | None, bool]:
    """Return (whole requests, one that has begun, whether something else was sent too)."""
    reader = Requests(is_origin=False)
    reader.feed(sent)
    has_more = bool(reader.violation) or not reader.is_between
    return reader.whole, reader.current, has_more


def is_own(answer: Answer) -> bool:
    """Whether the router speaks for itself."""
    return (
        answer.status in OWN_STATUSES
        and values(answer.fields, b"content-type") == [b"application/json"]
        and (answer.body.startswith(b'{"error": "') or not answer.body)
    )


def read_received(
    case: Case, record: Record, asked: list[Request], begun: Request | None
) -> tuple[list[Answer], list[str]]:
    """Read the client's side; return (answers, what is wrong with it)."""
    methods = [one.method for one in asked] + ([begun.method] if begun is not None else [])
    raw, answers = record.received, []
    while raw:
        while raw.startswith(CONTINUE):
            raw = raw[len(CONTINUE) :]
        if not raw:
            break
        nth = len(answers)
        method = methods[nth] if nth < len(methods) else b""
        if not method and case.is_calm and case.sent.startswith(b"HEAD ") and nth == 0:
            method = b"HEAD"
        try:
            answer, rest, n_interim = read_answer(raw, method, record.end == "eof")
        except Violation as error:
            return answers, [f"client got a malformed answer: {error}: {raw[:300]!r}"]
        if answer is None:
            wrong = [f"client got half a head: {raw[:200]!r}"] if record.end == "eof" else []
            return answers, wrong
        if n_interim:
            return answers, ["an interim answer of a variant crossed"]
        answers.append(answer)
        wrong = _head_is_wrong(answer)
        if wrong:
            return answers, wrong
        if not case.is_calm and method == b"HEAD" and answer.status == 408 and is_own(answer):
            return answers, []  # the method had not come when the time was up
        if rest and (answer.closes or not answer.is_whole):
            return answers, [f"bytes behind the last answer: {rest[:200]!r}"]
        raw = rest
    return answers, []


def _head_is_wrong(answer: Answer) -> list[str]:
    names = Counter(name for name, _ in answer.fields)
    wrong = [f"{name!r} came {names[name]} times" for name in ONCE if names[name] > 1]
    wrong += [f"{name!r} crossed" for name in HOP_BY_HOP - {b"connection"} if name in names]
    if not values(answer.fields, b"x-request-id") and not is_own(answer):
        wrong.append("an answer without a request id")
    return wrong


def judge(case: Case, record: Record) -> list[str]:
    """Return what is wrong; nothing, for a router that keeps its promises."""
    asked, begun, has_more = read_client(case.sent)
    found = [*record.trouble]
    found += [f"left behind: {one}" for one in record.leftovers]
    found += [f"a variant got bad HTTP: {one}" for one in record.violations]
    found += judge_arrivals(record.arrivals, asked, begun)
    answers, wrong = read_received(case, record, asked, begun)
    found += wrong
    # An empty line that came too slowly was half a head when its time was up.
    is_late = bool(answers) and answers[-1].status == 408 and is_own(answers[-1])
    if len(answers) > len(asked) + max(has_more, is_late):
        found.append(f"{len(answers)} answers to {len(asked)} requests")
    if not speaks_unasked(case):
        has_ended = any(step.verb == "model_eof" for step in case.steps)
        for answer in answers:
            found += judge_answer(answer, record, has_ended=has_ended)
    if case.is_calm and not wrong:
        found += judge_liveness(answers, asked)
    by_id = Counter(one.request_id for one in record.observations)
    sent_ids = Counter(
        value for one in [*asked, *([begun] if begun else [])]
        for value in values(one.fields, b"x-request-id")
    )  # fmt: skip
    found += [
        f"{n} observations of one request"
        for name, n in by_id.items()
        if n > max(1, sent_ids[name.encode()])
    ]
    return found


def judge_arrivals(
    arrivals: list[Arrival], asked: list[Request], begun: Request | None
) -> list[str]:
    """Nothing reaches a variant that the client did not ask for, nor more often than it may."""
    found = []
    allowed = Counter(one.key for one in asked)
    heads = {(one.method, one.target) for one in [*asked, *([begun] if begun else [])]}
    ids: set[bytes] = set()
    posts: Counter[tuple[str, bytes]] = Counter()
    for arrival in arrivals:
        request = arrival.request
        if (request.method, request.target) not in heads:
            found.append(f"smuggled: {request.method!r} {request.target[:80]!r}")
            continue
        if not request.is_whole:
            continue
        if request.key not in allowed:
            found.append(f"changed on its way: {request.key!r:.300}")
        name = values(request.fields, b"x-request-id")[0]
        ids.add(name)
        if request.method in (b"POST", b"PATCH"):
            posts[arrival.variant, name] += 1
    if len(ids) > len(asked):
        found.append(f"{len(ids)} requests arrived, {len(asked)} were sent")
    sent_ids = Counter(value for one in asked for value in values(one.fields, b"x-request-id"))
    found += [
        f"a POST reached {variant} {n} times"
        for (variant, name), n in posts.items()
        if n > max(1, sent_ids[name])
    ]
    return found


def judge_answer(answer: Answer, record: Record, *, has_ended: bool) -> list[str]:
    """A whole answer is the router's own, or exactly what a variant said to that request."""
    if is_own(answer) or not answer.is_whole:
        return []
    names = values(answer.fields, b"x-request-id")
    planned = []
    for arrival in record.arrivals:
        request = arrival.request
        if values(request.fields, b"x-request-id") != names:
            continue
        if values(request.fields, b"x-understudy-mirror"):
            continue
        meant = meaning_of(arrival.plan, request.method, has_ended=has_ended)
        planned.append(meant)
        if meant == (answer.status, answer.body):
            return []
        if has_ended and meant is not None and _ends_with_connection(arrival.plan, request.method):
            # The model's connection was ended before the plan was: that is the answer's end.
            if meant[0] == answer.status and meant[1].startswith(answer.body):
                return []
    return [f"nobody said {answer.status} {answer.body[:80]!r}, but {planned!r:.300}"]


def speaks_unasked(case: Case) -> bool:
    """Whether a model may say something just when a request is on its way to it.

    That looks like the answer to every reader there is; only bytes that come together with an
    answer, or while nothing is asked, can be told apart from the next answer.
    """
    if any(step.verb == "push" for step in case.steps):
        return True
    return any(
        len(plan.pieces) > 1 and _is_overlong(plan)
        for plans in case.plans.values()
        for plan in plans
    )


def _is_overlong(plan: Plan) -> bool:
    try:
        answer, rest, _ = read_answer(plan.raw, b"GET", False)
    except Violation:
        return False
    return answer is not None and bool(rest)


def _ends_with_connection(plan: Plan, method: bytes) -> bool:
    return plan_is_whole(plan, method, True) and not plan_is_whole(plan, method, False)


def plan_is_whole(plan: Plan, method: bytes, has_ended: bool) -> bool:
    """Whether the plan's bytes are a whole answer, its connection ended or not."""
    answer, _, _ = read_answer(plan.raw, method, has_ended)
    return answer is not None and answer.is_whole


def meaning_of(plan: Plan, method: bytes, *, has_ended: bool) -> tuple[int, bytes] | None:
    """Return (status, body) of a planned answer, or None when it is not a whole one."""
    try:
        answer, _, _ = read_answer(plan.raw, method, has_ended or plan.end == "eof")
    except Violation:
        return None
    return (answer.status, answer.body) if answer is not None and answer.is_whole else None


def judge_liveness(answers: list[Answer], asked: list[Request]) -> list[str]:
    """Nobody who keeps to the rules is left without an answer, or without being told."""
    if len(answers) >= len(asked):
        return []
    last = answers[-1] if answers else None
    if last is not None and (last.closes or not last.is_whole):
        return []
    return [f"{len(answers)} answers to {len(asked)} good requests"]

"""The fuzzer in short, and proof that it sees: routers with a planted fault are found out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
import pytest

from router import downstream, exchange, message, upstream
from router.body import LengthBody
from router.call import Call
from router.errors import RequestError
from router.pool import Pool
from tests.fuzz import sockets
from tests.fuzz.campaign import read_place, run
from tests.fuzz.case import Case, Plan, Step, read_case, write_case
from tests.fuzz.draw import draw
from tests.fuzz.judging import findings, kind_of
from tests.fuzz.minimise import minimise
from tests.fuzz.strict import Requests, Violation, read_answer
from tests.fuzz.world import World
from tests.router.cases import ANSWERS, REQUESTS, AnswerCase, RequestCase

ROOT = Path(__file__).parents[2]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def a_case(sent: bytes, *answers: bytes, mode: str = "plain") -> Case:
    plans = [Plan([one]) for one in answers or (OK,)]
    steps = [Step("send", sent), Step("eof")]
    return Case(mode=mode, plans={"champion": plans, "challenger": plans}, steps=steps)


# The campaign.


def test_thousands_of_drawn_cases_break_no_promise(tmp_path: Path) -> None:
    """Fixed seed; ``make fuzz`` goes on from here for as long as one likes."""
    said: list[str] = []
    tally = run(20_261, tmp_path, said.append, n_cases=1500)
    assert tally.kinds == {}, said
    assert read_place(tmp_path) == (20_261, 1499)


def test_hundreds_of_drawn_cases_break_no_promise_over_sockets() -> None:
    found: list[list[str]] = []
    n_cases = sockets.run(20_262, 0, 2.0, lambda index, case, what: found.append(what))
    assert found == []
    assert n_cases >= 24


def test_case_of_a_seed_is_always_the_same() -> None:
    assert [draw(7, n) for n in range(50)] == [draw(7, n) for n in range(50)]
    assert draw(7, 1) != draw(8, 1)


def test_finding_is_played_again_from_its_file(tmp_path: Path) -> None:
    case = draw(7, 3)
    write_case(case, tmp_path / "x.json", ["because"])
    assert read_case(tmp_path / "x.json") == case
    command = [sys.executable, "-m", "tests.fuzz", "--replay", str(tmp_path / "x.json")]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stderr
    assert "nothing is wrong with it" in played.stdout


# It sees.


def raises(*_: Any) -> None:
    raise ZeroDivisionError("planted")


def keeps_everything(head: bytes, method: bytes) -> message.AnswerHead:
    found = REAL_PARSE_ANSWER(head, method)
    return message.AnswerHead(
        found.status, found.line, found.forward, found.body_length, True, found.encoding
    )


REAL_PARSE_ANSWER = upstream.parse_answer


def forgets_the_last_byte(self: LengthBody, received: bytes) -> tuple[bytes, bytes]:
    payload, rest = REAL_LENGTH_FEED(self, received)
    return payload[:-1] + b"?" if payload else payload, rest


REAL_LENGTH_FEED = LengthBody.feed
PLANTED: dict[str, tuple[Any, str, Callable[..., Any], Case, str]] = {
    "an exception": (exchange.Exchange, "_end", raises, a_case(GET), "ZeroDivisionError"),
    "a leaked deadline": (Call, "_finish", lambda self, fault: None, a_case(GET), "left behind"),
    "a leaked connection": (Pool, "close_idle", lambda self, now_s: None, a_case(GET), "left beh"),
    "a changed body": (LengthBody, "feed", forgets_the_last_byte, a_case(POST), "changed on"),
    "an interim answer to nobody": (
        downstream,
        "CONTINUE",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",  # type: ignore[dict-item] # no function
        a_case(POST.replace(b"Host", b"Expect: 100-continue\r\nHost").replace(b"hello", b"")),
        "without a request id",
    ),
    "a cut that looks whole": (
        exchange.Exchange,
        "_cut",
        lambda self: self._downstream.exchange_over(False),
        a_case(GET.replace(b"1.1", b"1.0"), CHUNKED + b"2\r\nhi\r\nz"),
        "nobody said",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, instead, case, finding = PLANTED[fault]
    if fault == "a changed body":
        case.steps.insert(0, Step("send", POST[:-3]))
        case.steps[1].payload = POST[-3:]
    if fault == "a cut that looks whole":
        raw = case.plans["champion"][0].raw
        case.plans["champion"] = [Plan([raw[:-1], raw[-1:] + b"\r\n"])]
    assert findings(case) == []
    monkeypatch.setattr(owner, name, instead)
    found = findings(case)
    assert any(finding in one for one in found), found


def test_smuggled_request_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A router that took a body for the next request."""
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    case = a_case(POST.replace(b"5\r\n\r\nhello", b"%d\r\n\r\n" % len(inner)) + inner + GET)
    assert findings(case) == []
    monkeypatch.setattr(message, "_request_length", lambda *_: 0)
    assert any("smuggled" in one for one in findings(case))


def test_answer_of_another_request_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "parse_answer", keeps_everything)
    late = [b"HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n", OK]
    case = a_case(GET.replace(b"GET", b"HEAD") + GET)
    case.plans["champion"] = [Plan(late), Plan([b"HTTP/1.1 201 Mine\r\nContent-Length: 0\r\n\r\n"])]
    assert any("nobody said 200" in one for one in findings(case))


def test_verdict_that_depends_on_a_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = downstream.find_request_head

    def dislikes_pieces(buffer: bytes, seen: int) -> int:
        if seen:
            raise RequestError("in pieces")
        return real(buffer, seen)

    case = a_case(GET)
    case.steps = [Step("send", GET[:-2]), Step("send", GET[-2:]), Step("eof")]
    assert findings(case) == []
    monkeypatch.setattr(downstream, "find_request_head", dislikes_pieces)
    assert any("cut makes a difference" in one for one in findings(case))


def test_cpu_that_grows_with_the_square_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = downstream.find_request_head

    def slow(buffer: bytes, seen: int) -> int:
        for _ in range(40_000):
            pass
        return real(buffer, seen)

    monkeypatch.setattr(downstream, "find_request_head", slow)
    case = a_case(GET)
    raw = GET.replace(b"\r\n\r\n", b"\r\nX: " + b"v" * 300 + b"\r\n\r\n")
    case.steps = [*(Step("send", raw[at : at + 1]) for at in range(len(raw))), Step("eof")]
    assert any("ms of CPU" in one for one in findings(case))


def test_finding_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.Exchange, "_end", raises)
    case = a_case(GET * 3, OK, OK)
    case.steps.insert(0, Step("wait", seconds=0.02))
    kind = kind_of(findings(case))
    small = minimise(case, lambda one: kind_of(findings(one)) == kind)
    assert [step.verb for step in small.steps] == ["send"]
    assert len(small.sent) <= len(GET)


# The judge.


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_strict_reader_takes_what_the_corpus_says(case: RequestCase) -> None:
    """Two readers that share no line of code; policy makes the router the stricter one."""
    reader = Requests(is_origin=False)
    reader.feed(case.raw)
    if case.expect == "accept":
        assert reader.whole[0].key == (case.method.encode(), case.target, case.body)
    elif case.expect == "incomplete":
        assert reader.whole == []
    elif case.id.startswith(FRAMING) and "limit" not in case.id and "ours" not in case.clause:
        assert reader.whole == []


FRAMING = ("length-t", "length-p", "coding-i", "coding-ch", "chunk-size", "chunk-data", "field-")
"""Beginnings of ids where no policy of ours plays a part: nobody may take these."""


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.id)
def test_strict_reader_takes_the_answers_that_the_corpus_says(case: AnswerCase) -> None:
    try:
        answer, _, _ = read_answer(case.raw, case.method.encode(), case.closes)
    except Violation:
        assert case.expect == "reject"
        return
    if case.expect == "accept":
        assert answer is not None
        assert (answer.status, answer.body, answer.is_whole) == (case.status, case.body, True)
    elif case.expect == "incomplete":
        assert answer is None or not answer.is_whole


def test_what_reaches_a_variant_reads_alike_to_h11() -> None:
    """A third reader, not ours: the same requests with the same bodies."""
    n_read = 0
    for index in range(600):
        world = World()
        world.run(draw(31, index))
        for line in world.lines:
            whole = line.reader.whole
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            connection.receive_data(bytes(line.transport.received))
            for request in whole:
                assert read_by_h11(connection) == (request.method, request.target, request.body)
                n_read += 1
    assert n_read > 200


def read_by_h11(connection: h11.Connection) -> tuple[bytes, bytes, bytes]:
    head = connection.next_event()
    assert isinstance(head, h11.Request), head
    body = bytearray()
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), event
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    if connection.our_state is h11.DONE:
        connection.start_next_cycle()
    return head.method, head.target, bytes(body)

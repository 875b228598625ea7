"""Batches to a port that is full, away, restarted or not ours: each label is answered for once."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sidecar.adminport import AdminRefused, AdminUnreachable
from sidecar.labelclient import MAX_WAIT_S, LabelClient
from sidecar.labelfile import Row

ROWS = [Row(k, {"request_id": f"r{k}", "label": k}) for k in range(1, 9)]
FULL = {"error": "too many labels are waiting", "remedy": "send them again"}
Reply = tuple[int, Any, dict[str, str]]


class Port:
    """Answers what ``reply`` says about the labels that came."""

    def __init__(self) -> None:
        self.reply: Callable[[list[Any]], Reply] = lambda _: (200, {"items": []}, {})
        self.bodies: list[list[Any]] = []
        self.tokens: list[str | None] = []
        port = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                rows = [json.loads(line) for line in gzip.decompress(raw).splitlines()]
                port.bodies.append(rows)
                port.tokens.append(self.headers.get("authorization"))
                status, content, headers = port.reply(rows)
                if status == 0:
                    self.close_connection = True
                    return
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in (headers | {"content-length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.now_s += wait_s


@pytest.fixture
def port() -> Iterator[Port]:
    one = Port()
    yield one
    one.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(port: Port, clock: Clock) -> Iterator[LabelClient]:
    one = LabelClient(port.url, "secret", patience_s=100.0, sleep=clock.sleep, clock_s=clock)
    yield one
    one.close()


def results(client: LabelClient, rows: list[Row] = ROWS) -> list[str]:
    told = client.send(rows)
    assert [one.row for one in told] == rows
    return [one.result for one in told]


def test_what_the_answer_does_not_name_is_accepted(port: Port, client: LabelClient) -> None:
    item = {"index": 2, "request_id": "r3", "result": "unknown", "because": "no such id"}
    port.reply = lambda _: (200, {"items": [item]}, {})
    told = client.send(ROWS)
    assert [one.result for one in told] == ["accepted"] * 2 + ["unknown"] + ["accepted"] * 5
    assert told[2].because == "no such id" and told[2].row.line == 3
    assert port.bodies == [[row.fields for row in ROWS]]
    assert port.tokens == ["Bearer secret"]


def test_a_lone_conflict_is_a_result_and_no_refusal(port: Port, client: LabelClient) -> None:
    item = {"index": 0, "request_id": "r1", "result": "conflict", "because": "another came first"}
    port.reply = lambda _: (409, {"error": "-", "remedy": "-", "items": [item]}, {})
    (told,) = client.send(ROWS[:1])
    assert (told.result, told.because) == ("conflict", "another came first")


def test_corrections_are_counted_though_the_answer_does_not_name_them(
    port: Port, client: LabelClient
) -> None:
    port.reply = lambda _: (200, {"corrected": 2, "items": []}, {})
    rows = [Row(k, {"request_id": f"r{k}", "label": k, "correct": k > 1}) for k in range(5)]
    assert sorted(results(client, rows)) == ["accepted"] * 3 + ["corrected"] * 2


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told_and_sends_all_again(
    port: Port, client: LabelClient, clock: Clock, status: int
) -> None:
    replies: list[Reply] = [(status, FULL, {"retry-after": "7"})] * 2
    replies += [(status, FULL, {"retry-after": "9999"}), (200, {"items": []}, {})]
    port.reply = lambda _: replies.pop(0)
    assert results(client) == ["accepted"] * 8
    assert clock.waits == [7.0, 7.0, MAX_WAIT_S]
    assert port.bodies == [[row.fields for row in ROWS]] * 4


def test_a_connection_that_breaks_is_made_anew(
    port: Port, client: LabelClient, clock: Clock
) -> None:
    replies: list[Reply] = [(0, None, {}), (0, None, {}), (200, {"items": []}, {})]
    port.reply = lambda _: replies.pop(0)
    assert results(client) == ["accepted"] * 8
    assert clock.waits == [0.5, 1.0]


def test_nothing_that_answers_is_given_up_after_a_while(clock: Clock) -> None:
    said: list[str] = []
    client = LabelClient(
        "http://127.0.0.1:1",
        patience_s=20.0,
        sleep=clock.sleep,
        clock_s=clock,
        on_wait=lambda _, why: said.append(why),
    )
    with pytest.raises(AdminUnreachable, match="given up after 20 s"):
        client.send(ROWS)
    assert clock.waits == [0.5, 1.0, 2.0, 4.0, 8.0] and len(said) == 5
    client.close()


def test_a_port_that_stays_full_is_given_up_too(
    port: Port, client: LabelClient, clock: Clock
) -> None:
    port.reply = lambda _: (429, FULL, {"retry-after": "30"})
    with pytest.raises(AdminUnreachable, match="too many labels are waiting"):
        client.send(ROWS)
    assert clock.now_s <= 100.0


@pytest.mark.parametrize("status", [401, 403, 404, 405, 415, 421])
def test_a_refusal_is_not_repeated(port: Port, client: LabelClient, status: int) -> None:
    port.reply = lambda _: (status, {"error": "no", "remedy": "do"}, {})
    with pytest.raises(AdminRefused, match=f"{status}: no; do"):
        client.send(ROWS)
    assert len(port.bodies) == 1


def test_what_is_too_large_is_halved_until_one_label_is(port: Port, client: LabelClient) -> None:
    def reply(rows: list[Any]) -> Reply:
        if len(rows) > 2 or rows[0]["request_id"] == "r3":
            return 413, {"error": "too large", "remedy": "less"}, {}
        return 200, {"items": []}, {}

    port.reply = reply
    assert results(client) == ["accepted"] * 2 + ["invalid"] + ["accepted"] * 5


def test_what_cannot_be_read_as_a_whole_is_asked_about_one_by_one(
    port: Port, client: LabelClient
) -> None:
    port.reply = lambda rows: (
        (400, {"error": "not JSON", "remedy": "-"}, {})
        if len(rows) > 1 or rows[0]["request_id"] == "r1"
        else (200, {"items": []}, {})
    )
    assert results(client, ROWS[:3]) == ["invalid", "accepted", "accepted"]


@pytest.mark.parametrize(
    "content", [b"<html>", {"items": 7}, {}, [], {"items": [{"index": 99, "result": "late"}]}]
)
def test_another_port_that_says_200_is_not_believed(
    port: Port, client: LabelClient, content: Any
) -> None:
    port.reply = lambda _: (200, content, {})
    with pytest.raises(AdminUnreachable):
        client.send(ROWS)

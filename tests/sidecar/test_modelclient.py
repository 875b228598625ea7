import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sidecar.adminport import AdminRefused, AdminUnreachable
from sidecar.modelclient import register


class Port:
    """Answers each registration with what the test sets."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (201, b"{}")
        self.seen: list[tuple[str, Any, bytes]] = []
        port = self

        class Requests(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                port.seen.append((self.path, dict(self.headers), body))
                status, raw = port.answer
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test output clean."""

        self.server = HTTPServer(("127.0.0.1", 0), Requests)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()


@pytest.fixture
def port() -> Iterator[Port]:
    one = Port()
    yield one
    one.server.shutdown()
    one.thread.join()
    one.server.server_close()


def test_body_is_packed_and_the_token_is_shown(port: Port) -> None:
    port.answer = (201, b'{"new": true}')
    assert register(port.url, b"{}", "secret") == {"new": True}
    [(path, headers, body)] = port.seen
    assert path == "/v1/models" and gzip.decompress(body) == b"{}"
    assert headers["authorization"] == "Bearer secret"
    assert headers["content-type"] == "application/json"


def test_refusal_is_quoted_with_its_remedy(port: Port) -> None:
    port.answer = (409, json.dumps({"error": "other digest", "remedy": "a new one"}).encode())
    with pytest.raises(AdminRefused, match="409: other digest; a new one"):
        register(port.url, b"{}", "secret")


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b""])
def test_what_is_no_admin_port_is_said(port: Port, raw: bytes) -> None:
    port.answer = (200, raw)
    with pytest.raises(AdminUnreachable, match="is it the admin port"):
        register(port.url, b"{}", "secret")


def test_silence_is_said() -> None:
    with pytest.raises(AdminUnreachable, match="nothing answers"):
        register("http://127.0.0.1:1", b"{}", "secret")

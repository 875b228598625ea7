"""An admin port that answers what a test told it to."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Answer = tuple[int, Any]


class FakeAdmin:
    """Serves ``answers`` (path with query -> status and body) while it is entered.

    A list of answers is given one after the other; the last one stays.
    """

    def __init__(self, answers: Mapping[str, Answer | list[Answer]]) -> None:
        self.asked: list[str] = []
        self.sent: list[tuple[dict[str, str], Any]] = []
        """Headers (lower case) and content of each POST."""
        self.headers: list[dict[str, str]] = []
        asked, sent, headers = self.asked, self.sent, self.headers

        class Requests(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                said = {name.lower(): value for name, value in self.headers.items()}
                sent.append((said, json.loads(self.rfile.read(size))))
                self.do_GET()

            def do_GET(self) -> None:
                asked.append(self.path)
                headers.append({name.lower(): value for name, value in self.headers.items()})
                found = answers.get(self.path, (404, {"error": "not found"}))
                if isinstance(found, list):
                    found = found.pop(0) if len(found) > 1 else found[0]
                status, body = found
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="fake admin"
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeAdmin":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

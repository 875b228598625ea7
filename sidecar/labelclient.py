"""Sends labels to an admin port, batch by batch, until each is answered. Blocking.

Sending again is harmless: a label that is known counts once. So whatever was not answered is sent
again, as often as ``patience_s`` allows.
"""

import gzip
import http.client
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.adminport import AdminRefused, AdminUnreachable, address
from sidecar.labelfile import Row

PATH = "/v1/labels"
BATCH_LABELS = 5_000
BATCH_BYTES = 1 << 20
"""Unpacked; a quarter of what the port takes."""
ANSWER_S = 60.0
"""More than the port waits for its disk."""
MAX_WAIT_S = 30.0
"""Between two attempts, whatever Retry-After says."""
FIRST_WAIT_S = 0.5
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
GOOD = frozenset({"accepted", "duplicate", "corrected"})
"""What became of a label that is where it belongs."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one row."""

    row: Row
    result: str
    because: str


class LabelClient:
    """One connection, kept. ``close`` it."""

    def __init__(
        self,
        admin: str,
        token: str = "",
        *,
        patience_s: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
        on_wait: Callable[[float, str], None] = lambda _wait_s, _why: None,
    ) -> None:
        self._admin = admin
        host, port = address(admin)
        self._connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
        self._headers = {
            "content-type": "application/x-ndjson",
            "content-encoding": "gzip",
            "accept": "application/json",
        }
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self._patience_s = patience_s
        self._sleep = sleep
        self._clock_s = clock_s
        self._on_wait = on_wait
        """Told each wait in seconds, and why."""

    def close(self) -> None:
        """End the connection; idempotent."""
        self._connection.close()

    def send(self, rows: Sequence[Row]) -> list[Told]:
        """Return what became of each row, in order; every row must have fields.

        AdminUnreachable when nothing answered for ``patience_s``, AdminRefused when the port wants
        none of this. Rows of earlier calls are acknowledged all the same.
        """
        body = b"\n".join(json.dumps(row.fields).encode() for row in rows)
        status, answer = self._until_answered(gzip.compress(body, 1))
        if status == 413 and len(rows) > 1:
            half = len(rows) // 2
            return self.send(rows[:half]) + self.send(rows[half:])
        if status == 400 and len(rows) > 1:  # not one of them can be read: find out why, each
            return [told for row in rows for told in self.send([row])]
        if status in (400, 413):
            return [Told(rows[0], "invalid", _error(answer))]
        if status not in (200, 409):  # 409: the one label that was sent is in conflict
            raise AdminRefused(f"{self._admin}{PATH} answered {status}: {_error(answer)}")
        return _told(rows, *self._parsed(answer), self._admin)

    def _until_answered(self, body: bytes) -> tuple[int, bytes]:
        """Send ``body`` until it is answered for good; return status and answer."""
        began_s, wait_s = self._clock_s(), FIRST_WAIT_S
        while True:
            try:
                status, answer, asked_s = self._post(body)
                if status not in AGAIN:
                    return status, answer
                why = f"{status}: {_error(answer)}"
            except (OSError, http.client.HTTPException) as exc:
                self._connection.close()
                asked_s, why = (
                    0.0,
                    f"nothing answers at {self._admin} ({exc or type(exc).__name__})",
                )
            pause_s = min(MAX_WAIT_S, asked_s or wait_s)
            if self._clock_s() - began_s + pause_s > self._patience_s:
                raise AdminUnreachable(f"given up after {self._patience_s:g} s: {why}")
            self._on_wait(pause_s, why)
            self._sleep(pause_s)
            wait_s = min(MAX_WAIT_S, 2.0 * wait_s)

    def _post(self, body: bytes) -> tuple[int, bytes, float]:
        """Return status, answer, and how long we are asked to wait (0: it is not said)."""
        self._connection.request("POST", PATH, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        asked = response.headers.get("retry-after", "")
        return response.status, answer, float(asked) if asked.isdecimal() else 0.0

    def _parsed(self, answer: bytes) -> tuple[list[dict[str, object]], int]:
        """Return the rows that were not taken, and how many took the place of others."""
        try:
            content = json.loads(answer)
            items, corrected = content["items"], content.get("corrected", 0)
            assert isinstance(items, list) and isinstance(corrected, int)
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as exc:
            raise AdminUnreachable(f"{self._admin} is not Understudy's admin port") from exc
        return items, corrected


def _told(
    rows: Sequence[Row], items: Sequence[dict[str, object]], corrected: int, admin: str
) -> list[Told]:
    """Join the answer's rows, which name what was not taken by its index, with ours.

    Which labels took the place of others is not said, only how many: any of those that may have.
    """
    found = {item.get("index"): item for item in items}
    told = []
    for index, row in enumerate(rows):
        item = found.pop(index, None)
        if item is not None:
            told.append(Told(row, str(item.get("result")), str(item.get("because", ""))))
        elif corrected and (row.fields or {}).get("correct"):
            told.append(Told(row, "corrected", ""))
            corrected -= 1
        else:
            told.append(Told(row, "accepted", ""))
    if found:
        raise AdminUnreachable(f"{admin} answered for labels that were not sent")
    return told


def _error(answer: bytes) -> str:
    """Return what a refusal says."""
    try:
        found = json.loads(answer)
        return f"{found['error']}; {found['remedy']}"
    except (ValueError, KeyError, TypeError):
        return answer[:300].decode("utf-8", "replace")

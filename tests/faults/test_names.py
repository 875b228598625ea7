"""F12: the name server fails, hangs or is not there, and no request fails for it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from router.resolver import Resolver
from router.table import Variant
from tests.router.kit import Rig, get, post, rig, until

ROOT = Path(__file__).parents[2]
SILENT_S = float(os.environ.get("UNDERSTUDY_DNS_LOSS_S", "14"))
"""Longer than a refresh (6 s at most) and a late lookup (5 s) together."""
INSIDE = """
ip link set lo up
mount --bind "$1/resolv.conf" /etc/resolv.conf
exec "$2" -m tests.faults.nameless "$1" "$3"
"""


def may_unshare() -> bool:
    """Whether this user may have namespaces of its own: root, mostly."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    asked = ["unshare", "--net", "--mount", "ip", "link", "set", "lo", "up"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not may_unshare(), reason="needs a network namespace: run as root")
def test_whole_sidecar_serves_on_while_its_name_server_is_silent(tmp_path: Path) -> None:
    """glibc, a real resolv.conf, and a UDP port that takes every question and answers none."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    command = [
        "unshare", "--net", "--mount", "sh", "-ec", INSIDE, "sh",
        str(tmp_path), sys.executable, str(SILENT_S),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SILENT_S + 90, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    saw = json.loads(done.stdout)
    assert saw["failed"] == []
    assert saw["answered_in_silence"] > 100 and saw["asked_in_silence"] >= 1
    assert saw["dns_failures"] >= 1
    assert saw["said"] == 3  # each process once: the router, its successor, the controller
    assert saw["status_after_restart"] == 200  # from what the controller process wrote down
    assert saw["unready"] == 0
    assert saw["threads"] <= 4  # one lookup at a time, however long it hangs


async def named(r: Rig, look_up: object) -> None:
    """Have the champion found by a name that ``look_up`` knows."""
    counters = r.server.counters
    r.server.network.resolver = Resolver(counters, look_up, refresh_s=0.02)  # type: ignore[arg-type]
    r.use(variants=(Variant(name="champion", host="model.test", port=r.champion.port),))
    assert (await (await r.client()).ask(get())).status == 200


async def test_lookups_that_fail_or_hang_cost_no_request_and_no_time() -> None:
    free = threading.Event()
    free.set()
    is_failing = False

    def look_up(host: str) -> tuple[str, ...]:
        free.wait(10)
        if is_failing:
            raise OSError("temporary failure in name resolution")
        return ("127.0.0.1",)

    async with rig(variants={"keepalive_s": 0.0}) as r:
        await named(r, look_up)
        client = await r.client()
        failures = "understudy_dns_failures_total|host=model.test"
        for trouble in ("fails", "hangs"):
            is_failing = trouble == "fails"
            free.clear() if trouble == "hangs" else None
            took_s = []
            for n in range(100):
                r.pool().close_idle(time.monotonic() + 60)  # each on a connection of its own
                began = time.monotonic()
                assert (await client.ask(post(b"%d" % n))).status == 200
                took_s.append(time.monotonic() - began)
            assert sorted(took_s)[95] < 0.5  # who waited for a name would wait for ten seconds
        assert r.events[failures] >= 1
        free.set()
        r.server.network.resolver.close()


async def test_name_that_never_resolved_is_502_within_the_connect_timeout_and_then_served() -> None:
    found: list[str] = []

    def look_up(host: str) -> tuple[str, ...]:
        if not found:
            raise OSError("no such host")
        return tuple(found)

    async with rig() as r:
        r.server.network.resolver = Resolver(r.server.counters, look_up, refresh_s=0.02)
        settings = {"host": "model.test", "connect_timeout_s": 0.2}
        r.use(variants=(Variant(name="champion", port=r.champion.port, **settings),))  # type: ignore[arg-type]
        clients = [await r.client() for _ in range(20)]
        began = time.monotonic()
        answers = await asyncio.gather(*(client.ask(get()) for client in clients))
        assert {one.status for one in answers} == {502}
        assert time.monotonic() - began < 4.0  # a fifth of a second, and room for a busy machine
        found.append("127.0.0.1")
        await until(lambda: r.server.network.resolver._followed["model.test"][0].addresses)
        assert (await clients[0].ask(get())).status == 200
        r.server.network.resolver.close()

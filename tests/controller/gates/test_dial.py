import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from controller.gates import dial
from controller.gates.dial import NoAnswer, get
from router.table import Tls, Variant
from tests.router.pki import Authority


async def answers(request: web.Request) -> web.Response:
    return web.Response(
        text="hello", headers={"X-Digest": "abc", "X-Host": request.headers["host"]}
    )


@pytest.fixture
async def serve() -> AsyncIterator[Any]:
    runners = []

    async def start(handler: Any = answers, **where: Any) -> int:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        socket = where.pop("path", None)
        site = (
            web.UnixSite(runner, socket) if socket else web.TCPSite(runner, "127.0.0.1", 0, **where)
        )
        await site.start()
        return 0 if socket else runner.addresses[0][1]

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_answer_comes_back_whole(serve: Any) -> None:
    port = await serve()
    found = await get(Variant(name="v", host="127.0.0.1", port=port), "/a?b=c", {"host": "m.test"})
    assert (found.status, found.body) == (200, b"hello")
    assert found.headers["x-digest"] == "abc" and found.headers["x-host"] == "m.test"


async def test_unix_socket_is_dialled(serve: Any, tmp_path: Path) -> None:
    socket = str(tmp_path / "m.sock")
    await serve(path=socket)
    found = await get(Variant(name="v", host="localhost", port=80, socket=socket), "/", {})
    assert found.body == b"hello"


async def test_tls_is_verified(serve: Any, tmp_path: Path) -> None:
    import ssl

    authority = Authority(tmp_path)
    cert, key = authority.issue("m.test", names="DNS:m.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    port = await serve(ssl_context=context)
    ca = str(tmp_path / "authority.pem")
    good = Variant(name="v", host="127.0.0.1", port=port, tls=Tls(ca=ca, server_name="m.test"))
    assert (await get(good, "/", {})).body == b"hello"
    bad = Variant(name="v", host="127.0.0.1", port=port, tls=Tls(ca=ca, server_name="x.test"))
    with pytest.raises(NoAnswer, match="Certificate"):
        await get(bad, "/", {})
    gone = Variant(name="v", host="127.0.0.1", port=port, tls=Tls(ca=str(tmp_path / "gone")))
    with pytest.raises(NoAnswer, match="certificate: "):
        await get(gone, "/", {})


async def test_what_does_not_answer_is_said(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoAnswer, match="ClientConnector"):
        await get(Variant(name="v", host="127.0.0.1", port=1), "/", {})

    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError("nobody waits so long")

    port = await serve(never)
    slow = Variant(name="v", host="127.0.0.1", port=port, response_timeout_s=0.2)
    with pytest.raises(NoAnswer, match="no answer in time"):
        await get(slow, "/", {})
    monkeypatch.setattr(dial, "ANSWER_LIMIT_BYTES", 4)
    port = await serve()
    with pytest.raises(NoAnswer, match="larger than 4 bytes"):
        await get(Variant(name="v", host="127.0.0.1", port=port), "/", {})

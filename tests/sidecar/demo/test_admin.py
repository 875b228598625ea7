from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.demo.admin import Admin, AdminError, order_faults

NOBODY = "http://127.0.0.1:9"


class Port:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.refuses = 0
        self.plans: list[object] = []

    async def get(self, request: web.Request) -> web.Response:
        if self.refuses or request.path not in self.answers:
            self.refuses -= 1
            return web.json_response({"error": "not now"}, status=503)
        return web.json_response(self.answers[request.path])

    async def fail(self, request: web.Request) -> web.Response:
        self.plans.append(await request.json())
        return web.json_response({}, status=400 if self.refuses else 200)


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
async def url(port: Port) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/{path:.*}", port.get)
    application.router.add_post("/-/fail", port.fail)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
async def admin(url: str) -> AsyncIterator[Admin]:
    admin = Admin(url)
    yield admin
    await admin.close()


@pytest.fixture
async def nobody() -> AsyncIterator[Admin]:
    admin = Admin(NOBODY)
    yield admin
    await admin.close()


async def test_route_is_what_the_port_says(admin: Admin, port: Port) -> None:
    port.answers["/v1/routes/digits"] = {"phase": "shadow"}
    assert await admin.route("digits") == {"phase": "shadow"}


async def test_route_is_unknown_while_nothing_answers(admin: Admin, nobody: Admin) -> None:
    assert await admin.route("digits") is None
    assert await nobody.route("digits") is None


async def test_waiting_ends_when_the_sidecar_is_ready(admin: Admin, port: Port) -> None:
    port.answers["/readyz"] = {}
    port.refuses = 3
    assert not await admin.is_ready()
    await admin.wait_ready(within_s=5.0)
    assert await admin.is_ready()


async def test_sidecar_that_does_not_get_ready_is_a_timeout(nobody: Admin) -> None:
    with pytest.raises(TimeoutError):
        await nobody.wait_ready(within_s=0.3)


async def test_only_true_is_verified(admin: Admin, port: Port) -> None:
    for verified, expected in ((True, True), (False, False), (1, False), ("true", False)):
        port.answers["/v1/audit/verify"] = {"verified": verified}
        assert await admin.is_audit_verified() is expected


async def test_decisions_are_the_records(admin: Admin, port: Port) -> None:
    port.answers["/v1/decisions"] = {"decisions": [{"action": "promote"}]}
    assert await admin.decisions() == [{"action": "promote"}]


async def test_question_without_an_answer_is_an_error(admin: Admin, nobody: Admin) -> None:
    for asked in (admin, nobody):
        with pytest.raises(AdminError, match="GET /v1/audit/verify"):
            await asked.is_audit_verified()


@pytest.mark.parametrize("answer", [{}, [], 7])
async def test_answer_against_the_contract_is_an_error(
    admin: Admin, port: Port, answer: object
) -> None:
    port.answers |= {"/v1/audit/verify": answer, "/v1/decisions": answer}
    with pytest.raises(AdminError):
        await admin.is_audit_verified()
    with pytest.raises(AdminError):
        await admin.decisions()


async def test_faults_are_ordered_as_planned(url: str, port: Port) -> None:
    await order_faults(url, {"errors": 3})
    assert port.plans == [{"errors": 3}]


async def test_server_that_does_not_obey_is_an_error(url: str, port: Port) -> None:
    port.refuses = 1
    with pytest.raises(aiohttp.ClientError):
        await order_faults(url, {"errors": 3})

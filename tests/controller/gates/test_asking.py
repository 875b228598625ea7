import socket

import aiohttp
import pytest

from controller.gates.asking import TooLargeAnswer, asking, fault_of
from router.table import Match, Variant
from tests.controller.gates.models import Model, served

MATCH = Match(path="/v1/models/digits:predict")


async def test_an_answer_comes_with_its_time_and_the_evaluators_form():
    async with served(Model(lambda x: {"prediction": x})) as variant:
        async with asking(variant, MATCH) as asker:
            answer = await asker.post(b"7")
    assert (answer.status, answer.body) == (200, b'{"prediction": 7}')
    outcome = answer.outcome("digits-2")
    assert (outcome.fault, outcome.body_bytes, outcome.variant) == ("", 17, "digits-2")
    assert outcome.latency_s > 0.0


async def test_a_status_of_500_is_a_fault_of_the_variant():
    model = Model(lambda x: x)
    model.status = 503
    async with served(model) as variant, asking(variant, MATCH) as asker:
        assert (await asker.post(b"7")).outcome("v").fault == "status"


async def test_a_prefix_route_is_asked_at_its_prefix():
    async with served(Model(lambda x: x)) as variant:
        async with asking(variant, Match(path="/p/*")) as asker:
            assert asker.path == "/p/"


async def test_a_larger_answer_than_is_read_is_refused():
    async with served(Model(lambda x: "a" * 100)) as variant:
        async with asking(variant, MATCH, limit_bytes=50) as asker:
            with pytest.raises(TooLargeAnswer, match="larger than 50 bytes"):
                await asker.post(b"7")


async def test_nobody_there_is_an_error_with_a_sentence():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        variant = Variant(name="gone", host="127.0.0.1", port=probe.getsockname()[1])
        async with asking(variant, MATCH) as asker:
            with pytest.raises((aiohttp.ClientError, OSError)) as raised:
                await asker.post(b"7")
    assert fault_of(raised.value).startswith("no answer: Connection refused")
    assert fault_of(TimeoutError()) == "no answer in time"


async def test_a_refused_connection_is_told_without_the_librarys_own_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{port}/")
    assert fault_of(caught.value) == "no answer: Connection refused"

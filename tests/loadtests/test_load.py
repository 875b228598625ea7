import asyncio
import sys
from pathlib import Path

import pytest

from loadtests.generator import run, write_out
from loadtests.load import LoadFailed, generator_command, parse
from loadtests.upstream import Answer, Tally
from loadtests.work import PACED, PREDICT, STREAM, Work

OUTPUT = """Running 2s test
RESULT {"requests": 10, "seconds": 2.0, "bad_statuses": 1, "broken": 0, "p50_ms": 1, "p99_ms": 2}
"""


def test_result_is_found_among_what_the_generator_says() -> None:
    result = parse(OUTPUT)
    assert (result.requests, result.bad_statuses) == (10, 1)
    assert result.requests_per_s == 5.0


def test_generator_without_a_result_is_an_error_that_quotes_it() -> None:
    with pytest.raises(LoadFailed, match="unable to connect"):
        parse("unable to connect to 127.0.0.1")


def test_our_own_generator_stands_in_where_wrk_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = generator_command(port=1, work=PREDICT, seconds=1, directory=tmp_path)
    assert command[:3] == [sys.executable, "-m", "loadtests.generator"]
    assert len(Path(command[-1]).read_bytes()) == PREDICT.request_bytes


@pytest.mark.parametrize(
    ("work", "generator"), [(STREAM, "loadtests.stream"), (PACED, "loadtests.paced")]
)
def test_streams_and_paced_requests_have_generators_of_their_own(
    work: Work, generator: str, tmp_path: Path
) -> None:
    command = generator_command(1, work=work, seconds=1, directory=tmp_path, rate_per_s=50.0)
    assert command[:3] == [sys.executable, "-m", generator]
    assert ("--rate" in command) == (work is PACED)


async def load_own_generator(tally: Tally) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answer(tally), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        requests = write_out("a", "/predict", "x-user-id", 3, b"{}")
        return await run("127.0.0.1", port, requests, connections=4, seconds=0.2)


async def test_our_own_generator_counts_what_the_upstream_has_served() -> None:
    tally = Tally(b"{}")
    result = await load_own_generator(tally)
    assert result["requests"] == tally.predictions > 0
    assert (result["bad_statuses"], result["broken"]) == (0, 0)
    assert 0 < result["p50_ms"] <= result["p99_ms"]


async def test_our_own_generator_counts_every_answer_but_200() -> None:
    tally = Tally(b"{}")
    tally.answer = tally.answer.replace(b"200 OK", b"204 OK").replace(b": 2\r\n", b": 0\r\n")[:-2]
    result = await load_own_generator(tally)
    assert result["bad_statuses"] == result["requests"] > 0


async def test_our_own_generator_counts_refused_connections() -> None:
    requests = write_out("a", "/", "x-user-id", 1, b"{}")
    result = await run("127.0.0.1", 1, requests, connections=3, seconds=0.1)
    assert (result["requests"], result["broken"]) == (0, 3)

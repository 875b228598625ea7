import pytest

from loadtests.load import LoadResult
from loadtests.turn import Served, find_faults
from loadtests.work import BODY_1M, PREDICT, Mode


def make_result(requests: int = 1000, bad_statuses: int = 0, broken: int = 0) -> LoadResult:
    return LoadResult(
        requests=requests,
        seconds=1.0,
        bad_statuses=bad_statuses,
        broken=broken,
        p50_ms=1.0,
        p99_ms=2.0,
    )


@pytest.mark.parametrize(
    ("mode", "champion", "challenger"),
    [
        (Mode.SPLIT, 520, 480),
        (Mode.SPLIT, 530, 500),  # requests under way when the load ended
        (Mode.MIRROR, 1000, 1000),
        (Mode.MIRROR, 1010, 995),
        (Mode.RELAY, 1000, 0),
    ],
)
def test_work_done_has_no_fault(mode: Mode, champion: int, challenger: int) -> None:
    served = Served(champion=champion, challenger=challenger)
    assert find_faults(mode, PREDICT, make_result(), served) == ()


@pytest.mark.parametrize(
    ("mode", "champion", "challenger", "fault"),
    [
        (Mode.SPLIT, 400, 400, "1000 answers, only 800 of them from an upstream"),
        (Mode.MIRROR, 500, 1000, "1000 answers, only 500 of them from an upstream"),
        (Mode.RELAY, 0, 1000, "1000 answers, only 0 of them from an upstream"),
        (Mode.SPLIT, 700, 300, "the challenger served 30% instead of half"),
        (Mode.SPLIT, 0, 1000, "the challenger served 100% instead of half"),
        (Mode.MIRROR, 1000, 900, "only 90.0% of the requests were copied"),
    ],
)
def test_work_not_done_is_named(mode: Mode, champion: int, challenger: int, fault: str) -> None:
    served = Served(champion=champion, challenger=challenger)
    assert find_faults(mode, PREDICT, make_result(), served) == (fault,)


def test_bad_answers_and_broken_connections_are_faults() -> None:
    served = Served(champion=500, challenger=500)
    faults = find_faults(Mode.SPLIT, PREDICT, make_result(bad_statuses=3, broken=2), served)
    assert faults == (
        "3 of 1000 answers were not 200",
        "2 connections were refused, cut or timed out",
    )


def test_silence_is_a_fault() -> None:
    faults = find_faults(
        Mode.RELAY, PREDICT, make_result(requests=0), Served(champion=0, challenger=0)
    )
    assert faults == ("no request was answered",)


def test_few_users_may_lie_further_from_half_by_chance() -> None:
    served = Served(champion=660, challenger=340)
    assert find_faults(Mode.SPLIT, BODY_1M, make_result(), served) == ()
    assert find_faults(Mode.SPLIT, PREDICT, make_result(), served) != ()

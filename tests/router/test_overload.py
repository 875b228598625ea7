"""What is given up at which pressure, and when it is taken back."""

import doctest

import pytest

from router import overload
from router.overload import LADDER, Reading, Relief, relieve, share_out

CALM = {"lag": 0.0, "memory": 0.0, "requests": 0.0}
SHED, END, REFUSE = Relief.SHED_MIRRORS, Relief.END_KEEP_ALIVE, Relief.REFUSE_REQUESTS


def read(**measures: float) -> Reading:
    return Reading(**(CALM | measures))


@pytest.mark.parametrize(
    ("measures", "relief"),
    [
        ({}, Relief.NONE),
        ({"lag": 0.99}, Relief.NONE),
        ({"lag": 1.0}, SHED),
        ({"lag": 9.9}, SHED),
        ({"lag": 10.0}, SHED | REFUSE),
        ({"memory": 0.79}, Relief.NONE),
        ({"memory": 0.80}, SHED),
        ({"memory": 0.90}, SHED | END),
        ({"memory": 0.95}, SHED | END | REFUSE),
        ({"memory": 1.5}, SHED | END | REFUSE),
        ({"requests": 0.8}, SHED),
        ({"requests": 1.0}, SHED | REFUSE),
    ],
)
def test_mirrors_go_first_then_keep_alive_then_requests(
    measures: dict[str, float], relief: Relief
) -> None:
    assert relieve(read(**measures), Relief.NONE) == relief


@pytest.mark.parametrize("rung", LADDER, ids=lambda rung: f"{rung.measure}-{rung.relief.name}")
def test_each_rung_is_left_at_its_lower_mark(rung: overload.Rung) -> None:
    assert rung.leave <= rung.enter
    assert rung.relief in relieve(read(**{rung.measure: rung.leave}), rung.relief)
    assert rung.relief not in relieve(read(**{rung.measure: rung.leave - 0.01}), rung.relief)


@pytest.mark.parametrize("measure", ["lag", "memory", "requests"])
def test_no_measure_refuses_anybody_before_it_sheds_mirrors(measure: str) -> None:
    marks = {rung.relief: rung.enter for rung in LADDER if rung.measure == measure}
    assert marks[SHED] < marks[REFUSE]


def test_late_loop_does_not_end_keep_alive() -> None:
    """Opening a connection again costs the time that is short."""
    assert END not in relieve(read(lag=1000.0), Relief.NONE)


@pytest.mark.parametrize("n", [8, 20, 64, 256, 1024, 20_000, 2**20])
def test_clients_and_variants_together_stay_below_the_descriptors(n: int) -> None:
    clients, upstreams = share_out(8192, n)
    assert clients <= 8192 and clients <= n // 2
    if n >= 256:
        assert clients + clients // overload.REFUSED_SHARE + upstreams <= n - 32
    assert upstreams >= 1


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(overload).failed == 0

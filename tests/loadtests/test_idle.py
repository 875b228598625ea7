import os

import pytest

from loadtests.idle import connections_of, holding, workers_share
from loadtests.upstream import respond
from tests.loadtests.test_paced import serve


def test_connections_are_held_open_after_one_answer_each() -> None:
    slow = serve()
    with holding(slow.address[1], 20) as held:
        assert (held.n_answered, held.n_open()) == (20, 20)
    slow.stop()
    assert slow.served == 20


def test_connection_that_is_ended_by_the_other_side_is_not_open() -> None:
    slow = serve(answer=respond(b"200 OK", b"{}"))
    with holding(slow.address[1], 2) as held:
        held.sockets[0].shutdown(2)
        assert held.n_open() == 1
    slow.stop()


def test_connections_of_a_process_are_counted_by_port() -> None:
    slow = serve()
    us, port = os.getpid(), slow.address[1]
    assert connections_of(us, port) == 0
    with holding(port, 3):
        assert connections_of(us, port) == 3  # the upstream is a thread of ours
        assert workers_share([us, us], port) == 0.5
    slow.stop()


def test_port_that_refuses_is_an_error() -> None:
    with pytest.raises(OSError), holding(1, 1):
        pass

import os
import threading

from loadtests.cores import choose_cores, pin, share_cores


def test_load_never_runs_on_the_proxys_core_and_control_shares_it_on_two() -> None:
    cores = choose_cores({0, 1})
    assert cores.as_dict() == {"proxy": [0], "control": [0], "load": [1]}
    assert str(cores) == "proxy on core 0, control on core 0, load on core 1"


def test_control_has_a_core_of_its_own_where_there_are_three() -> None:
    assert choose_cores({3, 5, 7}).as_dict() == {"proxy": [3], "control": [7], "load": [5]}


def test_control_can_be_told_where_to_run() -> None:
    assert choose_cores({0, 1, 2}, "proxy").control == {0}
    assert choose_cores({0, 1}, "load").control == {1}


def test_one_core_is_everybodys() -> None:
    assert choose_cores({4}).as_dict() == {"proxy": [4], "control": [4], "load": [4]}


def test_workers_have_a_core_each_and_all_else_shares_these_and_no_others() -> None:
    assert share_cores({0, 1}, 2).as_dict() == {"proxy": [0, 1], "control": [0, 1], "load": [0, 1]}
    assert share_cores({0, 1}, 1).as_dict() == {"proxy": [0], "control": [0], "load": [0]}
    assert share_cores({0, 1, 2}, 1).load == {0}


def test_load_has_cores_of_its_own_beside_one_worker_and_two_where_there_are_four() -> None:
    assert share_cores(range(4), 1).as_dict()["load"] == [2, 3]
    assert share_cores(range(4), 2).as_dict()["load"] == [2, 3]


def test_pinning_moves_every_thread_of_a_process() -> None:
    before = os.sched_getaffinity(0)
    go, done = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def look() -> None:
        go.wait(10)
        seen.append(os.sched_getaffinity(0))
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        pin([os.getpid()], {min(before)})
        go.set()
        assert done.wait(10)
        assert seen == [{min(before)}]
    finally:
        pin([os.getpid()], before)
        thread.join()

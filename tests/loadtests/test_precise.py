import socket

from loadtests.precise import Loop, now


def test_timers_run_in_order_of_their_times_and_not_early() -> None:
    loop, seen = Loop(), []
    began = now()
    loop.at(began + 0.02, loop.stop)
    loop.at(began + 0.01, lambda: seen.append(("second", now() - began)))
    loop.at(began + 0.005, lambda: seen.append(("first", now() - began)))
    loop.run()
    loop.close()
    assert [name for name, _ in seen] == ["first", "second"]
    assert seen[0][1] >= 0.005
    assert seen[1][1] >= 0.01


def test_two_timers_at_one_time_both_run() -> None:
    loop, seen = Loop(), []
    due = now()
    loop.at(due, lambda: seen.append(1))
    loop.at(due, lambda: seen.append(2))
    loop.at(due + 0.001, loop.stop)
    loop.run()
    loop.close()
    assert seen == [1, 2]


def test_socket_calls_back_until_it_is_forgotten() -> None:
    loop, seen = Loop(), []
    ours, theirs = socket.socketpair()

    def read() -> None:
        seen.append(ours.recv(1))
        if len(seen) == 2:
            loop.forget(ours)
            loop.at(now() + 0.01, loop.stop)

    with ours, theirs:
        loop.on_readable(ours, read)
        theirs.send(b"abc")
        loop.run()
    loop.close()
    assert seen == [b"a", b"b"]

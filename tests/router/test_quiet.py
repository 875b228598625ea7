"""A connection is ended only when nothing of its client's is on its way in."""

import socket
from collections.abc import Iterator

import pytest

from router.quiet import end_if_quiet, take_queue

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        client.settimeout(5)
        yield client, server


def test_quiet_connection_is_ended_and_its_descriptor_stays(ends: Ends) -> None:
    client, server = ends
    assert end_if_quiet(server.fileno())
    assert client.recv(10) == b""
    client.send(b"late")
    assert server.recv(10) == b"late"


def test_connection_with_an_unread_request_is_left_alone(ends: Ends) -> None:
    client, server = ends
    client.send(b"POST")
    assert not end_if_quiet(server.fileno())
    assert server.recv(10) == b"POST"
    server.send(b"answer")
    assert client.recv(10) == b"answer"


def test_connection_whose_client_is_leaving_is_left_to_be_read(ends: Ends) -> None:
    client, server = ends
    client.shutdown(socket.SHUT_WR)
    assert not end_if_quiet(server.fileno())


def test_descriptor_that_is_none_is_not_quiet() -> None:
    assert not end_if_quiet(10**6)


def test_queue_of_a_listener_is_taken_whole_and_in_order() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        listener.setblocking(False)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]
        taken = take_queue(listener)
        assert [one.getpeername() for one in taken] == [one.getsockname() for one in clients]
        assert not any(one.getblocking() for one in taken)
        assert take_queue(listener) == []
    for one in (*clients, *taken):
        one.close()

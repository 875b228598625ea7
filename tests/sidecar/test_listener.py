"""The data port: one socket per worker, one port, and never a port that others listen on."""

import socket

import pytest

from sidecar import listener
from sidecar.listener import ListenError, enough, listen, listen_admin


def close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def test_workers_share_one_port() -> None:
    sockets = listen("127.0.0.1", 0, workers=3)
    ports = {each.getsockname()[1] for each in sockets}
    close(sockets)
    assert len(sockets) == 3 and len(ports) == 1 and 0 not in ports


def test_connections_wait_while_nobody_accepts() -> None:
    sockets = listen("127.0.0.1", 0, workers=1)
    address = sockets[0].getsockname()
    clients = [socket.create_connection(address, timeout=1) for _ in range(200)]
    close([*clients, *sockets])


def test_port_of_somebody_else_is_refused_even_if_they_would_share_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SO_REUSEPORT alone would give each of two sidecars half of the connections."""
    monkeypatch.setattr(listener, "BIND_PATIENCE_S", 0.0)
    sockets = listen("127.0.0.1", 0, workers=1)
    port = sockets[0].getsockname()[1]
    with pytest.raises(ListenError, match=str(port)):
        listen("127.0.0.1", port, workers=1)
    close(sockets)
    close(listen("127.0.0.1", port, workers=2))


def test_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0, workers=1)


def test_name_that_does_not_resolve_is_refused() -> None:
    with pytest.raises(ListenError, match="no such host"):
        listen("no such host", 0, workers=1)


def test_too_few_sockets_are_joined_by_more_on_their_port() -> None:
    sockets = listen("127.0.0.1", 0, workers=1)
    three = enough(sockets, 3)
    assert three[0] is sockets[0] and len(three) == 3
    assert len({each.getsockname() for each in three}) == 1
    assert enough(three, 2) == three
    close(three)


def test_admin_port_listens_on_every_address_of_its_host() -> None:
    sockets = listen_admin("127.0.0.1", 0)
    assert len(sockets) == 1
    socket.create_connection(sockets[0].getsockname(), timeout=1).close()
    close(sockets)


def test_admin_port_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BIND_PATIENCE_S", 0.0)
    sockets = listen_admin("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    with pytest.raises(ListenError, match=str(port)):
        listen_admin("127.0.0.1", port)
    close(sockets)

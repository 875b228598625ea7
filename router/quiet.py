"""Ends connections that nobody uses, so that no request is lost on the way.

A client may send its next request at the very moment at which we close. Bytes that the kernel has
and we have not read are such a request, so it is asked before, and the end is sent in the same
breath: a few microseconds remain, and the time on the wire, which no server can take away. A
client that finds the connection ended before it has an answer may tell by RFC 9112 section 9.3.1
whether to send again.
"""

import contextlib
import os
import socket


def end_if_quiet(descriptor: int) -> bool:
    """Send FIN if the kernel holds nothing unread for this socket; return whether it was sent.

    The descriptor stays open and stays its owner's.
    """
    try:
        with socket.socket(fileno=os.dup(descriptor)) as same:
            try:
                same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                return False  # a request, or the client's own end: either is read in a moment
            except BlockingIOError:
                same.shutdown(socket.SHUT_WR)
                return True
    except OSError:  # reset meanwhile, or no descriptor free to look with: next time
        return False


def take_queue(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that wait to be accepted; closing their listener would reset them."""
    taken: list[socket.socket] = []
    with contextlib.suppress(OSError):  # BlockingIOError is the end of the queue
        while True:
            client, _ = listener.accept()
            client.setblocking(False)
            taken.append(client)
    return taken

"""The same network for every peer: a namespace of its own, with loopback and nothing else.

What the host's default congestion control costs on loopback is not what a proxy costs: with BBR,
which paces by timers, an exchange takes half as much processor time again as with cubic. We switch
it off for connections within a machine (router/loopback.py), the peers cannot all be told to; so
the benchmark gives everybody the kernel's own default. It also keeps other people's ports away.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

_CLONE_NEWNET = 0x40000000
"""sched.h; os.unshare came with Python 3.12."""
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_IPV4 = Path("/proc/sys/net/ipv4")
PLAIN = ("cubic", "reno")
"""Congestion controls that do not pace, the kernel's own default first; reno is always there."""


def enter_own() -> None:
    """Move this process, and what it starts from now on, into a fresh network namespace.

    PermissionError without the right to (CAP_SYS_ADMIN). There is no way back.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no network namespace: {os.strerror(number)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # struct ifreq: the interface's name, then its flags.
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
    for name in PLAIN:
        # A namespace may take only what the host allows to all its users; reno always.
        with contextlib.suppress(OSError):
            (_IPV4 / "tcp_congestion_control").write_text(name)
            return


def congestion_control() -> str:
    """Return the name of the one that new connections get."""
    return (_IPV4 / "tcp_congestion_control").read_text().strip()


def choose_network(wanted: str) -> str:
    """Take the network that is wanted, own or host; return what it is, in words.

    Where ``own`` is not allowed it is the host's, and the words say what that means.
    """
    if wanted == "own":
        try:
            enter_own()
            return f"a namespace of its own, {congestion_control()}"
        except OSError as exc:
            reason = f" ({exc})"
    else:
        reason = ""
    name = congestion_control()
    unequal = "" if name in PLAIN else ", which costs every peer but us: not on equal terms"
    return f"the host's{reason}, {name}{unequal}"

"""The network of the benchmark: the host's, or a namespace of its own with loopback alone.

What the host's default congestion control costs on loopback is not what a proxy costs: BBR paces by
timers, and an exchange then takes more processor time. A namespace has its own default, which is
the same for every peer; it also keeps other people's ports away.
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

    OSError if ``own`` is not allowed.
    """
    if wanted == "own":
        enter_own()
        return f"a namespace of its own, {congestion_control()}"
    name = congestion_control()
    return f"the host's, {name}" + ("" if name in PLAIN else ", which may pace over loopback")

"""In processes of their own: there is no way back from a namespace."""

import subprocess
import sys

import pytest

from loadtests.network import PLAIN

OWN = """
import socket
from loadtests.network import choose_network, congestion_control
said = choose_network("own")
with socket.create_server(("127.0.0.1", 80)) as server:
    socket.create_connection(("127.0.0.1", 80)).close()
print(said, congestion_control(), sep="|")
"""
HOST = """
import os
from loadtests.network import choose_network
before = os.readlink("/proc/self/ns/net")
print(choose_network("host"), os.readlink("/proc/self/ns/net") == before, sep="|")
"""


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("|")


def test_own_network_has_loopback_and_a_congestion_control_that_does_not_pace() -> None:
    allowed = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("no right to make a network namespace")
    said, control = run(OWN)
    assert control in PLAIN
    assert said == f"a namespace of its own, {control}"


def test_hosts_network_is_left_as_it_is() -> None:
    said, is_same = run(HOST)
    assert said.startswith("the host's")
    assert is_same == "True"

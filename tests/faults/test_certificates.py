"""Certificates are renewed under load, well and badly, and no request fails for it."""

import http.client
import shutil
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.running import PATH, Sidecar
from tests.router.pki import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "pki").mkdir()
    return Authority(tmp_path / "pki")


@pytest.fixture
def sidecar(tmp_path: Path, authority: Authority) -> Iterator[Sidecar]:
    put(tmp_path, *authority.issue("first"))
    one = Sidecar(tmp_path, top="tls: {cert: ./tls.crt, key: ./tls.key}")
    yield one
    one.close()


def put(folder: Path, cert: str, key: str) -> None:
    shutil.copyfile(cert, folder / "tls.crt")
    shutil.copyfile(key, folder / "tls.key")


def ask(port: int, trusting: ssl.SSLContext) -> str:
    """Send one request on a new connection; return whose certificate was shown."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trusting)
    try:
        connection.request("POST", PATH, b"{}", {"content-type": "application/json"})
        shown = connection.sock.getpeercert()  # type: ignore[union-attr] # it is connected
        response = connection.getresponse()
        assert response.status == 200 and response.read() == b'{"predictions": ["digits-1"]}'
    finally:
        connection.close()
    assert shown is not None
    return str(shown["subject"][0][0][1])  # type: ignore[index,misc] # as the ssl module has it


def metrics(sidecar: Sidecar) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{sidecar.admin}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
def test_certificate_is_renewed_under_load_and_a_broken_one_is_not_taken(
    sidecar: Sidecar, authority: Authority
) -> None:
    trusting = ssl.create_default_context(cafile=str(authority.pem))
    second = authority.issue("second")
    assert ask(sidecar.port, trusting) == "first"
    shutil.copyfile(second[0], sidecar.folder / "tls.crt")  # without its key
    refused = 'understudy_certificate_reloads_total{certificate="listener",result="refused"} 1.0'
    ends_at_s = time.monotonic() + 20
    while refused not in metrics(sidecar):
        assert ask(sidecar.port, trusting) == "first"
        assert time.monotonic() < ends_at_s
    put(sidecar.folder, *second)
    while ask(sidecar.port, trusting) != "second":
        assert time.monotonic() < ends_at_s
    assert 'certificate_expiry_timestamp_seconds{certificate="listener"}' in metrics(sidecar)
    plain = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=5)
    plain.request("GET", "/")
    answer = plain.getresponse()
    assert (answer.status, answer.read()) == (400, b'{"error": "plain HTTP on a port for TLS"}\n')
    plain.close()
    assert sidecar.get("/readyz")[0] == 200

"""Contexts from files: what they enforce, and which file is at fault when they cannot be made."""

import ssl
import subprocess
import time
from pathlib import Path

import pytest

from router.certificate import (
    CertificateError,
    ServerTls,
    client_context,
    expires_at_s,
    not_after_s,
    server_context,
)
from router.table import Tls
from tests.router.pki import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[str, str]:
    return authority.issue("model")


def test_both_sides_want_tls_1_2_and_variants_are_always_verified(
    authority: Authority, pair: tuple[str, str]
) -> None:
    server = server_context(ServerTls(*pair))
    client = client_context(authority.trust())
    assert server.minimum_version == client.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (client.verify_mode, client.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert server.verify_mode is ssl.CERT_NONE
    assert server.options & ssl.OP_NO_RENEGOTIATION


def test_client_ca_makes_certificates_of_clients_required(
    authority: Authority, pair: tuple[str, str]
) -> None:
    server = server_context(ServerTls(*pair, client_ca=str(authority.pem)))
    assert server.verify_mode is ssl.CERT_REQUIRED


def test_without_a_ca_the_system_is_trusted() -> None:
    assert client_context(Tls()).verify_mode is ssl.CERT_REQUIRED


def test_expiry_is_what_openssl_says(pair: tuple[str, str]) -> None:
    shown = subprocess.run(
        ["openssl", "x509", "-in", pair[0], "-noout", "-enddate"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    said = ssl.cert_time_to_seconds(shown.removeprefix("notAfter=").strip())
    assert expires_at_s(pair[0]) == said
    assert 19 < (said - time.time()) / 86_400 < 21


def test_chain_expires_with_its_first_link(authority: Authority, tmp_path: Path) -> None:
    short, _ = authority.issue("short", days=3)
    long, _ = authority.issue("long", days=25)
    chain = tmp_path / "chain.pem"
    chain.write_text(Path(long).read_text() + Path(short).read_text())
    assert expires_at_s(str(chain)) == expires_at_s(short) < expires_at_s(long)


def test_year_beyond_2049_is_read_too(authority: Authority) -> None:
    far, _ = authority.issue("far", days=40 * 365)  # GeneralizedTime (RFC 5280, 4.1.2.5)
    assert 39 < (expires_at_s(far) - time.time()) / 86_400 / 365 < 41


def test_cut_or_garbled_certificates_are_errors_and_no_hang(pair: tuple[str, str]) -> None:
    der = ssl.PEM_cert_to_DER_cert(Path(pair[0]).read_text())
    whole = not_after_s(der)
    for end in range(0, len(der), 7):
        with pytest.raises(ValueError):
            not_after_s(der[:end])
    for at in range(0, 120):
        garbled = der[:at] + bytes([der[at] ^ 0xFF]) + der[at + 1 :]
        try:
            not_after_s(garbled)
        except ValueError:
            pass
    assert not_after_s(der) == whole


def fault_of(tls: ServerTls | Tls) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        server_context(tls) if isinstance(tls, ServerTls) else client_context(tls)
    return caught.value


def test_missing_file_is_named_with_its_key(authority: Authority, pair: tuple[str, str]) -> None:
    cert, key = pair
    no = str(authority.folder / "no.pem")
    for tls, at in (
        (ServerTls(no, key), "cert"),
        (ServerTls(cert, no), "key"),
        (ServerTls(cert, key, no), "client_ca"),
        (Tls(ca=no), "ca"),
        (Tls(cert=no, key=key), "cert"),
        (Tls(cert=cert, key=no), "key"),
    ):
        fault = fault_of(tls)
        assert (fault.key, fault.path, fault.why) == (at, no, "No such file or directory")


def test_key_of_another_certificate_is_refused(authority: Authority, pair: tuple[str, str]) -> None:
    _, other = authority.issue("other")
    fault = fault_of(ServerTls(pair[0], other))
    assert (fault.key, fault.why) == ("key", f"not the key of {pair[0]}")


def test_files_that_hold_something_else_are_refused(
    authority: Authority, pair: tuple[str, str], tmp_path: Path
) -> None:
    cert, key = pair
    assert fault_of(ServerTls(key, key)).why == "no certificate in it (PEM)"
    assert fault_of(ServerTls(cert, cert)).why == "no private key in it (PEM)"
    assert fault_of(Tls(ca=key)).why == "no certificate in it (PEM)"
    half = tmp_path / "half.pem"
    text = Path(cert).read_text()
    half.write_text(text[:120] + text[-60:])
    assert fault_of(ServerTls(str(half), key)).key == "cert"
    assert fault_of(Tls(ca=str(half))).key == "ca"


def test_key_with_a_password_is_refused_and_nobody_is_asked(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", pair[1], "-aes256", "-passout", "pass:x", "-out", str(locked)],
        capture_output=True, check=True,
    )  # fmt: skip
    assert "password" in fault_of(ServerTls(pair[0], str(locked))).why

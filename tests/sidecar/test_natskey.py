"""A .creds file is read whole or not at all, and no error quotes it. Against NATS's own server in
tests/sidecar/test_subscription.py."""

import base64
import doctest
from pathlib import Path

import pytest

from sidecar import natskey
from sidecar.natskey import CredentialsError, read_credentials, seed_of
from tests.sidecar.broker import creds

SEED = b"SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
"""From the documentation of NATS: docs.nats.io, NKeys."""
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_both_parts_are_read(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(creds(b"eyJ0.eyJq.c2ln", bytes(range(32))))
    found = read_credentials(tmp_path / "c")
    assert (found.jwt, found.seed) == (b"eyJ0.eyJq.c2ln", bytes(range(32)))
    assert str(found.seed) not in repr(found)


def test_a_seed_is_read_as_its_makers_do() -> None:
    signing = pytest.importorskip("nacl.signing")
    public = bytes(signing.SigningKey(seed_of(SEED)).verify_key)
    raw = base64.b32decode(PUBLIC)
    assert raw[1:33] == public


def test_a_nonce_is_signed(tmp_path: Path) -> None:
    signing = pytest.importorskip("nacl.signing")
    (tmp_path / "c").write_bytes(creds(b"jwt", bytes(range(32))))
    signature = base64.b64decode(read_credentials(tmp_path / "c").signer()("nonce"))
    signing.SigningKey(bytes(range(32))).verify_key.verify(b"nonce", signature)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        creds(b"jwt", bytes(32)).replace(b"SU", b"SX", 1),
        creds(b"jwt", bytes(32)).replace(b"SUAAAA", b"SUAAAB", 1),
        creds(b"jwt", bytes(32)).replace(b"SUAAAA", b"!!!!!!", 1),
        creds(b"jwt", bytes(32)).replace(b"USER JWT", b"SOME JWT"),
        creds(b"jwt", bytes(32))[:60],
    ],
)
def test_what_is_none_is_refused_and_not_quoted(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "c").write_bytes(text)
    with pytest.raises(CredentialsError) as caught:
        read_credentials(tmp_path / "c")
    assert "AAAAAA" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="No such file"):
        read_credentials(tmp_path / "c")


def test_examples_hold() -> None:
    found = doctest.testmod(natskey)
    assert found.attempted and not found.failed

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from controller import signature
from controller.lineage import Artifact, ModelVersion, Signature
from controller.signature import SignatureFault, message, read_keys, sign, verify

MODEL = ModelVersion(name="fraud", version="7", artifact=Artifact("a" * 64, path="/m"))


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30)


def key_pair(folder: Path, name: str = "key", kind: str = "ed25519") -> tuple[Path, Path]:
    """Keys as people make them, with another program."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    openssl("genpkey", "-algorithm", kind, "-out", str(private))
    openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
    return private, public


def test_signature_of_a_trusted_key_fits_its_version_alone(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    signed = replace(MODEL, signature=sign(MODEL, private))
    keys = read_keys(public)
    assert signed.signature is not None
    assert verify(signed, keys) == signed.signature.key and list(keys) == [signed.signature.key]
    for other in (
        replace(signed, version="8"),
        replace(signed, name="frau"),
        replace(signed, artifact=Artifact("b" * 64, path="/m")),
        replace(signed, signature=Signature(signed.signature.key, "AAAA")),
        replace(signed, signature=Signature(signed.signature.key, "no base64!")),
    ):
        with pytest.raises(SignatureFault, match="does not fit its name and digest"):
            verify(other, keys)


def test_openssl_agrees_with_our_signature(tmp_path: Path) -> None:
    """Anyone can check it without us."""
    import base64

    private, public = key_pair(tmp_path)
    (tmp_path / "text").write_bytes(message(MODEL))
    (tmp_path / "signature").write_bytes(base64.b64decode(sign(MODEL, private).value))
    openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"),
        *("-in", str(tmp_path / "text"), "-sigfile", str(tmp_path / "signature")),
    )


def test_unsigned_and_unknown_keys_are_refused(tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path)
    _, other = key_pair(tmp_path, "other")
    with pytest.raises(SignatureFault, match="fraud:7 is not signed"):
        verify(MODEL, read_keys(other))
    with pytest.raises(SignatureFault, match="not among the trusted ones"):
        verify(replace(MODEL, signature=sign(MODEL, private)), read_keys(other))


def test_several_keys_may_be_trusted(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    _, other = key_pair(tmp_path, "other")
    both = tmp_path / "both.pem"
    both.write_bytes(other.read_bytes() + b"\n" + public.read_bytes())
    assert len(read_keys(both)) == 2
    assert verify(replace(MODEL, signature=sign(MODEL, private)), read_keys(both))


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"", "holds no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "key 1 cannot be read"),
    ],
)
def test_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes, because: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(SignatureFault, match=because):
        read_keys(file)


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path, kind="x25519")
    with pytest.raises(SignatureFault, match="key 1 is not an Ed25519 key"):
        read_keys(public)
    with pytest.raises(SignatureFault, match="not an Ed25519 key"):
        sign(MODEL, private)
    with pytest.raises(SignatureFault, match="not a private key"):
        sign(MODEL, public)
    good, trailing = key_pair(tmp_path, "good")[1], tmp_path / "trailing"
    trailing.write_bytes(good.read_bytes() + private.read_bytes())
    with pytest.raises(SignatureFault, match="something else as well"):
        read_keys(trailing)
    with pytest.raises(SignatureFault, match="No such file"):
        read_keys(tmp_path / "gone")


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(SignatureFault, match=r"understudy\[signing\]"):
        sign(MODEL, tmp_path / "key")
    assert "signing" in signature.NO_CRYPTOGRAPHY

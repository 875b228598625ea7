"""Exposure tokens: what goes in comes out, nothing else verifies, and how long one can be."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, structs

from router.token import (
    MAX_CHARS,
    MAX_VALUE_BYTES,
    NULL,
    Key,
    Served,
    claims,
    described,
    digest_of,
    sign,
    verify,
)

KEY = Key("k1", b"k" * 32)
OTHER = Key("k2", b"o" * 32)
SERVED = Served(
    "digits", "digits-2-0a0b0c0d", "r1", 123, "digits-2", 0.1, 7, 1_700_000_000_000_000_000,
    "value", Raw(b'"cat"'),
)  # fmt: skip
TOKEN = sign(SERVED, KEY).decode()

names = st.text(ascii_letters + digits + "._-", min_size=1, max_size=63)
predictions = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),  # no canonical text holds another
    st.text(),
    st.lists(st.integers()),
)


@st.composite
def served(draw: Any) -> Served:
    value = draw(predictions)
    text = None if value is None else json.dumps(value, separators=(",", ":"))
    kind, prediction = described(text)
    return Served(
        draw(names), draw(names), draw(names), draw(st.integers(0, 2**63 - 1)), draw(names),
        draw(st.integers(1, 9_999)) / 10_000, draw(st.integers(0, 2**63 - 1)),
        draw(st.integers(0, 2**63 - 1)), kind, prediction,
    )  # fmt: skip


@given(served(), st.binary(min_size=32, max_size=64))
def test_what_is_signed_is_read_again_to_the_last_bit(one: Served, secret: bytes) -> None:
    key = Key("some-key_1", secret)
    token = sign(one, key).decode()
    assert len(token) <= MAX_CHARS
    assert verify(token, [OTHER, key])
    assert claims(token) == one


def test_a_token_with_any_one_bit_flipped_is_not_ours() -> None:
    """Every bit of it, those that base64 leaves free in the last character too."""
    for bit in range(len(TOKEN) * 8):
        raw = bytearray(TOKEN.encode())
        raw[bit // 8] ^= 1 << bit % 8
        assert not verify(raw.decode("latin-1"), [KEY, OTHER]), raw


@given(served(), st.data())
def test_a_token_with_a_part_of_another_one_is_not_ours(one: Served, data: st.DataObject) -> None:
    parts, others = sign(one, KEY).decode().split("."), sign(SERVED, OTHER).decode().split(".")
    mixed = [data.draw(st.sampled_from(pair)) for pair in zip(parts, others, strict=True)]
    assert verify(".".join(mixed), [KEY, OTHER]) == (mixed in (parts, others))


@given(st.text(max_size=200))
def test_any_text_may_be_sent_in_its_place(text: str) -> None:
    assert not verify(text, [KEY])
    claims(text)
    claims(f"v1.k1.{text}.AAAA")
    assert not verify(TOKEN + text, [KEY]) or not text


@pytest.mark.parametrize(
    "token",
    [
        "",
        "...",
        TOKEN.replace("v1.", "v2."),
        TOKEN.rpartition(".")[0],
        TOKEN + ".",
        TOKEN + "=",
        " " + TOKEN,
        TOKEN.replace(".k1.", ".k2."),
        TOKEN.replace(".k1.", "..") + ".k1",
    ],
)
def test_other_forms_are_not_ours(token: str) -> None:
    assert verify(TOKEN, [KEY])
    assert not verify(token, [KEY, OTHER])


def test_a_retired_key_verifies_nothing() -> None:
    assert not verify(TOKEN, [OTHER])
    assert not verify(TOKEN, [])
    assert not verify(TOKEN, [Key("k1", b"x" * 32)])


@pytest.mark.parametrize(
    "changed",
    [
        {"propensity": 0.0}, {"propensity": 1.0}, {"unit": -1}, {"unit": 2**63}, {"at_ns": -1},
        {"request_id": ""}, {"route": "r" * 64}, {"kind": "maybe"}, {"table_version": "7"},
    ],
)  # fmt: skip
def test_a_payload_out_of_its_ranges_says_nothing(changed: dict[str, Any]) -> None:
    """It is signed, so only a fault of ours could make one."""
    assert claims(sign(structs.replace(SERVED, **changed), KEY).decode()) is None


def test_the_longest_token_fits_its_bound() -> None:
    """Each part at its own limit; the experiment's name is a variant's, a dash and 8 digits."""
    longest = Served(
        "r" * 63, "v" * 63 + "-" + "0" * 8, "i" * 128, 2**63 - 1, "v" * 63, 0.0001, 2**63 - 1,
        2**63 - 1, "digest", Raw(b'"%b"' % digest_of("x").encode()),
    )  # fmt: skip
    key = Key("k" * 16, b"k" * 64)
    assert len(sign(longest, key)) <= MAX_CHARS
    value = structs.replace(longest, kind="value", prediction=Raw(b"1" * MAX_VALUE_BYTES))
    assert len(sign(value, key)) <= MAX_CHARS
    assert claims(sign(value, key).decode()) == value


def test_a_long_prediction_goes_in_by_its_digest() -> None:
    long = json.dumps("x" * MAX_VALUE_BYTES)
    assert described(long) == ("digest", Raw(f'"{digest_of(long)}"'.encode()))
    short = json.dumps("x" * (MAX_VALUE_BYTES - 2))
    assert described(short) == ("value", Raw(short.encode()))
    assert described(None) == ("none", NULL)


def test_another_language_can_read_it_as_documented() -> None:
    """With nothing of ours: the steps of docs/labels/token.md."""
    version, key_id, payload, mac = TOKEN.split(".")
    assert (version, key_id) == ("v1", "k1")
    fields = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert fields == [
        "digits", "digits-2-0a0b0c0d", "r1", 123, "digits-2", 0.1, 7, 1_700_000_000_000_000_000,
        "value", "cat",
    ]  # fmt: skip
    signed = f"{version}.{key_id}.{payload}".encode()
    code = hmac.new(b"k" * 32, signed, hashlib.sha256).digest()[:16]
    assert urlsafe_b64encode(code).rstrip(b"=").decode() == mac


@given(st.binary(min_size=32, max_size=64), st.binary(max_size=300))
def test_a_mac_is_the_standard_librarys(secret: bytes, signed: bytes) -> None:
    assert Key("k", secret).mac(signed) == hmac.digest(secret, signed, "sha256")[:16]


def test_a_key_does_not_show_its_secret() -> None:
    assert "kkkk" not in repr(KEY)

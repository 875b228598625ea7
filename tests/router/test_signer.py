"""Who signs: for which exposures, with which key, and what it says of the answer."""

import asyncio
import base64
from pathlib import Path

import pytest
from msgspec import Raw, structs

from router.choose import Decision
from router.counters import Counters
from router.observation import Outcome
from router.signer import Read, Signer, Signers
from router.table import Match, Route, Signing, Split, Variant
from router.token import Key, Served, claims, verify
from tests.router.kit import until
from tests.router.test_keyfile import write

SECRETS = [bytes([n]) * 32 for n in range(4)]
LINES = [f"k{n} {base64.b64encode(secret).decode()}" for n, secret in enumerate(SECRETS)]
OUTCOME = Outcome("b", 200, 0.1, "", b"body", 4)
SERVED_B = Decision("b", None, 77, 77, True, 0.5)
SERVED_A = Decision("a", None, 78, 5_078, False, 0.5)


def route(keys: str, buckets: int = 5_000) -> Route:
    return Route(
        name="digits",
        match=Match(path="*"),
        variants=tuple(Variant(name=name, host="h", port=1) for name in "ab"),
        split=Split(champion="a", challenger="b" if buckets else None, challenger_buckets=buckets),
        experiment="b-0a0b0c0d",
        signing=Signing(keys=keys, hold_bytes=1000, prediction="p"),
    )


async def signing(tmp_path: Path, text: str | None = '"x"', *, is_cut: bool = False) -> Signer:
    """A signer with key k0, whose answers hold the prediction ``text``."""
    signers = Signers(Counters(), lambda _: lambda _: (text, is_cut))
    signer = signers.of(route(write(tmp_path / "keys", LINES[0])), 7)
    await signers.ready(5.0)
    signers.close()
    assert signer is not None
    return signer


def opened(token: bytes, *keys: int) -> Served:
    found = claims(token.decode())
    assert found is not None
    assert verify(token.decode(), [Key(f"k{n}", SECRETS[n]) for n in keys or (0,)])
    return found


async def test_a_token_says_who_was_assigned_and_what_was_answered(tmp_path: Path) -> None:
    signer = await signing(tmp_path)
    found = opened(signer.token(b"r1", SERVED_B, 99, OUTCOME, is_failed=False))
    assert found == Served(
        "digits", "b-0a0b0c0d", "r1", 77, "b", 0.5, 7, 99, "value", Raw(b'"x"')
    )  # fmt: skip
    found = opened(signer.token(b"r2", SERVED_A, 99, OUTCOME, is_failed=False))
    assert (found.variant, found.unit) == ("a", 78)


async def test_each_way_in_which_an_answer_has_no_prediction_is_told(tmp_path: Path) -> None:
    async def kind(text: str | None, outcome: Outcome | None, cut: bool, failed: bool) -> str:
        signer = await signing(tmp_path, text, is_cut=cut)
        found = opened(signer.token(b"r1", SERVED_B, 99, outcome, is_failed=failed))
        assert found.text == "null" or found.kind in ("value", "digest")
        return found.kind

    assert await kind('"x"', OUTCOME, False, False) == "value"
    assert await kind(f'"{"x" * 300}"', OUTCOME, False, False) == "digest"
    assert await kind(None, OUTCOME, False, False) == "none"
    assert await kind(None, OUTCOME, True, False) == "cut"
    assert await kind('"x"', None, False, False) == "cut"
    assert await kind('"x"', OUTCOME, False, True) == "failed"
    assert await kind('"x"', None, False, True) == "failed"
    assert await kind('"x"', structs.replace(OUTCOME, status=500), False, False) == "failed"
    assert await kind('"x"', structs.replace(OUTCOME, fault="reset"), False, False) == "failed"


async def test_only_a_lot_is_worth_a_token(tmp_path: Path) -> None:
    """Nothing is compared where one variant gets everybody, and pairs wait for their answers."""
    signers = Signers(Counters(), None)
    one = route(write(tmp_path / "keys", LINES[0]))
    assert signers.of(one, 1) is not None
    assert signers.of(route(one.signing.keys if one.signing else "", buckets=0), 1) is None
    assert signers.of(route(one.signing.keys if one.signing else "", buckets=10_000), 1) is None
    assert signers.of(structs.replace(one, experiment=""), 1) is None
    assert signers.of(structs.replace(one, signing=None), 1) is None
    signers.close()


async def test_no_more_is_held_back_than_is_captured(tmp_path: Path) -> None:
    signers = Signers(Counters(), None)
    one = route(write(tmp_path / "keys", LINES[0]))
    wide, narrow = signers.of(one, 1), signers.of(structs.replace(one, capture_bytes=10), 1)
    assert wide is not None and narrow is not None
    assert (wide.hold_bytes, narrow.hold_bytes) == (1000, 10)
    signers.close()


async def test_without_a_key_nothing_is_signed_and_that_is_counted(tmp_path: Path) -> None:
    counters = Counters()
    signers = Signers(counters, None)
    signer = signers.of(route(str(tmp_path / "absent")), 7)
    await signers.ready(5.0)
    assert signer is not None
    assert signer.token(b"r1", SERVED_B, 99, OUTCOME, is_failed=False) == b""
    signers.close()
    counted = counters.values()
    assert counted["understudy_exposure_tokens_withheld_total|route=digits|reason=no_key"] == 1
    assert counted["understudy_exposure_key_reloads_total|result=refused"] == 1


async def test_the_newest_key_signs_once_the_file_has_it(tmp_path: Path) -> None:
    counters = Counters()
    signers = Signers(counters, lambda _: lambda _: ("1", False), poll_s=0.01)
    path = tmp_path / "keys"
    signer = signers.of(route(write(path, LINES[0])), 7)
    await signers.ready(5.0)
    assert signer is not None

    def key_id() -> bytes:
        return signer.token(b"r1", SERVED_B, 99, OUTCOME, is_failed=False).split(b".")[1]

    assert key_id() == b"k0"
    write(path, f"{LINES[1]}\n{LINES[0]}")
    await until(lambda: key_id() == b"k1")
    write(path, "not a key file")
    await until(
        lambda: counters.values().get("understudy_exposure_key_reloads_total|result=refused") == 1
    )
    assert key_id() == b"k1"
    write(path, LINES[2])
    await until(lambda: key_id() == b"k2")
    taken = "understudy_exposure_key_reloads_total|result=taken"
    await until(lambda: counters.values().get(taken) == 2)
    signers.close()


async def test_files_that_no_route_names_any_more_are_forgotten(tmp_path: Path) -> None:
    counters = Counters()
    signers = Signers(counters, None, poll_s=0.01)
    path = tmp_path / "keys"
    one = route(write(path, LINES[0]))
    assert signers.of(one, 1) is not None
    await signers.ready(5.0)
    signers.keep([one])
    write(path, "broken once")
    refused = "understudy_exposure_key_reloads_total|result=refused"
    await until(lambda: counters.values().get(refused) == 1)
    signers.keep([])
    write(path, "broken twice")
    await asyncio.sleep(0.1)
    assert counters.values()[refused] == 1
    signers.close()


@pytest.mark.parametrize("error", [ImportError("gone"), ValueError("not JMESPath")])
async def test_a_table_is_in_force_also_if_predictions_cannot_be_read(
    tmp_path: Path, error: Exception
) -> None:
    def fail(prediction: str | None) -> Read:
        raise error

    signers = Signers(Counters(), fail)
    signer = signers.of(route(write(tmp_path / "keys", LINES[0])), 7)
    await signers.ready(5.0)
    assert signer is not None
    assert opened(signer.token(b"r1", SERVED_B, 99, OUTCOME, is_failed=False)).kind == "cut"
    signers.close()

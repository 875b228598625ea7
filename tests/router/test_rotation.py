"""Contexts follow their files, and never a broken pair."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.certificate import ServerTls, expires_at_s
from router.counters import Counters
from router.rotation import Identity, Rotation
from router.table import Tls
from tests.router.kit import until
from tests.router.pki import Authority

POLL_S = 0.01


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def pairs(authority: Authority) -> list[tuple[str, str]]:
    return [authority.issue("one", days=5), authority.issue("two", days=9)]


class Bench:
    """A pair of files that is replaced as a renewal does, and who watches it."""

    def __init__(self, folder: Path, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self.put(0)
        self.counters = Counters()
        self.rotation = Rotation(self.counters, POLL_S)
        self.changes = 0

    def put(self, cert: int, key: int | None = None) -> None:
        shutil.copyfile(self.pairs[cert][0], self.cert)
        shutil.copyfile(self.pairs[cert if key is None else key][1], self.key)

    @property
    def tls(self) -> ServerTls:
        return ServerTls(str(self.cert), str(self.key))

    def note(self) -> None:
        self.changes += 1

    async def watch(self, name: str = "listener") -> Identity:
        identity = self.rotation.watch(name, self.tls, self.note)
        await self.rotation.ready(5.0)
        return identity

    def reloads(self, result: str, name: str = "listener") -> int:
        return self.counters.events[
            "understudy_certificate_reloads_total", f"certificate={name}", f"result={result}"
        ]


@pytest.fixture
async def bench(tmp_path: Path, pairs: list[tuple[str, str]]) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, pairs)
    yield bench
    bench.rotation.close()


async def test_first_look_makes_a_context_and_knows_its_expiry(bench: Bench) -> None:
    identity = await bench.watch()
    assert identity.context is not None and identity.error == ""
    assert dict(bench.rotation.expiries()) == {"listener": expires_at_s(bench.pairs[0][0])}
    assert bench.changes == 0


async def test_changed_files_make_another_context(bench: Bench) -> None:
    identity = await bench.watch()
    before = identity.context
    bench.put(1)
    await until(lambda: bench.reloads("taken") == 1)
    assert identity.context is not None and identity.context is not before
    assert identity.expires_at_s == expires_at_s(bench.pairs[1][0])
    assert bench.changes == 1


async def test_broken_pair_keeps_the_old_one_and_is_counted_once(bench: Bench) -> None:
    identity = await bench.watch()
    before = identity.context
    bench.put(1, key=0)
    await until(lambda: bench.reloads("refused") == 1)
    assert "not the key" in identity.error
    await asyncio.sleep(POLL_S * 10)
    assert bench.reloads("refused") == 1
    assert identity.context is before and bench.changes == 0
    bench.put(1)
    await until(lambda: bench.reloads("taken") == 1)
    assert identity.error == "" and identity.context is not before


async def test_vanished_files_keep_the_old_context(bench: Bench) -> None:
    identity = await bench.watch()
    before = identity.context
    bench.cert.unlink()
    await until(lambda: bench.reloads("refused") == 1)
    assert identity.context is before


async def test_mounted_secret_changes_by_its_link(
    tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    for n, (cert, key) in enumerate(pairs):
        (tmp_path / f"{n}").mkdir()
        shutil.copyfile(cert, tmp_path / f"{n}" / "tls.crt")
        shutil.copyfile(key, tmp_path / f"{n}" / "tls.key")
    (tmp_path / "data").symlink_to("0")
    rotation = Rotation(Counters(), POLL_S)
    tls = ServerTls(str(tmp_path / "data" / "tls.crt"), str(tmp_path / "data" / "tls.key"))
    identity = rotation.watch("listener", tls, lambda: None)
    await rotation.ready(5.0)
    (tmp_path / "next").symlink_to("1")
    os.rename(tmp_path / "next", tmp_path / "data")
    await until(lambda: identity.expires_at_s == expires_at_s(pairs[1][0]))
    rotation.close()


async def test_file_that_appears_later_is_taken_then(bench: Bench) -> None:
    bench.key.unlink()
    identity = await bench.watch()
    assert identity.context is None and "No such file" in identity.error
    bench.put(0)
    await until(lambda: identity.context is not None)
    assert identity.error == ""


async def test_same_files_are_one_identity_under_two_names(
    bench: Bench, authority: Authority
) -> None:
    one = bench.rotation.watch("r/a", authority.trust(server_name="a.test"), bench.note)
    two = bench.rotation.watch("r/b", authority.trust(server_name="b.test"), bench.note)
    assert one is two
    assert bench.rotation.watch("r/c", Tls(), bench.note) is not one
    await bench.rotation.ready(5.0)
    assert dict(bench.rotation.expiries()) == {}  # none of them shows a certificate


async def test_who_left_is_not_told_and_keeps_what_it_had(bench: Bench) -> None:
    identity = await bench.watch()
    bench.rotation.leave("listener", identity, bench.note)
    bench.rotation.leave("listener", identity, bench.note)
    bench.put(1)
    await asyncio.sleep(POLL_S * 10)
    assert bench.changes == 0 and identity.context is not None
    assert dict(bench.rotation.expiries()) == {}

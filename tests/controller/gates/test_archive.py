import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest

from controller.gates import archive
from controller.gates.archive import FAULTS, compressed, members
from controller.gates.artifactitem import Budget, Hit, Item, TooMuch

TEXT = b"the same words again and again\n" * 1000


def item(raw: bytes, depth: int = 0) -> Item:
    return Item("a", lambda: io.BytesIO(raw), depth=depth)


def wide() -> Budget:
    return Budget(1 << 30, 1000)


def unpacked(raw: bytes, budget: Budget | None = None) -> bytes:
    inner = compressed(item(raw), raw[:4096], budget or wide())
    assert inner is not None
    with inner.open() as stream:
        return stream.read()


def inside(raw: bytes, budget: Budget | None = None) -> list[Item | Hit]:
    found = members(item(raw), raw[:4096], budget or wide())
    assert found is not None
    return list(found)


def zipped(names: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in names.items():
            file.writestr(name, content)
    return raw.getvalue()


def tarred(names: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as file:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return raw.getvalue()


PACKERS: list[Callable[[bytes], bytes]] = [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda raw: lzma.compress(raw, lzma.FORMAT_ALONE),
    *(lambda raw, level=level: zlib.compress(raw, level) for level in (1, 3, 6, 9)),
]


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_compressed_comes_out_again(pack: Callable[[bytes], bytes]) -> None:
    assert unpacked(pack(TEXT)) == TEXT


@pytest.mark.parametrize("pack", PACKERS)
def test_what_is_cut_off_is_a_fault(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(FAULTS):
        unpacked(pack(TEXT)[:-20])


@pytest.mark.parametrize("pack", PACKERS)
def test_what_comes_out_is_counted_as_it_comes(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(TooMuch):
        unpacked(pack(bytes(10 << 20)), Budget(1 << 20, 10))


@pytest.mark.parametrize("raw", [b"", b"x", b"plain text", b"x\x9c but not zlib", b"PK\x03\x04"])
def test_what_is_not_compressed_is_left_alone(raw: bytes) -> None:
    assert compressed(item(raw), raw, wide()) is None


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_every_member_is_told_and_can_be_read_twice(
    pack: Callable[[dict[str, bytes]], bytes],
) -> None:
    found = inside(pack({"one": b"1", "deep/two": TEXT}))
    # A zip is read while it is walked, so the list is not.
    assert [one.path for one in found] == ["a!one", "a!deep/two"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_can_be_read_more_than_once(
    pack: Callable[[dict[str, bytes]], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SMALL_BYTES", 100)  # the second is read out of the tar again
    raw = pack({"one": b"1", "two": TEXT})
    for found in members(item(raw), raw[:4096], wide()) or ():
        assert isinstance(found, Item)
        for _ in range(2):
            with found.open() as stream:
                assert stream.read() == {"a!one": b"1", "a!two": TEXT}[found.path]


def test_a_zip_behind_other_bytes_is_found() -> None:
    """Loaders look for a zip at the end of a file."""
    raw = b"\x80\x04N." + zipped({"one": b"1"})
    assert [one.path for one in inside(raw)] == ["a!one"]
    nested = members(item(raw, depth=1), raw[:4096], wide())
    assert nested is not None and [one.path for one in nested] == ["a!one"]


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "a\\..\\evil"]
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_that_leaves_the_folder_is_dangerous(
    pack: Callable[[dict[str, bytes]], bytes], name: str
) -> None:
    hits = [one for one in inside(pack({name: b"1"})) if isinstance(one, Hit)]
    assert [hit.level for hit in hits] == ["dangerous"]


def test_a_link_in_an_archive_is_dangerous() -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    assert [type(one) for one in inside(raw.getvalue())] == [Hit]
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as other:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        other.addfile(link)
    assert [type(one) for one in inside(tar.getvalue())] == [Hit]


def test_more_members_than_the_budget_end_the_reading() -> None:
    raw = zipped({f"{n}": b"" for n in range(20)})
    with pytest.raises(TooMuch):
        inside(raw, Budget(1 << 20, 10))


def test_archives_too_deep_inside_each_other_end_the_reading() -> None:
    raw = zipped({"one": b"1"})
    with pytest.raises(TooMuch, match="deeper"):
        members(item(raw, depth=archive.MAX_DEPTH), raw, wide())


def test_an_archive_in_an_archive_is_held_only_up_to_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "HELD_BYTES", 10)
    raw = zipped({"one": b"1"})
    found = members(item(raw, depth=1), raw, wide())
    assert found is not None
    with pytest.raises(TooMuch, match="inside another"):
        list(found)


@pytest.mark.parametrize("spoil", [lambda raw: raw[:40], lambda raw: raw[:-30] + bytes(30)])
def test_a_broken_zip_is_a_fault(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(FAULTS):
        inside(spoil(zipped({"one": TEXT})))


def test_plain_bytes_are_no_archive() -> None:
    assert members(item(TEXT), TEXT[:4096], wide()) is None

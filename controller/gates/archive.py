"""What is inside an archive or a compressed file, one member after the other, never on the disk.

Sizes that an archive declares are not believed: what comes out is counted as it comes out.
"""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from controller.gates.artifactitem import Budget, Hit, Item, Metered, TooMuch

MAX_DEPTH = 4
HELD_BYTES = 256 << 20
"""An archive inside an archive is held in memory to be read at any place; a larger one is not."""
ZIP_TAIL_BYTES = 22 + 65_535
"""Where the end record of a zip is found: its own size, and that of the longest comment."""
SMALL_BYTES = 8 << 20
"""A member of a tar is kept when it is small, and read again from the archive when it is not."""
FAULTS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member of a zip
    NotImplementedError,
    KeyError,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
)
"""What the readers of the standard library raise for broken archives."""

Found = Item | Hit


def compressed(item: Item, head: bytes, budget: Budget) -> Item | None:
    """Return what a gzip, bzip2, xz or zlib file contains; None when it is none of them."""
    unpack = _unpacker(head)
    if unpack is None:
        return None
    if item.depth >= MAX_DEPTH:
        raise TooMuch(f"archives inside each other deeper than {MAX_DEPTH}")
    return Item(
        f"{item.path}!", lambda: _metered(unpack(item.open()), budget), depth=item.depth + 1
    )


def members(item: Item, head: bytes, budget: Budget) -> Iterator[Found] | None:
    """Return what a zip or a tar contains; None when it is neither."""
    is_tar = head[257:262] == b"ustar"
    if not is_tar and not _is_zip(item, head):
        return None
    if item.depth >= MAX_DEPTH:
        raise TooMuch(f"archives inside each other deeper than {MAX_DEPTH}")
    return _of_tar(item, budget) if is_tar else _of_zip(item, budget)


def _unpacker(head: bytes) -> Callable[[BinaryIO], BinaryIO] | None:
    if head.startswith(b"\x1f\x8b"):
        return lambda stream: cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if head.startswith(b"BZh"):
        return lambda stream: cast(BinaryIO, bz2.BZ2File(stream))
    if head.startswith(b"\xfd7zXZ\x00"):
        return lambda stream: cast(BinaryIO, lzma.LZMAFile(stream))
    if head.startswith(b"\x5d\x00") and _begins_lzma(head):
        return lambda stream: cast(BinaryIO, lzma.LZMAFile(stream, format=lzma.FORMAT_ALONE))
    if len(head) > 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:
        # RFC 1950, 2.2; what joblib writes by default. Two bytes say little: try it.
        try:
            zlib.decompressobj().decompress(head)
        except zlib.error:
            return None
        return lambda stream: cast(BinaryIO, _Zlib(stream))
    return None


def _begins_lzma(head: bytes) -> bool:
    """Whether it is the older form of LZMA, which has no magic bytes: try it."""
    try:
        lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(head, max_length=1)
    except lzma.LZMAError:
        return False
    return True


class _Zlib(io.RawIOBase):
    """A zlib stream, unpacked as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._unpack = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._unpack.eof:
            packed = self._unpack.unconsumed_tail or self._stream.read(1 << 16)
            piece = self._unpack.decompress(packed, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
            if not packed:
                raise EOFError("the compressed file is cut off")
        return 0

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _metered(stream: BinaryIO, budget: Budget) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(Metered(stream, budget)))


def _is_zip(item: Item, head: bytes) -> bool:
    """Whether a zip is in it, wherever it begins: loaders look at the end of the file."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return True
    with item.open() as stream:
        if item.depth == 0:
            return zipfile.is_zipfile(stream)
        tail = b""  # a member is read through once, and paid for, rather than held or sought in
        while piece := stream.read(1 << 20):
            tail = (tail + piece)[-ZIP_TAIL_BYTES:]
    return b"PK\x05\x06" in tail


def _of_zip(item: Item, budget: Budget) -> Iterator[Found]:
    with _seekable(item, budget) as stream, zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            budget.count()
            path = f"{item.path}!{info.filename}"
            if _leaves(info.filename):
                yield Hit(
                    path, "a member that would be unpacked outside of the folder", "dangerous"
                )
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                yield Hit(path, "a link inside an archive", "dangerous")
            elif not info.is_dir():
                yield Item(path, _opener(archive, info, budget), bool(mode & 0o111), item.depth + 1)


def _opener(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget
) -> Callable[[], BinaryIO]:
    return lambda: _metered(cast(BinaryIO, archive.open(info)), budget)


def _of_tar(item: Item, budget: Budget) -> Iterator[Found]:
    with item.open() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            budget.count()
            path = f"{item.path}!{info.name}"
            if _leaves(info.name):
                yield Hit(
                    path, "a member that would be unpacked outside of the folder", "dangerous"
                )
            if info.isreg():
                yield Item(
                    path,
                    _again(item, archive, info, budget),
                    bool(info.mode & 0o111),
                    item.depth + 1,
                )
            elif not info.isdir():
                yield Hit(path, "a link or a device inside an archive", "dangerous")


def _again(
    item: Item, archive: tarfile.TarFile, info: tarfile.TarInfo, budget: Budget
) -> Callable[[], BinaryIO]:
    """Return how a member is read more than once, out of an archive that is read only once."""
    if info.size <= SMALL_BYTES:
        member = archive.extractfile(info)
        assert member is not None  # a regular file
        raw = member.read(SMALL_BYTES)
        return lambda: io.BytesIO(raw)

    def reopen() -> BinaryIO:
        stream = item.open()
        left = info.offset_data
        while left > 0:
            passed = len(stream.read(min(left, 1 << 20)))
            if not passed:
                raise EOFError("the archive is cut off")
            left -= passed
        return cast(BinaryIO, io.BufferedReader(_Part(stream, info.size)))

    return reopen


class _Part(io.RawIOBase):
    """The next bytes of a stream, and no more of them than they are said to be."""

    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        self._stream = stream
        self._left = size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        taken = self._stream.read(min(len(buffer), self._left))
        self._left -= len(taken)
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _seekable(item: Item, budget: Budget) -> BinaryIO:
    """Return the item as a stream that can be read at any place."""
    stream = item.open()
    if item.depth == 0:
        return stream
    with stream:
        held = stream.read(HELD_BYTES + 1)
    if len(held) > HELD_BYTES:
        raise TooMuch(f"an archive of more than {HELD_BYTES} bytes inside another one")
    return io.BytesIO(held)


def _leaves(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or not parts[0] or ":" in parts[0]

"""Is there anything in a model's artifact that runs when it is loaded? Looked at, never loaded.

Runs in a process of its own (controller/gates/cell.py), whose memory and time are limited. What
cannot be looked into is said, and the gate holds: a scan that is not whole finds nothing out.
"""

import fnmatch
import importlib.metadata
import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from controller.gates import content, importlevel
from controller.gates.archive import FAULTS, compressed, members
from controller.gates.artifactitem import Budget, Hit, Item, TooMuch
from controller.gates.artifactwalk import Unreadable, walk
from controller.gates.finding import SHOWN, Finding, clipped, listed
from controller.gates.pickletrace import trace
from controller.gates.securityspec import ScanSpec
from evaluator.evidence import CheckState

MAX_ITEMS = 20_000
"""Files and members. Chosen: a large folder of a language model has hundreds."""
SECOND_BYTES = 32 << 20
"""Up to this, picklescan reads a pickle too; it keeps the whole of it in memory."""
NPY_HEADER_BYTES = 10_000
"""What numpy.load takes by default."""
PICKLES = tuple(bytes((0x80, version)) for version in range(6))
"""How a pickle of protocol 2 or later begins. 0 and 1 have no magic bytes."""
FIRM = 3
"""Opcodes after which a broken pickle is one, and not a file that begins like one by chance."""


def scan(artifact: Path, spec: ScanSpec) -> Finding:
    """Look at everything in ``artifact``; what is found is weighed by ``spec``. Never raises for
    what the artifact contains."""
    look = _Look(Budget(spec.unpacked_bytes, MAX_ITEMS))
    try:
        for found in walk(artifact, look.budget):
            look.at(found)
    except TooMuch as exc:
        look.open.append(("the artifact", str(exc)))
    except (Unreadable, OSError) as exc:
        look.open.append(("the artifact", str(exc)))
    except (MemoryError, RecursionError) as exc:
        look.open.append(("the artifact", f"needs more than the scan may have: {exc!r}"))
    return weigh(look, spec)


class _Look:
    """What one scan has seen so far."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.hits: list[Hit] = []
        self.open: list[tuple[str, str]] = []
        """Where nothing is known, and why."""
        self.files = 0
        self.pickles = 0

    def at(self, found: Item | Hit) -> None:
        if isinstance(found, Hit):
            self.hits.append(found)
            return
        self.files += 1
        try:
            self._item(found)
        except TooMuch:
            raise
        except FAULTS as exc:
            self.open.append(
                (found.path, f"cannot be read to its end: {type(exc).__name__}: {exc}")
            )

    def _item(self, item: Item) -> None:
        with item.open() as stream:
            head = stream.read(content.HEAD_BYTES)
        self.hits += content.executable(item.path, head, item.is_executable)
        if kind := content.sealed(head):
            self.open.append((item.path, f"{kind}: nothing here can look into it"))
            return
        self._pickle(item, head)
        inner = compressed(item, head, self.budget)
        if inner is not None:
            self.at(inner)
            return
        for found in members(item, head, self.budget) or ():
            self.at(found)
        self._known(item, head)

    def _known(self, item: Item, head: bytes) -> None:
        """Look into the formats that carry code in their own way."""
        name = item.path.lower()
        if content.is_hdf5(head):
            with item.open() as stream:
                self.hits += content.hdf5(item.path, stream)
        elif name.endswith(("saved_model.pb", "graph.pb")):
            with item.open() as stream:
                self.hits += content.graph(item.path, stream)
        elif name.endswith(".py"):
            self.hits += content.python(item.path, self._text(item))
        elif name.endswith(".json"):
            self._configuration(item)

    def _configuration(self, item: Item) -> None:
        """Read a JSON file; one too long for that may be anything that names no code."""
        with item.open() as stream:
            text = stream.read(content.TEXT_BYTES + 1)
        if len(text) > content.TEXT_BYTES:
            with item.open() as stream:
                if content.names_code(stream):
                    self.open.append((item.path, f"JSON of more than {content.TEXT_BYTES} bytes"))
            return
        try:
            self.hits += content.configuration(item.path, text)
        except ValueError:
            pass  # no loader reads it as JSON either

    def _text(self, item: Item) -> bytes:
        with item.open() as stream:
            text = stream.read(content.TEXT_BYTES + 1)
        if len(text) > content.TEXT_BYTES:
            self.open.append((item.path, f"a text of more than {content.TEXT_BYTES} bytes"))
        return text

    def _pickle(self, item: Item, head: bytes) -> None:
        """Read it as a pickle, as joblib would and as a plain unpickler would."""
        if head.startswith(content.NUMPY):
            self._array(item)
            return
        self._traced(item, 0, head.startswith(PICKLES))

    def _traced(self, item: Item, offset: int, has_magic: bool) -> None:
        with item.open() as stream:
            stream.read(offset)
            first = trace(stream)
        imports = set(first.imports)
        if first.has_arrays:
            with item.open() as stream:
                stream.read(offset)
                imports |= trace(stream, passes_arrays=False).imports
        if not (first.whole or first.calls or (has_magic and first.opcodes >= FIRM)):
            return
        self.pickles += 1
        imports |= self._second(item, offset)
        self.hits += importlevel.hits(item.path, imports)
        if first.fault and not first.whole:
            self.open.append((item.path, f"a pickle that cannot be followed {first.fault}"))

    def _second(self, item: Item, offset: int) -> set[tuple[str, str]]:
        with item.open() as stream:
            stream.read(offset)
            raw = stream.read(SECOND_BYTES + 1)
        return importlevel.second_reading(io.BytesIO(raw)) if len(raw) <= SECOND_BYTES else set()

    def _array(self, item: Item) -> None:
        """Read an array of numpy: one of objects has a pickle after its header."""
        with item.open() as stream:
            offset = _object_array(stream)
        if offset:
            self._traced(item, offset, has_magic=True)


def _object_array(stream: BinaryIO) -> int:
    """Return where the pickle of an .npy file begins; 0 when its array is of plain values.

    numpy.lib.format: magic, two bytes of version, the header's length in 2 (version 1) or 4 bytes,
    the header as the text of a dictionary. What it means is asked of numpy, which loads it: it has
    more ways to write an object than one. It takes the text for literals, and runs nothing.
    """
    from numpy.lib import format as npy

    start = stream.read(8)
    wide = start[6:7] != b"\x01"
    size = stream.read(4 if wide else 2)
    length = int.from_bytes(size, "little")
    if length > NPY_HEADER_BYTES:
        raise ValueError("the header of the array is too long")
    header = stream.read(length)
    read = npy.read_array_header_2_0 if wide else npy.read_array_header_1_0
    _, _, dtype = read(io.BytesIO(size + header))
    return 8 + len(size) + length if dtype.hasobject else 0


def weigh(look: "_Look", spec: ScanSpec) -> Finding:
    """Return what the scan comes to under the declared limits. Pure."""
    counted = [hit for hit in look.hits if _counts(hit, spec)]
    counted.sort(key=lambda hit: (hit.level != "dangerous", hit.path, hit.what))
    numbers = {
        "scanner": f"picklescan {importlib.metadata.version('picklescan')}",
        "files": look.files,
        "pickles": look.pickles,
        "read_bytes": look.budget.read_bytes,
        "fail_on": spec.fail_on,
        "found": len(counted),
        "dangerous": sum(hit.level == "dangerous" for hit in counted),
        "not_looked_into": len(look.open),
        "imports": _imports(look.hits),
        "shown": [_shown(hit) for hit in counted[:SHOWN]],
        "open": [f"{clipped(path)}: {clipped(why)}" for path, why in look.open[:SHOWN]],
    }
    if counted:
        first = [f"{clipped(hit.path)}: {clipped(hit.what)} ({hit.level})" for hit in counted]
        return Finding("scan", CheckState.TRIPPED, listed(first), numbers)
    if look.open:
        why = listed([f"{clipped(path)}: {clipped(reason)}" for path, reason in look.open])
        return Finding("scan", CheckState.UNKNOWN, f"not looked into: {why}", numbers)
    if not look.files:
        return Finding("scan", CheckState.UNKNOWN, "the artifact has no file", numbers)
    because = (
        f"{look.files} files and members, {look.pickles} pickles: nothing {spec.fail_on} "
        "but what is allowed"
    )
    return Finding("scan", CheckState.PASSED, because, numbers)


def _counts(hit: Hit, spec: ScanSpec) -> bool:
    if hit.level == "innocuous" or (hit.level == "suspicious" and spec.fail_on == "dangerous"):
        return False
    return not any(_allows(pattern, hit) for pattern in spec.allow)


def _allows(pattern: str, hit: Hit) -> bool:
    """Whether ``pattern`` lets ``hit`` pass. What is dangerous, and a name with dots of its own,
    must be named in full: ``numpy.*`` lets in neither numpy.load nor numpy.f2py.x."""
    if pattern.startswith("file:"):
        return not hit.imported and fnmatch.fnmatchcase(hit.path, pattern.removeprefix("file:"))
    if not hit.imported:
        return False
    if pattern == hit.imported:
        return True
    is_plain = hit.level != "dangerous" and not hit.is_dotted
    return is_plain and pattern.endswith(".*") and hit.imported.startswith(pattern[:-1])


def _imports(hits: Sequence[Hit]) -> dict[str, list[str]]:
    """Return what is imported by level: the list that an operator copies into ``allow``."""
    by_level: dict[str, set[str]] = {}
    for hit in hits:
        if hit.imported:
            by_level.setdefault(hit.level, set()).add(clipped(hit.imported))
    return {level: sorted(names)[: 5 * SHOWN] for level, names in sorted(by_level.items())}


def _shown(hit: Hit) -> dict[str, str]:
    return {"path": clipped(hit.path), "what": clipped(hit.what), "level": hit.level}

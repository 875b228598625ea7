"""What the bytes of one file are, and what in them could run, told from the bytes alone. Pure.

The name is believed only where a loader believes it too (``.py``, ``saved_model.pb``).
"""

import json
import re
from typing import Any, BinaryIO

from controller.gates.artifactitem import Hit

HEAD_BYTES = 4096
TEXT_BYTES = 32 << 20
"""Of a text that is looked at as a whole. Chosen: tokenizers have some 20 MB of JSON."""
WINDOW_BYTES = 1 << 20
OVERLAP_BYTES = 128

MACHINE_CODE = (
    (b"\x7fELF", "ELF machine code"),
    (b"MZ", "a Windows program"),
    (b"\xfe\xed\xfa\xce", "Mach-O machine code"),
    (b"\xfe\xed\xfa\xcf", "Mach-O machine code"),
    (b"\xce\xfa\xed\xfe", "Mach-O machine code"),
    (b"\xcf\xfa\xed\xfe", "Mach-O machine code"),
    (b"\xca\xfe\xba\xbe", "Java or Mach-O machine code"),
    (b"\x00asm", "WebAssembly"),
    (b"dex\n", "Android machine code"),
)
SEALED = (
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "LZ4"),
)
"""Archives that nothing here opens: what is in them is not known."""
STARTS_BY_ITSELF = {"sitecustomize.py", "usercustomize.py", "setup.py", "conftest.py"}
ENTRY = re.compile(rb"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
LAMBDA = re.compile(
    rb'"class_name"\s{0,8}:\s{0,8}"(?:\w{1,40}>)?(?:Lambda"|[^"\\]{0,20}\\)'  # or with an escape
)
NAMES_CODE = re.compile(rb'"(?:class_name|auto_map|[^"\\]{0,20}\\[^"]{0,20}_(?:name|map))"')
"""Keys by which a loader is told what to import; also when they are written with escapes."""
GRAPH_OPS = {
    b"WriteFile": "dangerous",
    b"PyFunc": "dangerous",
    b"PyFuncStateless": "dangerous",
    b"EagerPyFunc": "dangerous",
    b"ReadFile": "suspicious",
}
"""TensorFlow operations that touch files or call Python when a graph runs."""
KERAS = ("keras", "tensorflow.keras", "tf_keras")
HDF5 = b"\x89HDF\r\n\x1a\n"
NUMPY = b"\x93NUMPY"


def sealed(head: bytes) -> str:
    """Return the kind of archive that cannot be looked into; empty when it is none."""
    return next((kind for magic, kind in SEALED if head.startswith(magic)), "")


def executable(path: str, head: bytes, is_executable: bool) -> list[Hit]:
    """Return what the first bytes, the name and the executable bit give away."""
    hits = [Hit(path, what, "dangerous") for magic, what in MACHINE_CODE if _is_code(head, magic)]
    name = path.replace("!", "/").rpartition("/")[2]
    if head.startswith(b"#!"):
        level = "dangerous" if is_executable else "suspicious"
        hits.append(Hit(path, "a script" + (" that may be run" if is_executable else ""), level))
    if name.endswith(".pyc") or (head[2:4] == b"\r\n" and name.endswith(".pyo")):
        hits.append(Hit(path, "compiled Python", "dangerous"))
    if name in STARTS_BY_ITSELF or (name.endswith(".pth") and head.startswith(b"import ")):
        hits.append(Hit(path, "Python that starts by itself", "dangerous"))
    return hits


def _is_code(head: bytes, magic: bytes) -> bool:
    if magic != b"MZ":
        return head.startswith(magic)
    # Two letters say little: the offset of the PE header must be there as well (60 to 63).
    return head.startswith(magic) and len(head) >= 64 and head[60:64] != bytes(4)


def is_hdf5(head: bytes) -> bool:
    """Whether it is HDF5, which may begin after 512, 1024, ... bytes of the user's own."""
    return any(head[at:].startswith(HDF5) for at in (0, 512, 1024, 2048))


def python(path: str, text: bytes) -> list[Hit]:
    """Return whether a Python source is one that is started, not only imported."""
    return [Hit(path, "Python with an entry point", "suspicious")] if ENTRY.search(text) else []


def hdf5(path: str, stream: BinaryIO) -> list[Hit]:
    """Return whether a Keras model in HDF5 has a Lambda layer: Python bytecode in its config."""
    if _found(stream, LAMBDA):
        return [Hit(path, "a Keras Lambda layer (Python bytecode)", "dangerous")]
    return []


def names_code(stream: BinaryIO) -> bool:
    """Whether a long JSON text has a key that tells a loader what to import."""
    return _found(stream, NAMES_CODE)


def graph(path: str, stream: BinaryIO) -> list[Hit]:
    """Return which operations of a SavedModel touch files or call Python.

    NodeDef's ``op`` is field 2, a string: tag 0x12, length, name (tensorflow node_def.proto).
    """
    names = sorted(GRAPH_OPS)
    pattern = re.compile(b"|".join(re.escape(bytes((0x12, len(op))) + op) for op in names))
    seen = {found[2:] for found in _all(stream, pattern)}
    return [
        Hit(path, f"the operation {op.decode()} in a graph", GRAPH_OPS[op])
        for op in names
        if op in seen
    ]


def configuration(path: str, text: bytes) -> list[Hit]:
    """Return which code a JSON configuration asks a loader to import (Keras, auto_map).

    ValueError when the text is no JSON.
    """
    try:
        whole = json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    hits: dict[Hit, None] = {}
    waiting: list[Any] = [whole]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            hits.update(dict.fromkeys(_asked(path, value)))
    return sorted(hits, key=lambda hit: (hit.what, hit.imported))


def _asked(path: str, value: dict[str, Any]) -> list[Hit]:
    name, module = value.get("class_name"), value.get("module")
    if isinstance(name, str) and name.rpartition(">")[2] == "Lambda":
        return [Hit(path, "a Keras Lambda layer (Python bytecode)", "dangerous")]
    if isinstance(value.get("auto_map"), dict):
        return [Hit(path, "auto_map: code of its own for the loader", "suspicious")]
    if not (isinstance(name, str) and isinstance(module, str)) or not module:
        return []
    if name == "function":  # Keras: the function's own name stands in its config
        name = value["config"] if isinstance(value.get("config"), str) else "unknown"
        return [_import(path, module, name)]
    package = next((one for one in KERAS if module == one or module.startswith(f"{one}.")), None)
    return [] if package else [_import(path, module, name)]


def _import(path: str, module: str, name: str) -> Hit:
    asked = f"{module}.{name}"
    return Hit(path, f"a layer from {asked}", "suspicious", asked, is_dotted="." in name)


def _found(stream: BinaryIO, pattern: re.Pattern[bytes]) -> bool:
    return next(iter(_all(stream, pattern)), None) is not None


def _all(stream: BinaryIO, pattern: re.Pattern[bytes]) -> "set[bytes]":
    """Return everything that matches, window by window: a match is shorter than the overlap."""
    seen: set[bytes] = set()
    tail = b""
    while piece := stream.read(WINDOW_BYTES):
        window = tail + piece
        seen.update(found[0] for found in pattern.finditer(window))
        tail = window[-OVERLAP_BYTES:]
    return seen

"""How harmless an import of a pickle is: picklescan's lists, and a few names that they lack. Pure.

The scanner is asked through its own front door, with a pickle that only names the imports.
"""

import io
import logging
import struct
from collections.abc import Iterable, Set

from controller.gates.artifactitem import Hit

ALSO_DANGEROUS: dict[str, Set[str]] = {
    "builtins": {"__import__", "globals", "locals", "vars", "setattr", "delattr", "input"},
    "__builtin__": {"__import__", "globals", "locals", "vars", "setattr", "delattr", "input"},
    # Each of these loads another file, which nobody has scanned.
    "joblib": {"load"},
    "joblib.numpy_pickle": {"load"},
    "numpy": {"load", "loadtxt", "fromfile", "memmap", "save", "savetxt", "savez"},
    "pandas": {"read_pickle"},
    "pandas.io.pickle": {"read_pickle", "to_pickle"},
    "torch": {"load"},
}
"""Besides picklescan 1.0, which calls them suspicious. Looked up in its lists, November 2026."""
MODULES_ALSO_DANGEROUS = (
    "dill",
    "cloudpickle",
    "importlib",
    "marshal",
    "code",
    "codeop",
    "zipimport",
)
"""With everything in them: they build code, or import what they are told to."""


def hits(path: str, imports: Iterable[tuple[str, str]]) -> list[Hit]:
    """Return each import with how harmless it is, by name."""
    pairs = sorted(set(imports))
    levels = _scanned(pairs)
    return [
        Hit(
            path,
            f"imports {module}.{name}",
            _level(module, name, levels),
            f"{module}.{name}",
            is_dotted="." in name,
        )
        for module, name in pairs
    ]


def _level(module: str, name: str, scanned: dict[tuple[str, str], str]) -> str:
    top = module.partition(".")[0]
    if name in ALSO_DANGEROUS.get(module, ()) or top in MODULES_ALSO_DANGEROUS:
        return "dangerous"
    # A name with dots reaches through what a module has imported: sklearn.base os.system.
    if any(f"{part}" in REACHED for part in name.split(".")[:-1]):
        return "dangerous"
    return scanned.get((module, name), "dangerous")  # what cannot even be asked about


REACHED = {"os", "sys", "subprocess", "builtins", "shutil", "socket", "importlib", "ctypes"}


def second_reading(stream: io.BytesIO) -> set[tuple[str, str]]:
    """Return the imports that picklescan itself finds: a second pair of eyes, not the only one."""
    from picklescan.scanner import scan_pickle_bytes

    _be_quiet()
    try:
        found = scan_pickle_bytes(stream, "artifact").globals
    except (ValueError, IndexError, OSError):  # it does not catch all that a broken pickle can do
        return set()
    return {(one.module, one.name) for one in found}


def _scanned(pairs: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    from picklescan.scanner import scan_pickle_bytes

    _be_quiet()
    pickled = b"".join(_text(module) + _text(name) + b"\x930" for module, name in pairs)
    found = scan_pickle_bytes(io.BytesIO(pickled + b"N."), "imports").globals
    return {(one.module, one.name): one.safety.value for one in found}


def _text(text: str) -> bytes:
    """Return the opcode BINUNICODE with its text."""
    raw = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _be_quiet() -> None:
    logging.getLogger("picklescan").disabled = True

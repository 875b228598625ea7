"""What a pickle would import, read from its opcodes without doing any of it. Pure.

A machine of symbols: it keeps a stack and a memo as the real one does, so it knows which strings a
STACK_GLOBAL takes and where joblib has put an array's raw bytes between two opcodes. Nothing is
imported, called or built. What it cannot follow it says; the caller must not call that harmless.
"""

import math
import pickletools
import warnings
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

MAX_OPCODES = 50_000_000
"""In one file; about two minutes of reading. Chosen: a forest of 500 deep trees has a million."""
MAX_NESTED = 8
"""Arrays of objects inside arrays of objects, each with a pickle of its own."""
KEPT_CHARS = 1024
"""Of a string: a module's name is shorter, and a text of a gigabyte is not kept."""
SKIP_BYTES = 1 << 20
UNKNOWN_GLOBAL = ("unknown", "unknown")
"""As the scanner's lists have it: a name that cannot be read is dangerous."""

_WRAPPERS = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"),
}
_RECONSTRUCTORS = {("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor")}
_UNREAD = "\0unread"
"""Stands for a key that is no plain string: it may be any."""
_NUMPY_DTYPE = ("numpy", "dtype")
_MARK = object()
_OPAQUE = object()
"""A value that we need not know."""


class Source(Protocol):
    """Bytes in order, read once."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Trace:
    """What was read."""

    imports: frozenset[tuple[str, str]]
    """(module, name), as written: a name may have dots."""
    calls: int
    """Opcodes that call something or set an object's state."""
    opcodes: int
    whole: int
    """Pickles read to their end."""
    fault: str
    """Why reading ended before a pickle's end; empty when it did not."""
    has_arrays: bool
    """Whether there are arrays between the opcodes, as joblib writes them."""


class _Untraceable(Exception):
    """The pickle does something that a reader who builds nothing cannot follow."""


@dataclass(slots=True, eq=False)
class _Global:
    path: tuple[str, str]


@dataclass(slots=True, eq=False)
class _Made:
    """What a call returned: only what was called and with what is known."""

    maker: Any
    args: Any
    state: Any = None


def trace(source: Source, *, passes_arrays: bool = True) -> Trace:
    """Read one pickle after the other until the bytes end or are none. Never raises ValueError.

    ``passes_arrays``: go past the bytes of arrays, as joblib does. A plain unpickler would take
    them for opcodes; who does not know which of the two loads a file reads it both ways.
    Memory: the longest single string of the pickle, and a word for each value on its stack.
    """
    machine = _Machine(source, passes_arrays)
    whole = 0
    fault = ""
    before = 0
    try:
        with warnings.catch_warnings():
            # What is no pickle has all kinds of backslashes, which the reader of names remarks on.
            warnings.simplefilter("ignore", DeprecationWarning)
            while True:
                before = machine.opcodes
                machine.one()
                whole += 1
    except EOFError:
        pass
    except (ValueError, IndexError, KeyError, UnicodeError, _Untraceable) as exc:
        fault = f"after {machine.opcodes - before} opcodes: {exc}"
    imports = frozenset(machine.imports)
    return Trace(imports, machine.calls, machine.opcodes, whole, fault, machine.has_arrays)


class _Machine:
    def __init__(self, source: Source, passes_arrays: bool) -> None:
        self.imports: set[tuple[str, str]] = set()
        self.has_arrays = False
        self.calls = 0
        self.opcodes = 0
        self._source = source
        self._passes_arrays = passes_arrays
        self._nested = 0

    def one(self) -> None:
        """Read one pickle to its STOP; EOFError when there is no byte of it."""
        first = self._source.read(1)
        if not first:
            raise EOFError
        stack: list[Any] = []
        memo: dict[int, Any] = {}
        for opcode, arg, _ in pickletools.genops(cast(IO[bytes], _Resumed(first, self._source))):
            self.opcodes += 1
            if self.opcodes > MAX_OPCODES:
                raise _Untraceable(f"more than {MAX_OPCODES} opcodes")
            self._take(opcode, arg, stack, memo)

    def _take(
        self, opcode: pickletools.OpcodeInfo, arg: Any, stack: list[Any], memo: dict[int, Any]
    ) -> None:
        name = opcode.name
        if name in _STRINGS:
            stack.append(arg if len(arg) <= KEPT_CHARS else _OPAQUE)
        elif name in _NUMBERS:
            stack.append(arg)
        elif name in _PUTS:
            memo[len(memo) if name == "MEMOIZE" else int(arg)] = stack[-1]
        elif name in _GETS:
            stack.append(memo[int(arg)])
        elif name in _NAMED:
            self._named(name, arg, stack)
        elif name in _CALLS:
            self._called(name, stack)
            self.calls += 1
        elif name in _BUILT:
            _build(name, stack)
        else:
            _generic(opcode, stack)

    def _named(self, name: str, arg: Any, stack: list[Any]) -> None:
        if name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            known = isinstance(module, str) and isinstance(attribute, str)
            path = (module, attribute) if known else UNKNOWN_GLOBAL
        elif name in ("GLOBAL", "INST"):
            module, _, attribute = arg.partition(" ")
            path = (module, attribute)
        else:  # EXT1, EXT2, EXT4: a number that only the reader's own registry explains
            path = UNKNOWN_GLOBAL
        self.imports.add(path)
        if path not in _WRAPPERS and path[1].rpartition(".")[2] == "NumpyArrayWrapper":
            raise _Untraceable("joblib's array under another name")
        if name == "INST":
            stack.append(_made(_Global(path), tuple(_to_mark(stack))))
            self.calls += 1
        else:
            stack.append(_Global(path))

    def _called(self, name: str, stack: list[Any]) -> None:
        if name == "BUILD":
            state = stack.pop()
            made = stack[-1]
            if isinstance(made, _Made):
                made.state = state
                if isinstance(made.maker, _Global) and made.maker.path in _WRAPPERS:
                    self.has_arrays = True
                    if self._passes_arrays:
                        self._pass_array(state)
            return
        if name == "OBJ":
            parts = _to_mark(stack)
            stack.append(_made(parts[0], tuple(parts[1:])))
            return
        if name == "NEWOBJ_EX":
            stack.pop()
        args, maker = stack.pop(), stack.pop()
        stack.append(_made(maker, args))

    def _pass_array(self, state: Any) -> None:
        """Go past the raw bytes that joblib writes after an array's wrapper (numpy_pickle.py)."""
        if not isinstance(state, dict) or _UNREAD in state:
            raise _Untraceable("an array of joblib whose description cannot be read")
        size_bytes = _array_bytes(state)
        if size_bytes is None:  # an array of objects is a pickle
            self._nested += 1
            if self._nested > MAX_NESTED:
                raise _Untraceable("arrays of objects too deep inside each other")
            try:
                self.one()
            except EOFError:
                raise _Untraceable("an array of objects without its objects") from None
            self._nested -= 1
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self._source.read(1)
            size_bytes += padding[0] if padding else 0
        while size_bytes > 0:
            piece = self._source.read(min(size_bytes, SKIP_BYTES))
            if not piece:
                raise _Untraceable("an array that is cut off")
            size_bytes -= len(piece)


class _Resumed:
    """The source with the byte that was read to see whether there is one."""

    def __init__(self, first: bytes, source: Source) -> None:
        self._first = first
        self._source = source

    def read(self, size: int) -> bytes:
        if self._first and size > 0:
            first, self._first = self._first, b""
            return first + self._source.read(size - 1) if size > 1 else first
        return self._source.read(size)

    def readline(self) -> bytes:
        return self._source.readline()  # an opcode is read before any line


def _made(maker: Any, args: Any) -> _Made:
    """Return what a call returns; where joblib's array is made must be plain to see."""
    given = args if isinstance(args, tuple) else (args,)
    if any(isinstance(one, _Global) and one.path in _WRAPPERS for one in given):
        if not isinstance(maker, _Global) or maker.path not in _RECONSTRUCTORS:
            raise _Untraceable("joblib's array made in an unusual way")
        return _Made(given[0], ())
    return _Made(maker, args)


def _array_bytes(state: dict[str, Any]) -> int | None:
    """Return the bytes of a joblib array; None for an array of objects."""
    shape = state.get("shape")
    dtype = state.get("dtype")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise _Untraceable("an array of joblib without a plain shape")
    if _has_objects(dtype):
        return None
    return math.prod(shape) * _item_bytes(dtype)


def _code(dtype: Any) -> str:
    """Return what ``numpy.dtype`` was called with: a kind and a size, such as f8."""
    match dtype:
        case _Made(maker=_Global(path=path), args=(str(code), *_)) if path == _NUMPY_DTYPE:
            return code.lstrip("<>=|")
    raise _Untraceable("an array of joblib without a plain dtype")


def _item_bytes(dtype: Any) -> int:
    code = _code(dtype)
    match dtype.state:
        # Where the size is not part of the kind (texts, records), the state has the last word.
        case (_, _, _, _, _, int(size), *_) if size >= 0:
            return size
    if not code[1:].isascii() or not code[1:].isdigit():
        raise _Untraceable("an array of joblib whose dtype has no size")
    return int(code[1:]) * (4 if code[0] == "U" else 1)


def _has_objects(dtype: Any) -> bool:
    """Whether ``dtype`` or one of its fields is of objects (numpy's ``hasobject``)."""
    if _code(dtype)[:1] == "O":
        return True
    if not isinstance(dtype.state, tuple):
        return False
    # (version, order, subtype, names, fields, size, alignment, flags): numpy's __setstate__
    for part in dtype.state[2:5]:
        for one in part.values() if isinstance(part, dict) else (part,):
            inner = one[0] if isinstance(one, tuple) and one else None
            if isinstance(inner, _Made) and _has_objects(inner):
                return True
    return False


def _to_mark(stack: list[Any]) -> list[Any]:
    """Pop everything above the topmost mark, and the mark."""
    taken: list[Any] = []
    while (value := stack.pop()) is not _MARK:
        taken.append(value)
    return taken[::-1]


def _build(name: str, stack: list[Any]) -> None:
    """Make the containers that an array's description consists of."""
    if name == "EMPTY_TUPLE":
        stack.append(())
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name == "TUPLE":
        stack.append(tuple(_to_mark(stack)))
    elif name.startswith("TUPLE"):
        size = int(name[-1])
        items = tuple(stack[-size:])
        if len(items) < size:
            raise IndexError("the stack is too short")
        del stack[-size:]
        stack.append(items)
    elif name == "DICT":
        stack.append(_pairs(_to_mark(stack)))
    else:  # SETITEM, SETITEMS
        items = (stack.pop(-2), stack.pop()) if name == "SETITEM" else tuple(_to_mark(stack))
        if isinstance(stack[-1], dict):
            stack[-1].update(_pairs(list(items)))


def _pairs(items: list[Any]) -> dict[str, Any]:
    return {
        key if type(key) is str else _UNREAD: value
        for key, value in zip(items[::2], items[1::2], strict=False)
    }


def _generic(opcode: pickletools.OpcodeInfo, stack: list[Any]) -> None:
    """Take and put as many values as the opcode does (pickletools.dis does the same)."""
    if opcode.name == "POP" and stack and stack[-1] is _MARK:
        stack.pop()
        return
    if opcode.name == "DUP":
        stack.append(stack[-1])
        return
    before = opcode.stack_before
    taken = len(before)
    kept: Any = _OPAQUE
    if pickletools.markobject in before:
        _to_mark(stack)
        taken = before.index(pickletools.markobject)
    if taken > len(stack):
        raise IndexError("the stack is too short")
    if taken:
        if opcode.name in _ADDS:
            kept = stack[-taken]
        del stack[-taken:]
    for put in opcode.stack_after:
        stack.append(_MARK if put is pickletools.markobject else kept)


_STRINGS = {
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8",
}  # fmt: skip
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_NAMED = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}
_CALLS = {"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "OBJ"}
_ADDS = {"APPEND", "APPENDS", "ADDITEMS"}
"""What they add to stays what it is."""
_BUILT = {
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM",
    "SETITEMS",
}  # fmt: skip

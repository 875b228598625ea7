"""YAML text to plain values with their places, and back. The only file that knows PyYAML.

It reads parser events, never PyYAML's constructors: no tag, alias or merge key is followed, and a
scalar stays the text that was written, so ``no``, ``1.10`` and ``12:30:45`` mean what they say.
Size, depth and number of nodes are capped while reading, so a hostile file costs no more than an
honest one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from sidecar.problem import Path, Problem, path_text, quoted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
"""The deepest value of a complete routing file lies at 7; chosen with room."""
MAX_NODES = 20_000
"""128 routes with everything in them, or 1,024 plain ones; the worst file then costs 65 ms
(measured, libyaml)."""
MAX_TEXT = 4096
"""Characters in one scalar; chosen, the longest honest ones are prediction paths."""

# libyaml where the wheel has it (30 times faster than the pure parser), with the same events.
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NON_FINITE = re.compile(r"[-+]?\.?(inf|nan|infinity)", re.IGNORECASE)
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


class YamlError(Exception):
    """The text cannot be read on; ``problem`` says where and why."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.text("yaml"))


@dataclass(slots=True)
class Tree:
    """Values (dict, list, str) with the place of each. Scalars are text as written."""

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """(line, column) of each value, from 1."""
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """(line, column) of the key of each value in a mapping."""
    problems: list[Problem] = field(default_factory=list)
    """What was refused on the way; the rest of the tree is there all the same."""
    is_marked: bool = False
    """Whether the document ends with ``...``, YAML's document end mark: it is not cut short."""

    def problem(
        self, path: Path, expected: str, *, found: str | None = None, at_key: bool = False
    ) -> Problem:
        """Return a Problem at ``path``, or at its nearest ancestor when the path is not there."""
        line, column = self._place(path, at_key)
        shown = self.shown(path) if found is None else found
        return Problem(line, column, path_text(path), shown, expected)

    def get(self, path: Path) -> Any:
        """Return the value at ``path``, None if there is none."""
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def shown(self, path: Path) -> str:
        """Return the value at ``path`` as a message quotes it."""
        value = self.get(path)
        if isinstance(value, dict):
            return "a mapping"
        if isinstance(value, list):
            return "a list"
        return "nothing" if value is None else quoted(value)

    def _place(self, path: Path, at_key: bool) -> tuple[int, int]:
        if at_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


@dataclass(slots=True)
class _Frame:
    """One open mapping or list."""

    path: Path
    container: Any
    key: str | None = None
    """The mapping key whose value comes next."""
    keep: bool = True
    """False when the value of ``key`` was refused with its key."""


def parse(raw: bytes) -> Tree:
    """Read one YAML document; YamlError when it cannot be read to its end."""
    text = _decode(raw)
    tree = Tree()
    try:
        _Builder(tree).build(yaml.parse(text, Loader=LOADER))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        why = " ".join(part for part in (exc.problem, exc.context) if part)
        raise YamlError(
            Problem(line, column, "file", f"broken YAML ({why})", "valid YAML")
        ) from exc
    except yaml.YAMLError as exc:
        raise YamlError(Problem(1, 1, "file", f"broken YAML ({exc})", "valid YAML")) from exc
    return tree


def dump(document: Any) -> str:
    """Write plain values as one YAML document with the document end mark, keys in their order."""
    return str(yaml.safe_dump(document, sort_keys=False, explicit_end=True))


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise YamlError(Problem(1, 1, "file", f"more than {MAX_BYTES} bytes", "at most 1MiB"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        column = len(raw[: exc.start].rpartition(b"\n")[2].decode("utf-8-sig")) + 1
        shown = f"byte 0x{raw[exc.start]:02x}"
        raise YamlError(Problem(line, column, "file", shown, "text in UTF-8")) from exc
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        line = text.count("\n", 0, bad.start()) + 1
        column = len(text[: bad.start()].rpartition("\n")[2]) + 1
        raise YamlError(Problem(line, column, "file", repr(bad[0]), "printable text"))
    return text


class _Builder:
    """Builds one Tree from events. Not recursive, so depth costs no Python stack."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._frames: list[_Frame] = []
        self._nodes = 0
        self._documents = 0

    def build(self, events: Iterator[Event]) -> None:
        for event in events:
            self._take(event)
        if not self._documents:
            self._refuse(None, "an empty file", "a routing file; config/examples/ has some")

    def _take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(event, "a second document", "one document in a file")
        elif isinstance(event, DocumentEndEvent):
            self._tree.is_marked = bool(event.explicit)
        elif isinstance(event, AliasEvent):
            self._refuse(event, f"alias *{event.anchor}", "the value written out")
            self._put(None, event)
        elif isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._frames.pop()
            self._value_done()

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if len(self._frames) >= MAX_DEPTH:
            self._stop(event, "deeper nesting", f"at most {MAX_DEPTH} levels")
        self._check_node(event)
        container: Any = {} if isinstance(event, MappingStartEvent) else []
        path = self._put(container, event)
        self._frames.append(_Frame(path, container))

    def _scalar(self, event: ScalarEvent) -> None:
        self._check_node(event)
        text = str(event.value)
        if len(text) > MAX_TEXT:
            self._stop(event, f"a text of {len(text)} characters", f"at most {MAX_TEXT}")
        frame = self._frames[-1] if self._frames else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, text, event)
            return
        self._put(text if self._is_sound(text, event) else None, event)
        self._value_done()

    def _is_sound(self, text: str, event: ScalarEvent) -> bool:
        if event.style:
            return True
        if text in _NULLS:
            self._refuse(event, "nothing", "a value; leave the key out for its default")
        elif _NON_FINITE.fullmatch(text):
            self._refuse(event, text, "a finite number")
        else:
            return True
        return False

    def _key(self, frame: _Frame, text: str, event: ScalarEvent) -> None:
        path = (*frame.path, text)
        frame.key, frame.keep = text, False
        if text == "<<" and not event.style:
            self._refuse(event, "merge key <<", "the keys written out", path)
        elif text == "":
            self._refuse(event, "an empty key", "a key", path)
        elif path in self._tree.keys:
            line, _ = self._tree.keys[path]
            self._refuse(event, f"{quoted(text)} again", f"it once (first in line {line})", path)
        else:
            frame.keep = True
            self._tree.keys[path] = _place(event)

    def _put(self, value: Any, event: Event) -> Path:
        """Attach ``value`` to the open container and return its path."""
        if not self._frames:
            self._tree.value = value
            self._tree.places[()] = _place(event)
            return ()
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
            frame.container.append(value)
        else:
            if frame.key is None:
                self._stop(event, "a key that is not text", "a text as key")
            path = (*frame.path, frame.key)
            if frame.keep:
                frame.container[frame.key] = value
        self._tree.places.setdefault(path, _place(event))
        if isinstance(event, AliasEvent):
            self._value_done()
        return path

    def _value_done(self) -> None:
        if self._frames:
            self._frames[-1].key = None

    def _check_node(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(event, "more values", f"at most {MAX_NODES} in a file")
        if event.anchor is not None:
            self._refuse(event, f"anchor &{quoted(event.anchor)}", "no anchors or aliases")
        if event.tag is not None:
            self._refuse(event, f"tag {quoted(event.tag)}", "a value without a tag")

    def _path(self) -> Path:
        if not self._frames:
            return ()
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            return (*frame.path, len(frame.container))
        return frame.path if frame.key is None else (*frame.path, frame.key)

    def _refuse(
        self, event: Event | None, found: str, expected: str, path: Path | None = None
    ) -> None:
        line, column = (1, 1) if event is None else _place(event)
        where = path_text(self._path() if path is None else path)
        self._tree.problems.append(Problem(line, column, where, found, expected))

    def _stop(self, event: Event, found: str, expected: str) -> NoReturn:
        line, column = _place(event)
        raise YamlError(Problem(line, column, path_text(self._path()), found, expected))


def _place(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # the parser gives every event its place
    return mark.line + 1, mark.column + 1

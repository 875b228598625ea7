"""A model version: what it is, where it comes from, and how its ancestors hang together. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""Of a reference: as the names of variants."""
MAX_GENERATIONS = 100
DIGEST = re.compile(r"[0-9a-f]{64}")


class NotAReference(ValueError):
    """The text is not NAME:VERSION."""


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """The name of a version, NAME:VERSION."""

    name: str
    version: str

    def __post_init__(self) -> None:
        if not (PART.fullmatch(self.name) and PART.fullmatch(self.version)):
            raise NotAReference(
                "a model version is NAME:VERSION, each of letters, digits, '.', '_' and '-' "
                f"(63 at most), got {f'{self.name}:{self.version}'!r}"
            )

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Which files the version is."""

    digest: str
    """SHA-256 of the manifest, hex; of a URI as declared."""
    path: str | None = None
    """Absolute, of a file or folder that the sidecar can read; None for a URI."""
    uri: str | None = None
    """Where it lies when the sidecar cannot read it; None for a path."""
    files: tuple[tuple[str, int, str], ...] = ()
    """Path, size in bytes and SHA-256 of each; of a URI empty where only the digest was declared.
    """

    def __post_init__(self) -> None:
        if (self.path is None) == (self.uri is None):
            raise ValueError("an artifact has a path or a URI")
        if not DIGEST.fullmatch(self.digest):
            raise ValueError(f"a digest is a SHA-256 in hex, got {self.digest!r}")

    @property
    def size_bytes(self) -> int | None:
        """Return the size of all files; None if they are not known."""
        return sum(size for _, size, _ in self.files) if self.files else None

    @property
    def where(self) -> str:
        """Return the path or the URI."""
        return self.path or self.uri or ""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is known of the rows of a training file (``controller/rowset.py``)."""

    file: str
    """The set's name in the folder ``rows`` of the state."""
    n_rows: int
    n_hashes: int
    is_whole: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """One file that the version was trained on."""

    name: str
    digest: str
    """SHA-256 of its bytes, hex; of a digest that another system declares, as it writes it."""
    size_bytes: int | None = None
    rows: Rows | None = None
    """None: its rows were not declared, only its digest."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """What the version takes and returns, as declared."""

    request: dict[str, Any] | None = None
    """JSON Schema of a request's body."""
    response: dict[str, Any] | None = None
    """JSON Schema of an answer's body."""
    inference: dict[str, Any] | None = None
    """Open Inference model metadata: ``inputs`` and ``outputs`` with datatype and shape."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who vouches for the artifact (``controller/signature.py``)."""

    key: str
    """The id of the key."""
    value: str
    """Base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A registered version: never changed once it is written."""

    name: str
    version: str
    artifact: Artifact
    training: tuple[TrainingData, ...] = ()
    code: str | None = None
    """The revision of the code that made it."""
    params: dict[str, str] = field(default_factory=dict)
    """Hyperparameters, as text."""
    parent: str | None = None
    """NAME:VERSION that it was made from."""
    owner: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    schemas: Schemas = Schemas()
    samples: tuple[str, ...] = ()
    """Request bodies (JSON) that it must answer."""
    signature: Signature | None = None
    source: str | None = None
    """Where it was taken from: ``mlflow://NAME/VERSION``."""
    by: str = ""
    """Who registered it."""
    at_ns: int = 0
    """Wall clock."""

    @property
    def ref(self) -> Reference:
        """Return NAME:VERSION."""
        return Reference(self.name, self.version)


def reference(text: str) -> Reference:
    """Read NAME:VERSION; NotAReference if it is not one.

    >>> reference("fraud:7")
    Reference(name='fraud', version='7')
    """
    name, _, version = text.partition(":")
    return Reference(name, version)


def differences(one: ModelVersion, other: ModelVersion) -> tuple[str, ...]:
    """Return the keys in which two registrations of a version differ; who and when do not count."""
    names = (
        *("artifact", "training", "code", "params", "parent", "owner", "metadata"),
        *("schemas", "samples", "signature", "source"),
    )
    return tuple(name for name in names if getattr(one, name) != getattr(other, name))


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One step of a line of descent."""

    ref: str
    generation: int
    """0: the version itself."""
    model: ModelVersion | None
    """None: it was never registered here."""


def ancestors(
    model: ModelVersion, find: Callable[[str], ModelVersion | None]
) -> Iterator[Ancestor]:
    """Yield ``model`` and the versions it descends from, the nearest first.

    Ends at a version without a parent, at one that is not registered, and at a circle, which
    registrations out of order could make.
    """
    current: ModelVersion | None = model
    ref, seen = str(model.ref), set[str]()
    for generation in range(MAX_GENERATIONS):
        yield Ancestor(ref, generation, current)
        seen.add(ref)
        if current is None or current.parent is None or current.parent in seen:
            return
        ref = current.parent
        current = find(ref)

"""Loads the routing file: read once, check everything, then hand over an intent or every error.

Loading changes nothing: it reads the file, and the sample and certificate files that it names. It
cannot tell whether a file without an end mark is cut short; a reload can, somewhat
(sidecar/reload.py).
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from controller.policy import Intent
from router.certificate import ServerTls
from sidecar import eventspec, yamltree
from sidecar.eventspec import EventSpec, check_events
from sidecar.gatecheck import check_gates
from sidecar.natsspec import NatsSpec, check_nats, spec_of
from sidecar.problem import ConfigError, Problem
from sidecar.registrycheck import check_registry
from sidecar.routecheck import check, samples_of
from sidecar.routeerror import problems_of
from sidecar.routeintent import intent_of, listen_tls_of
from sidecar.routemodel import RoutingFile
from sidecar.sample import SampleError, read_samples
from sidecar.securitycheck import check_security
from sidecar.tlsfile import check_files
from sidecar.tokencheck import check_tokens
from sidecar.tokenfile import check_token_file
from sidecar.tracing import check_tracing
from sidecar.yamltree import Tree, YamlError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the processes need to start; a reload does not change it."""

    listen_host: str
    listen_port: int
    admin_host: str
    admin_port: int
    state: Path
    """Absolute."""
    workers: int
    stop_delay_s: float
    drain_s: float
    max_connections: int
    max_requests: int
    memory_bytes: int | None
    """None: what the container's limit leaves, if it has one."""
    max_lag_s: float
    log_level: str
    """debug, info, warning or error."""
    tls: ServerTls | None = None
    """What clients are shown; None serves plain HTTP."""
    tokens: Path | None = None
    """The file of tokens, absolute; None: there is none."""
    read_needs_token: bool = False
    """Whether reading from the admin port needs a token on loopback too."""
    labels_from: NatsSpec | None = None
    """None: labels come to the admin port only."""
    events: tuple[EventSpec, ...] = ()
    """Who is told of what happens."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole routing file that passed every check."""

    intent: Intent
    settings: Settings
    digest: str
    """SHA-256 of the file's bytes, hex."""
    raw: bytes = field(repr=False)
    """The file as it was read; a reload compares the next one with it."""
    is_marked: bool
    """Whether it ends with ``...``, YAML's document end mark."""


def load_routefile(path: Path) -> Loaded:
    """Read and check ``path``; ConfigError with every problem if there is one.

    Paths in the file are relative to the folder that ``path`` names. That folder is not resolved
    through symbolic links: a mounted ConfigMap is a link that changes at each update.
    """
    return parse_routefile(_read(path), path)


def parse_routefile(raw: bytes, path: Path) -> Loaded:
    """Check the bytes of a routing file as if they were at ``path``; ConfigError if refused."""
    folder = Path(os.path.abspath(path)).parent
    try:
        tree = yamltree.parse(raw)
    except YamlError as exc:
        raise ConfigError(str(path), (exc.problem,)) from exc
    problems = list(tree.problems)
    file = _validate(tree, problems)
    problems += check(tree)
    problems += check_files(tree, folder)
    problems += check_tokens(tree, folder)
    problems += check_token_file(tree, folder)
    problems += check_nats(tree, folder)
    problems += check_security(tree, folder)
    problems += check_tracing(tree)
    problems += check_events(tree, folder)
    problems += check_registry(tree, folder)
    samples = _samples(tree, folder, problems)
    found, schemas = check_gates(tree, folder)
    problems += found
    if problems or file is None:
        raise ConfigError(str(path), _in_order(problems))
    digest = hashlib.sha256(raw).hexdigest()
    intent = intent_of(file, samples, digest, folder, schemas)
    return Loaded(intent, _settings(file, folder), digest, raw, tree.is_marked)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(yamltree.MAX_BYTES + 1)
    except OSError as exc:
        found = f"an unreadable file ({exc.strerror or exc})"
        problem = Problem(0, 0, "file", found, "a routing file; config/examples/ has some")
        raise ConfigError(str(path), (problem,)) from exc


def _validate(tree: Tree, problems: list[Problem]) -> RoutingFile | None:
    if tree.value is None and problems:
        return None
    try:
        return RoutingFile.model_validate(tree.value)
    except ValidationError as exc:
        problems += problems_of(exc, tree)
        return None


def _samples(tree: Tree, folder: Path, problems: list[Problem]) -> dict[int, tuple[bytes, ...]]:
    samples = {}
    routes = tree.get(("routes",))
    for index in range(len(routes) if isinstance(routes, list) else 0):
        named = samples_of(tree, ("routes", index))
        if named is None:
            continue
        path, file = named
        try:
            samples[index] = read_samples(folder / file)
        except SampleError as exc:
            problems.append(
                tree.problem(path, "a file with one JSON request body a line", found=str(exc))
            )
    return samples


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """Sort by place; of several problems at one place keep the one that was found first."""
    first: dict[tuple[int, int, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.line, problem.column, problem.path), problem)
    return tuple(sorted(first.values()))


def _settings(file: RoutingFile, folder: Path) -> Settings:
    nats = file.labels_from.nats if file.labels_from is not None else None
    return Settings(
        listen_host=file.listen[0],
        listen_port=file.listen[1],
        admin_host=file.admin.listen[0],
        admin_port=file.admin.listen[1],
        state=_absolute(folder, file.state),
        workers=file.workers,
        stop_delay_s=file.stop.delay,
        drain_s=file.stop.drain,
        max_connections=file.limits.connections,
        max_requests=file.limits.requests,
        memory_bytes=file.limits.memory,
        max_lag_s=file.limits.lag,
        log_level=file.log.level,
        tls=listen_tls_of(file.tls, folder) if file.tls is not None else None,
        tokens=None if file.admin.tokens is None else _absolute(folder, file.admin.tokens),
        read_needs_token=file.admin.read_needs_token,
        labels_from=None if nats is None else spec_of(nats, folder),
        events=tuple(eventspec.spec_of(section, folder) for section in file.events),
    )


def _absolute(folder: Path, named: str) -> Path:
    return Path(os.path.abspath(folder / named))

"""Where labels are read from, as the routing file says; and whether its files are there."""

import os.path
from pathlib import Path as FilePath

import msgspec
from msgspec import Struct

from router.certificate import CertificateError, client_context
from router.table import Tls
from sidecar.model.process import NatsSection
from sidecar.natskey import CredentialsError, read_credentials
from sidecar.problem import Problem
from sidecar.routecheck import part
from sidecar.yamltree import Tree

PATH = ("labels_from", "nats")


class NatsSpec(Struct, frozen=True, kw_only=True):
    """A subject of a NATS JetStream stream. Files are absolute paths; no secret is in here."""

    servers: tuple[str, ...]
    """nats://HOST:PORT or tls://HOST:PORT; tried in turn."""
    stream: str
    subject: str
    durable: str
    """The name under which the broker remembers how far we are."""
    ack_wait_s: float = 30.0
    """What is not acknowledged for so long is delivered again."""
    credentials: str = ""
    """A .creds file; empty: none."""
    ca: str = ""
    cert: str = ""
    key: str = ""

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted: some server or file says so."""
        return bool(self.ca or self.cert) or any(one.startswith("tls:") for one in self.servers)

    def tls(self) -> Tls:
        """Return what the broker must show and is shown; whoever the system trusts without a ca."""
        return Tls(ca=self.ca, cert=self.cert, key=self.key)


def to_text(spec: NatsSpec) -> str:
    """Return ``spec`` as one word of a command line."""
    return msgspec.json.encode(spec).decode()


def from_text(text: str) -> NatsSpec:
    """Read what ``to_text`` wrote; ValueError if it is not that."""
    return msgspec.json.decode(text, type=NatsSpec)


def spec_of(section: NatsSection, folder: FilePath) -> NatsSpec:
    """Return what the section says, its files relative to ``folder``."""
    tls = section.tls

    def file(named: str | None) -> str:
        return os.path.abspath(folder / named) if named else ""

    return NatsSpec(
        servers=tuple(section.servers),
        stream=section.stream,
        subject=section.subject,
        durable=section.durable,
        ack_wait_s=section.ack_wait,
        credentials=file(section.credentials),
        ca=file(tls.ca if tls else None),
        cert=file(tls.cert if tls else None),
        key=file(tls.key if tls else None),
    )


def check_nats(tree: Tree, folder: FilePath) -> list[Problem]:
    """Return what is wrong with the files that the section names, if it is sound by itself."""
    section = part(tree, PATH, NatsSection)
    if section is None:
        return []
    spec = spec_of(section, folder)
    problems = []
    if spec.credentials:
        try:
            read_credentials(FilePath(spec.credentials))
        except CredentialsError as error:
            place = (*PATH, "credentials")
            problems.append(tree.problem(place, "the user's .creds file", found=str(error)))
    if section.tls is not None and bool(spec.cert) != bool(spec.key):
        expected = "`cert` and `key` together, or neither"
        problems.append(tree.problem((*PATH, "tls"), expected, found="one of them"))
    elif spec.is_tls:
        try:
            client_context(spec.tls())
        except CertificateError as error:
            found = f"{error.path} ({error.why})"
            where = (*PATH, "tls", error.key)
            problems.append(tree.problem(where, "a PEM file that can be used", found=found))
    return problems

"""``labels_from: {nats: ...}``: what it means, and which of its files are not there."""

from pathlib import Path

import pytest

from sidecar.natsspec import NatsSpec, from_text, to_text
from tests.router.pki import Authority
from tests.sidecar.broker import creds
from tests.sidecar.routing_texts import load, only_problem, problems_of_text, with_part

SMALL = 'servers: ["nats://127.0.0.1:4222"], stream: LABELS, subject: labels.>'


def with_nats(section: str) -> str:
    return with_part("admin: {listen", f"labels_from: {{nats: {{{section}}}}}\nadmin: {{listen")


def test_a_small_section_has_defaults(tmp_path: Path) -> None:
    spec = load(with_nats(SMALL), tmp_path).settings.labels_from
    assert spec == NatsSpec(
        servers=("nats://127.0.0.1:4222",),
        stream="LABELS",
        subject="labels.>",
        durable="understudy",
        ack_wait_s=30.0,
    )
    assert not spec.is_tls and from_text(to_text(spec)) == spec


def test_files_are_relative_to_the_routing_file(tmp_path: Path) -> None:
    Authority(tmp_path).issue("one")
    (tmp_path / "nats.creds").write_bytes(creds(b"jwt", bytes(32)))
    tls = "tls: {ca: authority.pem, cert: one.pem, key: one.key}"
    text = with_nats(f"{SMALL.replace('nats:', 'tls:')}, credentials: nats.creds, {tls}")
    spec = load(text, tmp_path).settings.labels_from
    assert spec is not None and spec.is_tls
    assert (spec.credentials, spec.ca) == (
        *(str(tmp_path / "nats.creds"), str(tmp_path / "authority.pem")),
    )
    assert from_text(to_text(spec)) == spec


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (SMALL + ", credentials: no.creds", "labels_from.nats.credentials"),
        (SMALL + ", tls: {ca: no.pem}", "labels_from.nats.tls.ca"),
        (SMALL + ", tls: {cert: no.pem}", "labels_from.nats.tls"),
        (SMALL.replace("127.0.0.1", "user:pass@host"), "labels_from.nats.servers[0]"),
        (SMALL.replace("labels.>", "labels.>.x"), "labels_from.nats.subject"),
        (SMALL.replace("LABELS", "LA.BELS"), "labels_from.nats.stream"),
        (SMALL + ", ack_wait: 0s", "labels_from.nats.ack_wait"),
    ],
)
def test_what_is_wrong_is_named_at_its_place(tmp_path: Path, section: str, key: str) -> None:
    assert only_problem(with_nats(section), tmp_path).path == key


def test_every_key_that_is_needed_is_asked_for() -> None:
    paths = {problem.path for problem in problems_of_text(with_nats(""))}
    wanted = {f"labels_from.nats.{key}" for key in ("servers", "stream", "subject")}
    assert wanted <= paths or paths == {"labels_from.nats"}

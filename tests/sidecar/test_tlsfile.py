"""``understudy check`` reads the certificate files and says which key names a bad one."""

from pathlib import Path

import pytest

from sidecar.problem import Problem
from tests.router.pki import Authority
from tests.sidecar.routing_texts import load, only_problem, problems_of_text, with_part

CHALLENGER = 'fraud-7, url: "http://127.0.0.1:9002"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    authority = Authority(folder)
    authority.issue("one")
    authority.issue("two")
    return folder


def with_listen_tls(tls: str) -> str:
    return with_part("admin: {listen", f"tls: {{{tls}}}\nadmin: {{listen")


def with_variant_tls(tls: str) -> str:
    return with_part(CHALLENGER, f'fraud-7, url: "https://m.test:8443", tls: {{{tls}}}')


def test_sound_files_are_accepted_relative_to_the_routing_file(folder: Path) -> None:
    tls = load(with_listen_tls("cert: one.pem, key: one.key, client_ca: authority.pem"), folder)
    assert tls.settings.tls is not None
    assert tls.settings.tls.cert == str(folder / "one.pem")
    assert tls.settings.tls.client_ca == str(folder / "authority.pem")
    text = with_variant_tls("ca: authority.pem, cert: two.pem, key: two.key")
    assert problems_of_text(text, folder) == []


@pytest.mark.parametrize(
    ("tls", "key", "found"),
    [
        ("cert: no.pem, key: one.key", "cert", "no.pem (No such file or directory)"),
        ("cert: one.pem, key: no.key", "key", "no.key (No such file or directory)"),
        ("cert: one.pem, key: two.key", "key", "two.key (not the key of"),
        ("cert: one.key, key: one.key", "cert", "one.key (no certificate in it (PEM))"),
        ("cert: one.pem, key: one.pem", "key", "one.pem (no private key in it (PEM))"),
        ("cert: one.pem, key: one.key, client_ca: no.pem", "client_ca", "no.pem (No such"),
    ],
)
def test_bad_file_of_the_listener_is_named_at_its_place(
    folder: Path, tls: str, key: str, found: str
) -> None:
    problem = only_problem(with_listen_tls(tls), folder)
    assert problem.path == f"tls.{key}"
    assert found in problem.found and str(folder) in problem.found
    assert problem.line == 2 and problem.column > 6
    assert problem.expected.startswith("a PEM file")


@pytest.mark.parametrize(
    ("tls", "key"),
    [
        ("ca: no.pem", "ca"),
        ("ca: one.key", "ca"),
        ("cert: one.pem, key: two.key", "key"),
        ("ca: authority.pem, cert: no.pem, key: one.key", "cert"),
    ],
)
def test_bad_file_of_a_variant_is_named_at_its_place(folder: Path, tls: str, key: str) -> None:
    problem = only_problem(with_variant_tls(tls), folder)
    assert problem.path == f"routes[0].challengers[0].tls.{key}"
    assert problem.line == 9


def test_half_a_pair_is_said_once(folder: Path) -> None:
    problem = only_problem(with_variant_tls("cert: no.pem"), folder)
    assert problem.found == "no `key`"


def test_all_bad_files_come_at_once(folder: Path) -> None:
    text = with_listen_tls("cert: no.pem, key: no.key").replace(
        CHALLENGER, 'fraud-7, url: "https://m.test:1", tls: {ca: no.pem}'
    )
    problems: list[Problem] = problems_of_text(text, folder)
    assert [problem.path for problem in problems] == ["tls.cert", "routes[0].challengers[0].tls.ca"]

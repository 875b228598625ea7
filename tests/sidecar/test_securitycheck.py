"""``understudy check`` looks for the files, and for keys that need each other."""

from pathlib import Path

import pytest

from tests.sidecar.routing_texts import load, only_problem, problems_of_text, with_part

STAGE = "- functional: {}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.txt").write_text("numpy==2.1.0\n")
    (tmp_path / "osv").mkdir()
    (tmp_path / "golden.ndjson").write_text("{}\n")
    return tmp_path


def with_security(keys: str) -> str:
    return with_part(STAGE, f"{STAGE}        - security: {{{keys}}}\n")


@pytest.mark.parametrize(
    "keys",
    [
        "scan: {}",
        "scan: {allow: [sklearn.*], fail_on: dangerous, time: 1m, memory: 1GiB, size: 4GiB}",
        "dependencies: {file: r.txt, database: osv}",
        "dependencies: {file: r.txt, database: osv}, licences: {allow: [MIT]}",
        "licences: {allow: [MIT], file: r.txt, installed: osv}",
        "fairness: {by: [sex], metric: equalized_odds_difference, worse_by: 1%, "
        "golden: golden.ndjson}",
        "results: [{file: not-yet.sarif}]",
        "approval: {by: 2}",
    ],
)
def test_sound_keys_are_taken(folder: Path, keys: str) -> None:
    assert load(with_security(keys), folder)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("at_most: 1h", "at least one of scan"),
        ("licences: {allow: [MIT]}", "`file`, or `dependencies`"),
        (
            "fairness: {by: [sex], metric: equalized_odds_difference, golden: golden.ndjson}",
            "a limit",
        ),
        (
            "fairness: {by: [sex], metric: equalized_odds_difference, at_most: 1%}",
            "`golden`, or a stage `performance`",
        ),
        ("dependencies: {file: gone.txt, database: osv}", "that is there"),
        ("dependencies: {file: r.txt, database: gone.zip}", "that is there"),
    ],
)
def test_what_is_missing_is_said(folder: Path, keys: str, said: str) -> None:
    assert said in only_problem(with_security(keys), folder).expected


def test_every_missing_file_is_said_at_once(folder: Path) -> None:
    keys = "dependencies: {file: a.txt, database: b.zip}, licences: {allow: [MIT], file: c.txt}"
    assert len(problems_of_text(with_security(keys), folder)) == 3

"""``understudy check`` reads the key files, and refuses what ``join: token`` cannot do."""

from pathlib import Path

import pytest

from sidecar.problem import Problem
from tests.router.test_keyfile import write
from tests.router.test_signer import LINES
from tests.sidecar.routing_texts import load, only_problem, problems_of_text, with_part

LABELS = "labels: {window: 14d, maturity: 3d}"
ACCURACY = "accuracy: {kind: correct, role: objective, detect: 1%}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "keys", LINES[0])
    return tmp_path


def with_labels(more: str) -> str:
    return with_part(LABELS, LABELS.replace("3d", f"3d, {more}"))


def test_sound_tokens_are_taken_with_the_files_own_path(folder: Path) -> None:
    (route,) = load(with_labels("token: {keys: keys, hold: 1KiB}"), folder).intent.routes
    assert route.token is not None
    assert (route.token.keys, route.token.hold_bytes) == (str(folder / "keys"), 1024)
    assert not route.token.joins
    (route,) = load(with_labels("token: {keys: keys}, join: token"), folder).intent.routes
    assert route.token is not None and route.token.joins
    (route,) = load(with_labels("join: store"), folder).intent.routes
    assert route.token is None


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        (None, 0o600, "No such file"),
        ("k1 short", 0o600, "line 1"),
        (LINES[0], 0o644, "mode 0644"),
    ],
)
def test_a_bad_key_file_is_named_at_its_place(
    tmp_path: Path, text: str | None, mode: int, found: str
) -> None:
    if text is not None:
        write(tmp_path / "keys", text, mode)
    problem = only_problem(with_labels("token: {keys: keys}"), tmp_path)
    assert problem.path == "routes[0].labels.token.keys"
    assert found in problem.found and str(tmp_path / "keys") in problem.found
    assert LINES[0].split()[1] not in problem.text("r.yaml")


def refused(folder: Path, text: str, path: str) -> Problem:
    problem = only_problem(text, folder)
    assert problem.path == f"routes[0].{path}"
    return problem


def test_join_by_token_needs_a_token(folder: Path) -> None:
    assert "keys: FILE" in refused(folder, with_labels("join: token"), "labels.join").expected


TOKEN = "token: {keys: keys}, join: token"


def test_no_default_can_be_taken_for_labels_of_which_nobody_knows(folder: Path) -> None:
    text = with_labels(f"missing: incorrect, {TOKEN}")
    problem = refused(folder, text, "labels.missing")
    assert "nobody knows which labels are missing" in problem.expected
    assert problems_of_text(text.replace("join: token", "join: store"), folder) == []


def test_labels_by_draw_and_scorers_need_the_store(folder: Path) -> None:
    refused(folder, with_labels(f"sampled: 20%, {TOKEN}"), "labels.sampled")
    scorer = 'scorer: {url: "http://127.0.0.1:9/s"}'
    refused(folder, with_labels(f"{scorer}, {TOKEN}"), "labels.scorer")


@pytest.mark.parametrize("key", ["of", "covariate"])
def test_a_metric_that_reads_more_than_the_prediction_needs_the_store(
    folder: Path, key: str
) -> None:
    loss = f"loss: {{kind: loss, loss: absolute, role: objective, detect: 1, {key}: score}}"
    text = with_labels(TOKEN).replace(ACCURACY, f"{ACCURACY}\n      {loss}")
    problem = refused(folder, text, f"metrics.loss.{key}")
    assert "join: store" in problem.expected
    assert problems_of_text(text.replace("join: token", "join: store"), folder) == []
    earned = "earned: {kind: mean, role: objective, detect: 1, value: score, covariate: past}"
    text = with_labels(TOKEN).replace(ACCURACY, f"{ACCURACY}\n      {earned}")
    assert problems_of_text(text, folder) == []  # read at once, from the answer


def test_every_fault_comes_at_once(folder: Path) -> None:
    text = with_labels("token: {keys: gone}, join: token, missing: incorrect, sampled: 20%")
    paths = {problem.path for problem in problems_of_text(text, folder)}
    assert paths == {
        f"routes[0].labels.{key}" for key in ("token.keys", "missing", "sampled")
    }  # fmt: skip

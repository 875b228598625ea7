from pathlib import Path

import pytest

from controller.policy import MlflowSpec, RegistrySpec, ReportsSpec
from tests.controller.test_signature import key_pair
from tests.sidecar.routing_texts import WHOLE, load, only_problem, problems_of_text, with_part

CHALLENGER = "{name: fraud-7, "
MODEL = f"{CHALLENGER}model: 'fraud:7', "
REPORTS = "    reports: {path: '/v2/models/{name}', version: 'versions[0]'}\n"
METRICS = "    metrics:\n"


def with_reports(reports: str = REPORTS, model: str = MODEL) -> str:
    assert WHOLE.count(CHALLENGER) == 1
    return with_part(METRICS, reports + METRICS).replace(CHALLENGER, model)


def with_registry(text: str) -> str:
    return f"registry: {text}\n{WHOLE}"


def test_models_and_reports_arrive() -> None:
    [route] = load(with_reports()).intent.routes
    assert route.models == (("fraud-7", "fraud:7"),)
    assert route.reports == ReportsSpec("/v2/models/{name}", version="versions[0]")
    [plain] = load(WHOLE).intent.routes
    assert plain.models == () and plain.reports is None


def test_registry_arrives_with_the_files_own_path(tmp_path: Path) -> None:
    _, public = key_pair(tmp_path)
    text = "{required: true, keys: key.pub, mlflow: {url: 'http://mlflow:5000'}}"
    found = load(with_registry(text), tmp_path).intent.registry
    assert found == RegistrySpec(True, str(public), MlflowSpec("http://mlflow:5000"))
    assert load(WHOLE).intent.registry == RegistrySpec()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (with_reports("    reports: {path: /v2}\n"), "at least one of `version`, `digest`"),
        (with_reports(model=CHALLENGER), "a variant with `model: NAME:VERSION`"),
        (with_reports("    reports: {path: '/{other}', version: v}\n"), "a path such as /v2"),
        (with_reports("    reports: {path: /v2, version: '[['}\n"), "a JMESPath expression"),
        (with_reports(model=MODEL.replace("fraud:7", "fraud")), "NAME:VERSION, such as fraud:7"),
        (with_registry("{mlflow: {url: 'http://mlflow:5000/'}}"), "without a slash at the end"),
        (with_registry("{mlflow: {url: 'ftp://x'}}"), "http:// or https://"),
        (with_registry("{required: maybe}"), "true or false"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, expected: str) -> None:
    assert expected in only_problem(text).expected


def test_keys_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    text = with_registry("{keys: gone.pem}")
    problem = only_problem(text, tmp_path)
    assert "gone.pem" in problem.found and "Ed25519 public keys" in problem.expected
    (tmp_path / "gone.pem").write_text("nothing")
    assert "holds no public key" in only_problem(text, tmp_path).found
    key_pair(tmp_path, "gone")
    (tmp_path / "gone.pub").rename(tmp_path / "gone.pem")
    assert problems_of_text(text, tmp_path) == []

from pathlib import Path

import pytest

from controller.gates.goldenspec import GoldenSpec
from controller.gates.securityspec import (
    DependencySpec,
    FairnessSpec,
    LicenceSpec,
    ResultSpec,
    ScanSpec,
    SecuritySpec,
)
from controller.policy import OnTimeout, StageKind
from sidecar.model.security import Security
from sidecar.securityintent import security_of
from tests.sidecar.routing_texts import load, with_part

FOLDER = Path("/etc/understudy")


def spec(**keys: object) -> SecuritySpec:
    return security_of(Security.model_validate(keys), FOLDER, "kserve-v1")


def test_every_key_arrives_with_its_unit() -> None:
    found = spec(
        artifact="model",
        scan={"allow": ["a.*"], "fail_on": "dangerous", "time": "1m", "memory": "1GiB",
              "size": "2GiB"},
        dependencies={"file": "r.txt", "database": "/osv.zip", "max_age": "1d", "fail_on": "low",
                      "ignore": ["CVE-1"], "others": "ignore"},
        licences={"allow": ["MIT"], "file": "l.txt", "installed": "site", "ignore": ["a"]},
        fairness={"by": ["sex"], "metric": "demographic_parity_difference", "at_most": "10%",
                  "worse_by": "1%", "positive": "yes", "at_least": "50", "judge_by": "estimate",
                  "alpha": "1%", "golden": "g.csv"},
        results=[{"file": "s.sarif", "fail_on": "error", "max_age": "2d", "named": "true"}],
    )  # fmt: skip
    assert found == SecuritySpec(
        artifact="/etc/understudy/model",
        scan=ScanSpec(("a.*",), "dangerous", 60.0, 1 << 30, 2 << 30),
        dependencies=DependencySpec(
            "/etc/understudy/r.txt", "/osv.zip", 86_400.0, "low", ("CVE-1",), "ignore"
        ),
        licences=LicenceSpec(("MIT",), "/etc/understudy/l.txt", "/etc/understudy/site", ("a",)),
        fairness=FairnessSpec(
            by=("sex",),
            metric="demographic_parity_difference",
            at_most=0.1,
            worse_by=0.01,
            positive='"yes"',
            at_least=50,
            judge_by="estimate",
            alpha=0.01,
            golden=GoldenSpec("/etc/understudy/g.csv", protocol="kserve-v1", by=("sex",)),
        ),
        results=(ResultSpec("/etc/understudy/s.sarif", "error", 172_800.0, True),),
    )


def test_licences_are_of_the_dependencies_unless_they_say_otherwise() -> None:
    found = spec(dependencies={"file": "r.txt", "database": "osv"}, licences={"allow": ["MIT"]})
    assert found.licences is not None and found.licences.file == "/etc/understudy/r.txt"


def test_the_stage_has_its_time_and_stands_before_the_shadow() -> None:
    line = "- security: {scan: {}, artifact: model, at_most: 2h, on_timeout: hold}\n        "
    [route] = load(with_part("- shadow:", line + "- shadow:"), FOLDER).intent.routes
    stage = route.stages[1]
    assert (stage.kind, stage.at_most_s) == (StageKind.SECURITY, 7200.0)
    assert stage.on_timeout is OnTimeout.HOLD
    assert stage.security == SecuritySpec("/etc/understudy/model", scan=ScanSpec())


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"scan": {}}, ScanSpec()),
        (
            {"dependencies": {"file": "/r", "database": "/d"}},
            DependencySpec("/r", "/d"),
        ),
        ({"results": [{"file": "/s"}]}, (ResultSpec("/s"),)),
    ],
)
def test_defaults_of_the_file_are_those_of_the_spec(keys: dict[str, object], part: object) -> None:
    """Written down twice, so held together here."""
    [name] = keys
    assert getattr(spec(**keys), name) == part

import msgspec

from controller.gates.goldenspec import GoldenSpec
from controller.gates.securityspec import (
    DependencySpec,
    FairnessSpec,
    LicenceSpec,
    ResultSpec,
    ScanSpec,
    SecuritySpec,
)

WHOLE = SecuritySpec(
    artifact="/models/fraud-7",
    scan=ScanSpec(allow=("sklearn.*",)),
    dependencies=DependencySpec("/r.txt", "/osv.zip", ignore=("CVE-2024-1",)),
    licences=LicenceSpec(("MIT",), "/r.txt"),
    fairness=FairnessSpec(
        ("sex",), "demographic_parity_difference", at_most=0.1, golden=GoldenSpec("/g.ndjson")
    ),
    results=(ResultSpec("/scan.sarif"),),
)


def test_a_spec_is_kept_in_the_store_and_read_again() -> None:
    """The rollout keeps the policy it began with, across restarts."""
    raw = msgspec.json.encode(WHOLE)
    assert msgspec.json.decode(raw, type=SecuritySpec) == WHOLE

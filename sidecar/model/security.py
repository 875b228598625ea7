"""Keys of the stage `security:`: what a model's files, dependencies and answers must not have."""

from typing import Annotated, Literal

from pydantic import Field

from sidecar.model.gated import Gated
from sidecar.model.section import Section
from sidecar.routetype import (
    AllowedImport,
    AtLeast,
    Class,
    FilePath,
    Flag,
    GroupPath,
    Level,
    LicenceName,
    PackageName,
    PositiveDuration,
    Share,
    Size,
    Timeout,
    VulnerabilityId,
    default,
)

Names = Annotated[list[PackageName], Field(max_length=1000)]
Word = Literal["low", "medium", "high", "critical"]


class Scan(Section):
    """Looks into every file of the artifact, and into archives, without loading anything."""

    allow: list[AllowedImport] = Field(
        default=[],
        max_length=1000,
        description="What a pickle may import: `module.name`, or `module.*` for everything of a "
        "module that is not known to be dangerous; `file:PATTERN` for a file that may be "
        "executable.",
    )
    fail_on: Literal["suspicious", "dangerous"] = Field(
        default="suspicious",
        description="suspicious: whatever is not known to be harmless. dangerous: only what is "
        "known to run commands, code or other files.",
    )
    time: PositiveDuration = default("5m", "How long it may take, of the processor's time too.")
    memory: Size = default("2GiB", "The address space that the scanning process may have.")
    size: Size = default("16GiB", "What may be read and unpacked in all.")


class Dependencies(Section):
    """Are there known vulnerabilities in what the model needs?"""

    file: FilePath = Field(
        description="Requirements, each pinned with ==, or a CycloneDX SBOM in JSON. Relative to "
        "the routing file."
    )
    database: FilePath = Field(
        description="A copy of OSV's database: a folder of JSON records, or the zip that osv.dev "
        "publishes for PyPI."
    )
    max_age: PositiveDuration = default("30d", "How old its newest record may be.")
    fail_on: Word = Field(default="high", description="The severity from which on it is refused.")
    ignore: list[VulnerabilityId] = Field(
        default=[], max_length=1000, description="Ids that somebody has looked at and accepted."
    )
    others: Literal["hold", "ignore"] = Field(
        default="hold",
        description="What happens when an SBOM lists packages that are not from PyPI: they are "
        "not looked up.",
    )


class Licences(Section):
    """Are all dependencies under licences that may be used?"""

    allow: list[LicenceName] = Field(
        min_length=1, max_length=200, description="SPDX identifiers, such as Apache-2.0."
    )
    file: FilePath | None = Field(
        default=None, description="Requirements or an SBOM. Without it that of `dependencies`."
    )
    installed: FilePath | None = Field(
        default=None,
        description="The site-packages folder in which the requirements are installed: its "
        "metadata name the licences. Not needed with an SBOM that does.",
    )
    ignore: Names = Field(
        default=[], description="Packages that somebody has looked at and accepted."
    )


class Fairness(Section):
    """Does the challenger treat groups of the golden set alike?"""

    by: list[GroupPath] = Field(
        min_length=1, max_length=10, description="Columns of the golden set that say the group."
    )
    metric: Literal[
        "demographic_parity_difference",
        "equalized_odds_difference",
        "equal_opportunity_difference",
        "accuracy_score_difference",
    ] = Field(description="fairlearn's metric: the largest difference between two groups.")
    at_most: Share | None = Field(default=None, description="How large it may be.")
    worse_by: Share | None = Field(
        default=None, description="By how much it may be larger than the champion's."
    )
    positive: Class = default("1", "The class that counts as selected.")
    at_least: AtLeast = default("30", "Rows of each group, below which nothing is decided.")
    judge_by: Literal["interval", "estimate"] = Field(
        default="interval",
        description="interval: the whole interval must be within the limit. estimate: the number "
        "alone decides.",
    )
    alpha: Level = default("5%", "The chance that any of the intervals misses the truth.")
    golden: FilePath | None = Field(
        default=None,
        description="The golden set: NDJSON, CSV or Parquet with a column `label`, and `request` "
        "or one column for each feature.",
    )


class Result(Section):
    """A file in which another program says what it found."""

    file: FilePath = Field(description="SARIF 2.1.0, CycloneDX or pip-audit, in JSON.")
    fail_on: Literal["low", "medium", "high", "critical", "note", "warning", "error"] = Field(
        default="high", description="The severity, or level of SARIF, from which on it is refused."
    )
    max_age: PositiveDuration = default("7d", "How old it may be.")
    named: Flag = default(
        "false", "Whether it must name the artifact by its SHA-256, or that of one of its files."
    )


class Security(Gated):
    """Before any traffic: is there anything in the challenger that must not be served?"""

    artifact: FilePath | None = Field(
        default=None,
        description="The challenger's file or folder. Without it the registered version's.",
    )
    scan: Scan | None = Field(
        default=None, description="Looks for executable content in the artifact's files."
    )
    dependencies: Dependencies | None = Field(
        default=None, description="Looks up known vulnerabilities, offline."
    )
    licences: Licences | None = Field(
        default=None, description="Holds the dependencies' licences against a list."
    )
    fairness: Fairness | None = Field(
        default=None, description="Compares groups of the golden set."
    )
    results: list[Result] = Field(
        default=[], max_length=20, description="What other programs found, read from files."
    )
    at_most: PositiveDuration = default("1h", "How long it may take to pass.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")

"""What the security gate is asked to hold: the frozen form of ``security:``. Pure."""

from dataclasses import dataclass

from controller.gates.goldenspec import GoldenSpec

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ScanSpec:
    """Which content an artifact may have."""

    allow: tuple[str, ...] = ()
    """``module.name`` or ``module.*`` for what a pickle may import; ``file:PATTERN`` for files
    that may be executable."""
    fail_on: str = "suspicious"
    """``suspicious``: whatever is not known to be harmless; ``dangerous``: what is known not to."""
    time_s: float = 300.0
    memory_bytes: int = 2 << 30
    """Address space of the process that scans."""
    unpacked_bytes: int = 16 << 30
    """Read and unpacked in all, before the scan gives up."""


@dataclass(frozen=True, slots=True)
class DependencySpec:
    """Which known vulnerabilities a model's dependencies may have."""

    file: str
    """Requirements with pins, or a CycloneDX SBOM in JSON."""
    database: str
    """OSV records: a folder of JSON files, or a zip of them."""
    max_age_s: float = 30 * DAY_S
    fail_on: str = "high"
    """A severity: low, medium, high, critical."""
    ignore: tuple[str, ...] = ()
    """Ids (or aliases) that somebody has looked at and accepted."""
    others: str = "hold"
    """``hold`` or ``ignore``: what is done about parts of an SBOM that are not from PyPI."""


@dataclass(frozen=True, slots=True)
class LicenceSpec:
    """Which licences the dependencies may have."""

    allow: tuple[str, ...]
    """SPDX identifiers."""
    file: str
    """The SBOM, or the requirements whose installed metadata is read."""
    installed: str | None = None
    """The ``site-packages`` folder in which the requirements are installed."""
    ignore: tuple[str, ...] = ()
    """Packages that somebody has looked at and accepted."""


@dataclass(frozen=True, slots=True)
class FairnessSpec:
    """How far the challenger may treat groups differently."""

    by: tuple[str, ...]
    """Columns of the golden set that say the groups."""
    metric: str
    at_most: float | None = None
    """The largest difference between two groups, 0 to 1; None sets no limit of its own."""
    worse_by: float | None = None
    """The largest amount by which the difference may exceed the champion's; None: any."""
    positive: str = "1"
    """The class that counts as selected, as canonical JSON text."""
    at_least: int = 30
    """Rows of each group; with fewer nothing is decided."""
    judge_by: str = "interval"
    """``interval``: the whole interval must be inside; ``estimate``: the number alone decides."""
    alpha: float = 0.05
    """The chance that any interval of the section misses the truth."""
    golden: GoldenSpec | None = None
    """The rows; None: those of the performance stage."""


@dataclass(frozen=True, slots=True)
class ResultSpec:
    """A file in which another program says what it found."""

    file: str
    fail_on: str = "high"
    """A severity, or SARIF's levels: note, warning, error."""
    max_age_s: float = 7 * DAY_S
    is_named: bool = False
    """Whether the file must name the artifact by its digest."""


@dataclass(frozen=True, slots=True)
class SecuritySpec:
    """Everything that the gate is asked."""

    artifact: str | None = None
    """The model's file or folder, where no registry says it."""
    scan: ScanSpec | None = None
    dependencies: DependencySpec | None = None
    licences: LicenceSpec | None = None
    fairness: FairnessSpec | None = None
    results: tuple[ResultSpec, ...] = ()

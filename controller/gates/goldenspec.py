"""What the routing file declares for the performance gate. Pure values."""

from dataclasses import dataclass, field

OFFLINE = (
    "correct", "error", "agreement", "mean", "loss", "divergence", "precision", "recall", "f1",
    "auc", "latency",
)  # fmt: skip
"""Kinds of metrics that make sense without traffic. Drift is about what users send."""


@dataclass(frozen=True, slots=True)
class GoldenSpec:
    """Where the golden rows are, and how a row becomes a request."""

    path: str
    """Absolute. NDJSON, CSV or Parquet, told by the name; .gz is unpacked."""
    digest: str | None = None
    """SHA-256 of the file's bytes, hex, that it must have; None: any, recorded as found."""
    label: str = "label"
    """The column of the truth."""
    request: str = "request"
    """The column of the whole request body, for rows that have one."""
    features: tuple[str, ...] | None = None
    """Columns that make the request of rows that have none, in this order; None: all but the
    label."""
    template: str | None = None
    """JSON in which ``$values``, ``$record``, ``$columns`` and ``$NAME`` stand for a row's values;
    None: the protocol's own."""
    protocol: str = "json"
    by: tuple[str, ...] = ()
    """JMESPaths into a row: what its slices are called by."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """How much worse than the champion is still acceptable: one of the two, or neither."""

    absolute: float | None = None
    relative: float | None = None
    """A share of the champion's value on these rows."""

    def bound(self, champion: float) -> float:
        """Return the margin in the metric's unit, 0 or more."""
        if self.absolute is not None:
            return self.absolute
        return (self.relative or 0.0) * abs(champion)


@dataclass(frozen=True, slots=True)
class SliceSpec:
    """How groups are judged."""

    allowed: Allowed = field(default_factory=lambda: Allowed(relative=0.1))
    at_least: int = 30
    """Rows of a group, below which nothing is claimed of it."""
    small: str = "hold"
    """"hold": a smaller group leaves the gate undecided. "skip": it is left out, and listed."""
    undecided: str = "hold"
    """"hold": a group that is shown neither worse nor good enough leaves the gate undecided.
    "pass": only a group that is shown worse counts."""


@dataclass(frozen=True, slots=True)
class PerformanceSpec:
    """One ``performance:`` stage."""

    golden: GoldenSpec
    metrics: tuple[tuple[str, Allowed], ...] = ()
    """Names of the metrics that are compared, each with what is still acceptable."""
    slices: SliceSpec = field(default_factory=SliceSpec)
    at_least: int = 20
    """Rows, below which nothing is claimed."""
    skip_shadow_from: float | None = None
    """The lower limit of every objective's effect from which on shadow is skipped; None: never."""
    concurrency: int = 4
    """Rows that are under way at once."""
    training: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Variant and absolute paths of what it was trained on, beside what the registry knows."""
    require_training_data: bool = False
    """Whether a model whose training data nobody declared is refused."""

"""Keys of the performance stage: a golden dataset, and what must be shown on it."""

from typing import Literal

from pydantic import Field

from sidecar.model.gated import Gated
from sidecar.model.section import Section
from sidecar.routetype import (
    Amount,
    AtLeast,
    ColumnName,
    Concurrency,
    Expression,
    FileDigest,
    FilePath,
    Flag,
    Lead,
    Margin,
    Name,
    PositiveDuration,
    Template,
    Timeout,
    default,
)


class GoldenColumns(Section):
    """What the columns of the golden set are called."""

    label: ColumnName = Field(default="label", description="The truth.")
    request: ColumnName = Field(
        default="request", description="The whole request body, where rows have one."
    )
    features: list[ColumnName] | None = Field(
        default=None,
        min_length=1,
        max_length=10_000,
        description="Rows without a request: the columns that make it, in this order; all but the "
        "label if it is not said.",
    )


class GateMetric(Section):
    """How much worse than the champion is acceptable on the golden set; one of the two."""

    margin: Amount | None = Field(default=None, description="Absolute: 1% is one point.")
    margin_relative: Margin | None = Field(
        default=None, description="A share of the champion's value on the same rows."
    )


class GateSlices(Section):
    """How the groups that `by` makes are judged."""

    margin_relative: Margin = default(
        "10%", "How much worse is acceptable in a group, of the champion's value there."
    )
    at_least: AtLeast = default("30", "Rows, below which nothing is claimed of a group.")
    small: Literal["hold", "skip"] = Field(
        default="hold",
        description="A smaller group leaves the gate undecided (hold), or is left out (skip).",
    )
    undecided: Literal["hold", "pass"] = Field(
        default="hold",
        description="A group that is shown neither worse nor good enough leaves the gate undecided "
        "(hold), or counts as passed (pass).",
    )


class Performance(Gated):
    """Before any traffic: challenger and champion answer the same rows of a golden dataset."""

    golden: FilePath = Field(
        description="The golden set: NDJSON, CSV or Parquet, told by the name. Relative to the "
        "routing file."
    )
    digest: FileDigest | None = Field(
        default=None, description="SHA-256 that the file must have; recorded in any case."
    )
    columns: GoldenColumns = Field(
        default=GoldenColumns(), description="What the columns are called."
    )
    template: Template | None = Field(
        default=None,
        description='JSON of a request, in which "$values", "$record", "$columns" and "$NAME" '
        "stand for a row's values; without it the protocol's own form.",
    )
    metrics: dict[Name, GateMetric] = Field(
        default={},
        max_length=32,
        description="Which of the route's metrics are compared, each with its margin ({} for none "
        "of its own). Without it all that look at predictions.",
        json_schema_extra={"additionalProperties": False},
    )
    margin_relative: Margin = default(
        "2%",
        "How much worse than the champion is acceptable, of its value on the same rows, where "
        "neither `metrics` nor the metric itself has a margin.",
    )
    by: list[Expression] = Field(
        default=[],
        max_length=8,
        description="JMESPaths into a row, such as [country, age_band]: each value makes a group "
        "that must not be worse off.",
    )
    slices: GateSlices = Field(default=GateSlices(), description="How groups are judged.")
    at_least: AtLeast = default("20", "Rows, below which nothing is claimed.")
    skip_shadow_when: Lead | None = Field(
        default=None,
        description='Shadow is passed by when the lower limit of every objective is this much: ">= '
        '3%". Needs a canary stage.',
    )
    concurrency: Concurrency = default("4", "Rows that are under way at once.")
    training: dict[Name, list[FilePath]] = Field(
        default={},
        max_length=32,
        description="What variants were trained on, beside what the registry knows: {NAME: [files]}"
        ". Rows that the golden set shares with it are a refusal.",
        json_schema_extra={"additionalProperties": False},
    )
    require_training_data: Flag = default(
        "false",
        "Whether a variant whose training data is not known, so that a leak cannot be excluded, is "
        "refused.",
    )
    at_most: PositiveDuration = default("1h", "How long it may take to pass.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")

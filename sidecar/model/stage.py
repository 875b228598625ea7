"""Keys of `rollout:`: the stages, and what each needs."""

from typing import Literal

from pydantic import ConfigDict, Field

from sidecar.model.broken import Broken
from sidecar.model.functional import Functional
from sidecar.model.gated import Gated
from sidecar.model.performance import Performance
from sidecar.model.section import Section
from sidecar.model.security import Security
from sidecar.routetype import (
    AtLeast,
    Buckets,
    Duration,
    FalseAlarm,
    HalfBuckets,
    HoldbackBuckets,
    Level,
    PositiveDuration,
    Timeout,
    Watch,
    default,
)


class Shadow(Gated):
    """The challenger gets copies of live requests; nobody is served by it."""

    share: Buckets = default("100%", "The share of the units whose requests are mirrored.")
    at_least: AtLeast = default("0", "Pairs before the stage may be left. 0: no number of its own.")
    for_at_least: Duration = default("0s", "Time before the stage may be left.")
    at_most: PositiveDuration = default("7d", "How long the stage may last.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")


class Canary(Gated):
    """The challenger serves a share of the units, raised step by step."""

    shares: list[HalfBuckets] = Field(
        min_length=1, max_length=20, description="The ladder, rising, up to 50%."
    )
    at_least: AtLeast = default(
        "0",
        "Requests that the challenger must have served at a step before the next one. 0: as many "
        "as it takes to notice a catastrophe.",
    )
    for_at_least: Duration = default("0s", "Time at a step before the next one.")
    at_most: PositiveDuration = default("14d", "How long the whole stage may last.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")


class Production(Gated):
    """The challenger becomes champion; the old one stays warm for a while."""

    watch: Watch = Field(
        description="How long the old champion stays ready to come back, such as 24h; without it "
        "there is no way back."
    )
    holdback: HoldbackBuckets = Field(
        description="The share of the units that stays with the old champion meanwhile, such as "
        "1%, to be compared with. 0%: nobody; the new champion's errors and correct answers are "
        "held against what was usual at this hour of the week."
    )
    false_alarm_every: FalseAlarm = default(
        "1000000",
        "Answers that pass, on average at least, before the watch calls the new champion worse "
        "than the holdback (or than is usual) although it is not. Fewer: harm is seen sooner.",
    )


class Stage(Section):
    """One stage: a mapping with exactly one key, the stage's name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    functional: Functional | None = None
    performance: Performance | None = None
    security: Security | None = None
    shadow: Shadow | None = None
    canary: Canary | None = None
    production: Production | None = None


class RolloutSection(Section):
    """What a challenger must show, stage by stage, before it becomes champion."""

    alpha: Level = default(
        "5%",
        "The chance we accept of ever passing a check that should fail, for each check. Of the "
        "objectives it is shared by all challengers of the route.",
    )
    champion_broken: Broken | None = Field(
        default=None,
        description="What happens while the champion itself fails: {errors: 20%, for: 5m}. A fix "
        "passes by absolute checks alone, and no rollback gives users to a broken champion.",
    )
    on_futility: Literal["hold", "stop"] = Field(
        default="hold",
        description="What happens when odds of 5:1 say that an objective's `detect` is not there: "
        "hold goes on waiting, stop rolls back.",
    )
    cool_down: Duration = default(
        "1h",
        "After a rollback from production: how long nothing is promoted on this route by evidence.",
    )
    stages: list[Stage] = Field(
        min_length=1,
        max_length=6,
        description="Any of functional, performance, security, shadow, canary, production, in "
        "this order. Without production nothing is ever promoted.",
    )

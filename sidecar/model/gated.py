"""Keys of every stage that others than its checks may hold back: people, and webhooks."""

from typing import Literal

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import Approvers, Flag, Name, PositiveDuration, ScorerUrl, default


class Approval(Section):
    """People who must approve before the stage is left with success."""

    by: Approvers = default(
        "1",
        "So many different people. Whoever registered the challenger, or brought it into this "
        "file, is not one of them.",
    )


class Webhook(Section):
    """Somebody outside who must confirm that the stage may be left: a POST, and any 2xx is a yes.

    Whatever else comes back, or nothing, and it is asked again until its time is over.
    """

    name: Name = Field(description="A name of its own within the stage.")
    url: ScorerUrl = Field(description="Where to POST what is about to happen, as JSON.")
    timeout: PositiveDuration = default("5m", "How long it is asked, from the first time on.")
    on_timeout: Literal["hold", "abort", "proceed"] = Field(
        default="hold",
        description="What happens then: hold goes on asking until the stage's own at_most, abort "
        "rolls back, proceed goes on without the answer, on the record.",
    )
    each_step: Flag = default(
        "false", "canary: whether it is also asked before each step, not only before the last."
    )
    namespace: Name = default("default", "Sent along, as Flagger's gates are sent one.")
    metadata: dict[Name, str] = Field(
        default={},
        max_length=32,
        description="Sent along as it is.",
        json_schema_extra={"additionalProperties": False},
    )


class Gated(Section):
    """What every stage may declare beside its checks."""

    approval: Approval | None = Field(
        default=None, description="People who must approve before the stage is left. None: nobody."
    )
    webhooks: list[Webhook] = Field(
        default=[],
        max_length=8,
        description="All must answer 2xx before the stage is left; guardrails watch meanwhile.",
    )

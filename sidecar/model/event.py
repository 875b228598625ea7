"""Keys of ``events:``: who is told of what happens to the rollouts."""

from typing import Annotated, Literal

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import FilePath, Name, PositiveDuration, default, pattern

HOOK_URL = r"^https?://[^/?#@\s]{1,253}(/[!-~]{0,500})?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
ACTION = r"^[a-z][a-z_-]{0,31}$"
HookUrl = Annotated[
    str, *pattern(HOOK_URL, "http:// or https:// with host and path, without credentials")
]
Variable = Annotated[str, *pattern(VARIABLE, "the name of an environment variable")]
Action = Annotated[str, *pattern(ACTION, "an action of the audit, such as promote or rollback")]


class EventSection(Section):
    """One address that is sent an event for each audit record: a webhook."""

    name: Name = Field(description="What metrics, log and status call it.")
    url: HookUrl | None = Field(default=None, description="POST here. Redirects are not followed.")
    url_env: Variable | None = Field(
        default=None,
        description="In place of url: the environment variable that holds it, where the address "
        "itself is a secret.",
    )
    secret_env: Variable | None = Field(
        default=None,
        description="The environment variable that holds the secret which signs: 24 bytes or more, "
        "or whsec_ and its base64.",
    )
    secret_file: FilePath | None = Field(
        default=None,
        description="In place of secret_env: a file with the secret, relative to the routing file "
        "and read again for each event. A second line is a second secret: while one takes the "
        "place of the other, both sign.",
    )
    types: list[Action] = Field(
        default=[],
        max_length=64,
        description="Only these actions of the audit (promote, rollback, ...); all without it.",
    )
    format: Literal["cloudevents", "slack"] = Field(
        default="cloudevents",
        description="cloudevents: CloudEvents 1.0, structured JSON. slack: one sentence as "
        '{"text": ...}, which Slack, Mattermost and others show.',
    )
    retry_for: PositiveDuration = default(
        "24h", "How long one event is tried before it is given up; those behind it wait."
    )

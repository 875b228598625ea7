"""What a gate is given: whom it asks, and what the file says of its stage. Pure."""

from dataclasses import dataclass

from controller.lineage import ModelVersion
from controller.policy import RouteIntent, StageKind, StageSpec, WebhookSpec
from router.table import Variant


@dataclass(frozen=True, slots=True)
class HookCall:
    """A webhook that must confirm a move."""

    spec: WebhookSpec
    event: str
    """The move: ``controller.rollout.Event``'s value."""
    step: int
    """canary: the rung that the rollout stands on."""
    config_digest: str


@dataclass(frozen=True, slots=True)
class GateTask:
    """One gate that is to be run now, for one rollout."""

    route: RouteIntent
    """The match, the metrics and the protocol: how the variants are asked and compared."""
    stage: StageSpec
    """The declared keys of the gate; those of the rollout's beginning, whatever the file says now,
    but for the bodies of samples."""
    experiment: str
    challenger: Variant
    champion: Variant
    """Who answers users now; the challenger itself where there is no champion: see ``is_first``."""
    model: ModelVersion | None = None
    """The challenger as it is registered; None: it names no version, or that is not there."""
    champion_model: ModelVersion | None = None
    hook: HookCall | None = None
    """The webhook that is to be called; None: the stage's own gate is to be run."""

    @property
    def kind(self) -> StageKind:
        """Return which stage's gate it is."""
        return self.stage.kind

    @property
    def is_first(self) -> bool:
        """Whether there is no champion to be compared with: only absolute numbers say something."""
        return self.challenger.name == self.champion.name

    @property
    def key(self) -> tuple[str, ...]:
        """Return what tells it from every other: route, experiment, stage, and which webhook."""
        own = (self.route.name, self.experiment, self.stage.kind.value)
        return own if self.hook is None else (*own, str(self.hook.step), self.hook.spec.name)

"""A controller of which only the surface exists: it remembers what it was asked."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from controller.controller import Act, ActRefused, Controller, ScoreTask, UnknownRoute
from controller.gates.report import GateReport
from controller.gates.task import GateTask
from controller.policy import Intent
from controller.store import StoreError
from evaluator.join import Label, LabelOutcome, LabelResult
from router.observation import Batch
from router.table import RoutingTable
from sidecar.tablefile import champion_only

HOSTILE = '<img src=x onerror="alert(1)">&'


class DoubleRegistrar:
    """A registry with one version, as the admin port tells it; nothing is to be proven."""

    mlflow = None

    def tasks(self) -> list[Any]:
        return []

    def overview(self, name: str | None) -> list[dict[str, Any]]:
        return [self.describe(HOSTILE)]

    def describe(self, text: str) -> dict[str, Any]:
        return {"ref": text, "owner": HOSTILE}


class Double:
    """Takes everything in, at once; ``is_full`` makes it refuse as a full disk does."""

    def __init__(self, publish: Callable[[RoutingTable], None] = lambda _: None) -> None:
        self.publish = publish
        self.registrar = DoubleRegistrar()
        self.is_full = False
        self.hang = threading.Event()
        """Cleared, every call waits for it."""
        self.hang.set()
        self.calls: list[str] = []
        self.ingested: list[tuple[str, int]] = []
        self.labelled: list[Label] = []
        self.ejected: list[tuple[str, str, int]] = []
        self.reports: list[tuple[str, GateReport]] = []
        self.acts: list[tuple[Any, ...]] = []
        self.glass_s: float | None = None
        self.fences: list[int] = []
        self.gates: list[GateTask] = []
        self.intents: list[Intent] = []
        self.refusal: Exception | None = None
        self.step_error: Exception | None = None
        self.records: list[dict[str, Any]] = []

    @property
    def controller(self) -> Controller:
        """The same object, as what it stands in for."""
        return cast(Controller, self)

    def _note(self, call: str, is_writing: bool = True) -> None:
        self.hang.wait(20)
        self.calls.append(call)
        if self.is_full and is_writing:
            raise StoreError("database or disk is full")

    def adopt(self, intent: Intent, who: str) -> None:
        self._note(f"adopt by {who}")
        if self.refusal is not None:
            raise self.refusal
        self.intents.append(intent)
        self.publish(champion_only(intent))

    def to_score(self, after: Mapping[str, int]) -> list[ScoreTask]:
        return []

    def ingest(self, batches: Sequence[Batch]) -> dict[str, int]:
        self._note(f"ingest {len(batches)}")
        self.ingested += [(batch.source, batch.sequence) for batch in batches]
        return {batch.source: batch.sequence for batch in batches}

    def label(self, labels: Sequence[Label]) -> list[LabelResult]:
        self._note(f"label {len(labels)}")
        self.labelled += labels
        return [self._result(label) for label in labels]

    def _result(self, label: Label) -> LabelResult:
        if label.request_id.startswith("unknown"):
            return LabelResult(LabelOutcome.UNKNOWN, f"no observation of {label.request_id}")
        if label.request_id.startswith("conflict"):
            return LabelResult(LabelOutcome.CONFLICT, "another label came first", "digits")
        outcome = LabelOutcome.CORRECTED if label.is_correction else LabelOutcome.ACCEPTED
        return LabelResult(outcome, "", "digits")

    def wanted(self, route: str, *, after: int, limit: int) -> dict[str, Any]:
        self._note("wanted", is_writing=False)
        if route != "digits":
            raise UnknownRoute(f"there is no route {route!r}")
        return {"route": route, "after": after, "limit": limit}

    def eject(self, route: str, variant: str, failures: int) -> None:
        self._note(f"eject {variant}")
        self.ejected.append((route, variant, failures))

    def fence(self, table_version: int) -> None:
        self._note(f"fence {table_version}")
        self.fences.append(table_version)

    def pending_gates(self) -> list[GateTask]:
        return list(self.gates)

    def report(self, task: GateTask, report: GateReport) -> None:
        self._note(f"gate {task.route.name}")
        self.gates.remove(task)
        self.reports.append((task.route.name, report))

    def step(self) -> None:
        self._note("step", is_writing=False)
        if self.step_error is not None:
            raise self.step_error

    def act(
        self,
        route: str,
        act: Act,
        who: str,
        reason: str,
        *,
        break_glass: bool = False,
        glass_s: float | None = None,
    ) -> None:
        self._note(f"act {act.value}")
        if route != "digits":
            raise UnknownRoute(f"there is no route {route!r}")
        if act is Act.PROMOTE and not break_glass:
            raise ActRefused("the gates are not passed")
        self.acts.append((route, act, who, reason, break_glass))
        self.glass_s = glass_s

    def status(self) -> dict[str, object]:
        self._note("status", is_writing=False)
        return STATUS | {"config_digest": self.intents[-1].digest if self.intents else ""}

    def disagreements(self, route: str) -> dict[str, Any]:
        self._note("disagreements", is_writing=False)
        return dict(NOTHING_SHOWN)

    def decisions(self, route: str | None, limit: int) -> list[dict[str, Any]]:
        self._note("decisions", is_writing=False)
        return [{"route": route, "limit": limit, "because": HOSTILE}]

    def audit(self, after: int, limit: int) -> list[dict[str, Any]]:
        self._note("audit", is_writing=False)
        return [record for record in self.records if record["sequence"] > after][:limit]


NOTHING_SHOWN: dict[str, Any] = {
    **{"show": "nothing", "experiment": None},
    **{"compared": 0, "differ": 0, "pairs": []},
}
ROUTE: dict[str, object] = {
    "name": "digits",
    "champion": "digits-1",
    "challenger": "digits-2",
    "phase": "canary",
    "step": 1,
    "steps": 3,
    "share": 0.25,
    "mirror_share": 0.0,
    "held_by": None,
    "since": "2026-11-23T07:00:00Z",
    "experiment": "digits-1--digits-2",
    "missing": ["accuracy: odds 4:1, needs 20:1", HOSTILE],
    "expected_seconds": 42.0,
    "checks": [
        {
            "check": "accuracy",
            "kind": "correct",
            "role": "objective",
            "state": "undecided",
            "because": "not enough yet",
            "log_e": 1.25,
            "odds": 3.5,
            "log_e_harm": -0.1,
            "progress": 0.4,
            "effect": 0.05,
            "low": -0.01,
            "high": None,
            "n": 812,
            "n_expected": 2100,
        }
    ],
    "counts": {"pairs": 0, "judged": 0},
    "labels": {"accepted": 7, "duplicate": 1, "waiting": 3},
    "history": [],
}
STATUS: dict[str, object] = {
    "version": "0.1.0",
    "at": "2026-11-23T07:00:00Z",
    "table_version": 17,
    "config_error": None,
    "store_error": None,
    "routers": [],
    "routes": [ROUTE],
}

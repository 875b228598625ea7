"""What the intake tells the recording, if the routing file asks for one."""

import sqlite3
from collections.abc import Mapping, Sequence

from msgspec import Raw

from controller import record
from controller.policy import RecordSpec
from controller.record import Begun, LabelLine, Line
from controller.recorder import Recorder
from controller.trial import Trial
from evaluator.join import Label, LabelOutcome, LabelResult, checked
from evaluator.waiting import Due
from router.observation import Observation

RECORDED = (
    LabelOutcome.ACCEPTED,
    LabelOutcome.CORRECTED,
    LabelOutcome.LATE,
    LabelOutcome.UNKNOWN,
)
"""Labels that are recorded: with another maturity, or a later observation, they would be used."""


class Recording:
    """Passes lines to a Recorder, or drops them without one. Owner: the Intake."""

    def __init__(self, connection: sqlite3.Connection, trials: Mapping[str, Trial]) -> None:
        """``trials``: those under way by route, as the owner changes them."""
        self._connection = connection
        self._trials = trials
        self._recorder: Recorder | None = None
        self._spec: RecordSpec | None = None

    def use(self, spec: RecordSpec | None) -> None:
        """Record from now on as ``spec`` says; None: no more. Between two transactions only."""
        if spec != self._spec:
            self._spec = spec
            self._recorder = (
                None if spec is None else Recorder(spec, self._connection, self._under_way)
            )
            self.revert()

    def told(self) -> dict[str, object] | None:
        """Return what became of the recording, JSON-ready; None if there is none."""
        if self._recorder is None or self._spec is None:
            return None
        return {
            "folder": self._spec.folder,
            "bytes": self._recorder.size_bytes,
            "dropped": self._recorder.n_dropped,
        }

    def add(self, line: Line) -> None:
        """Keep a line until the transaction that it belongs to."""
        if self._recorder is not None:
            self._recorder.add(line)

    def observed(self, observation: Observation) -> None:
        """Keep an observation as the evaluator was given it."""
        if self._recorder is not None:
            self._recorder.add(record.of_observation(observation))

    def judged(self, route: str, one: Due) -> None:
        """Keep that an observation was judged, and on which label."""
        if self._recorder is not None:
            self._recorder.add(record.of_judged(route, one.judgable, one.label))

    def labelled(
        self, labels: Sequence[Label | LabelResult], results: Sequence[LabelResult], now_ns: int
    ) -> None:
        """Write labels into the recording, within the caller's transaction of nothing else."""
        if self._recorder is None:
            return
        for label, result in zip(labels, results, strict=True):
            clean = checked(label) if isinstance(label, Label) else label
            if result.outcome in RECORDED and isinstance(clean, Label):
                self._recorder.add(
                    LabelLine(
                        request_id=clean.request_id,
                        label=Raw(clean.label.encode()),
                        at_ns=now_ns,
                        route=result.route or clean.route,
                        correct=clean.is_correction,
                    )
                )
        self._recorder.flush(self._connection)

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was added, within the caller's transaction; see ``settled``."""
        if self._recorder is not None:
            self._recorder.flush(connection)

    def settled(self) -> None:
        """Note that what was written is committed."""
        if self._recorder is not None:
            self._recorder.settled()

    def revert(self) -> None:
        """Leave only what is not in the store yet and will be: new experiments."""
        if self._recorder is None:
            return
        self._recorder.revert()
        for trial in self._trials.values():
            if trial.is_new:
                self._recorder.add(Begun(plan=trial.plan))

    def _under_way(self) -> list[Begun]:
        """Return the experiments that a new file of the recording must start from."""
        return [
            Begun(plan=trial.plan, snapshot=trial.durable)
            for trial in self._trials.values()
            if not trial.is_new
        ]

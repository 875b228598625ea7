"""The evidence in a store as a recording: experiments as they stand, and what waits for them.

Reads only, beside a sidecar that runs or none.
"""

import sqlite3
from collections.abc import Iterator

from controller import record, store
from controller.record import Begun, Line
from controller.rollout import Phase
from controller.trial import experiment_plan
from evaluator.evaluator import Evaluator
from evaluator.journal import Journal


def lines(connection: sqlite3.Connection) -> Iterator[Line]:
    """Yield an ``experiment`` line with its state for each rollout under way, then what waits.

    All of one moment: in one read transaction, which the caller ends. A state that this version
    cannot read is left out, as a start would leave it out.
    """
    connection.execute("BEGIN")
    journal = Journal(connection)
    for name, state in store.load_routes(connection).items():
        rollout, policy = state.rollout, state.policy
        if rollout is None or policy is None or not rollout.is_running:
            continue
        raw = store.load_snapshot(connection, name)
        if raw is None or rollout.phase is Phase.QUEUED:
            continue
        plan = experiment_plan(policy, rollout)
        try:
            Evaluator.restore(plan, raw)
        except ValueError:  # another version's, or another experiment's
            continue
        yield Begun(plan=plan, snapshot=raw)
        for due in journal.all_waiting(name):
            yield record.of_waiting(name, due.judgable, due.label)

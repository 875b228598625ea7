"""How far gates that are under way have come: a number of rows, of how many. Pure."""

from collections.abc import Callable

from controller.gates.task import GateTask


class Board:
    """By route; at most one gate of a route is under way. Owned by one event loop."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, int]] = {}

    def teller(self, task: GateTask) -> Callable[[int, int], None]:
        """Return where the gate of ``task`` says how many rows are done, of how many."""

        def tell(done: int, of: int) -> None:
            self._rows[task.route.name] = (done, of)

        return tell

    def clear(self, task: GateTask) -> None:
        """Forget a gate that has ended."""
        self._rows.pop(task.route.name, None)

    def of(self, route: str) -> dict[str, int] | None:
        """Return ``rows_done`` and ``rows`` of the gate under way; None without one."""
        found = self._rows.get(route)
        return None if found is None else {"rows_done": found[0], "rows": found[1]}

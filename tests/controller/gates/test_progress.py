from dataclasses import replace

from controller.gates.progress import Board
from tests.controller.builders import route_intent
from tests.controller.gates.test_task import TASK


def test_the_board_shows_what_is_under_way_and_nothing_else():
    board = Board()
    other = replace(TASK, route=route_intent(name="other"))
    tell = board.teller(TASK)
    assert board.of("digits") is None
    tell(3, 10)
    board.teller(other)(1, 2)
    assert board.of("digits") == {"rows_done": 3, "rows": 10}
    board.clear(TASK)
    assert board.of("digits") is None and board.of("other") == {"rows_done": 1, "rows": 2}
    board.clear(TASK)

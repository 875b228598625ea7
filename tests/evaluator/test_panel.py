"""The checks and the monitors of one experiment, side by side."""

from evaluator.evidence import CheckState
from evaluator.join import Answer, Judgable, Mode
from evaluator.memory import State, decoded, empty, encoded
from evaluator.metric import ExperimentPlan
from evaluator.panel import Panel
from tests.evaluator.builders import ACCURACY, ERRORS, plan


def fresh(how: ExperimentPlan) -> tuple[Panel, State]:
    state = empty(how)
    return Panel(how, state), state


def lot(answer: Answer, *, mode: Mode = Mode.SPLIT) -> Judgable:
    return Judgable("q1", 1, mode, 0.5, 3, 0, None, answer)


def test_every_metric_is_read_in_its_order_and_then_what_guards_them_all() -> None:
    panel, _ = fresh(plan(ERRORS, ACCURACY))
    names = [reading.check for reading in panel.readings(is_read=True)]
    assert names == ["errors", "accuracy", "harm", "srm", "readable", "delivery"]


def test_panel_goes_on_from_what_was_saved() -> None:
    how = plan(ACCURACY)
    panel, state = fresh(how)
    for _ in range(5):
        panel.checks["accuracy"].judge(lot(Answer("7")), "7", 0)
        panel.delivery.awaited()
    panel.roll()
    state.checks = panel.saved()
    again = Panel(how, decoded(how, encoded(state)))
    assert again.saved() == panel.saved()
    assert again.readings(is_read=True) == panel.readings(is_read=True)


def test_merged_panels_have_seen_what_both_have() -> None:
    (one, _), (other, _), (both, _) = (fresh(plan(ACCURACY)) for _ in range(3))
    for panel, label in ((one, "7"), (other, "8"), (both, "7"), (both, "8")):
        panel.checks["accuracy"].judge(lot(Answer("7")), label, 0)
        panel.integrity.assigned(0.5, True, 3)
    one.merge(other)
    assert one.readings(is_read=True) == both.readings(is_read=True)


def test_wrong_answers_of_the_new_champion_raise_the_alarm_and_cut_ones_do_not() -> None:
    for cut, expected in ((True, CheckState.PASSED), (False, CheckState.TRIPPED)):
        panel, _ = fresh(plan(ACCURACY, is_held_back=True))
        panel.watch()
        for number in range(600):
            is_new = number % 2 == 0
            answer = Answer("8" if is_new else "7", is_cut=cut)
            sides = (None, answer) if is_new else (answer, None)
            panel.watch_label(Judgable("q", 1, Mode.SPLIT, 0.5, number, 0, *sides), "7")
        reading = panel.readings(is_read=True)[-1]
        assert (reading.check, reading.state) == ("monitor", expected)


def test_no_watch_begins_where_units_send_many_requests() -> None:
    panel, _ = fresh(plan(ACCURACY, is_held_back=True, clustered=True))
    panel.watch()
    assert panel.readings(is_read=True)[-1].check == "delivery"

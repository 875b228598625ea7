from controller.gates.report import GateReport
from controller.gates.schedule import FIRST_PAUSE_S, MAX_PAUSE_S, Schedule
from controller.policy import StageKind

KIND = StageKind.FUNCTIONAL
FAILED = GateReport("digits-2", False, "not there")
PASSED = GateReport("digits-2", True, "answered")


def test_a_gate_that_was_never_asked_is_due():
    assert Schedule().is_due("digits", "x", KIND, now_s=0.0)
    assert Schedule().report("digits", "x", KIND) is None


def test_pauses_double_up_to_the_longest():
    schedule, now_s, pauses = Schedule(), 0.0, []
    for _ in range(8):
        schedule.returned("digits", "x", KIND, FAILED, now_s=now_s)
        began_s = now_s
        while not schedule.is_due("digits", "x", KIND, now_s=now_s):
            now_s += 0.5
        pauses.append(now_s - began_s)
    assert pauses == [FIRST_PAUSE_S, 2.0, 4.0, 8.0, 16.0, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]


def test_routes_do_not_wait_for_each_other():
    schedule = Schedule()
    schedule.returned("digits", "x", KIND, FAILED, now_s=0.0)
    assert not schedule.is_due("digits", "x", KIND, now_s=0.5)
    assert schedule.is_due("other", "x", KIND, now_s=0.5)


def test_another_experiment_starts_afresh():
    schedule = Schedule()
    for _ in range(5):
        schedule.returned("digits", "x", KIND, FAILED, now_s=0.0)
    assert schedule.is_due("digits", "y", KIND, now_s=0.0)
    schedule.returned("digits", "y", KIND, FAILED, now_s=0.0)
    assert schedule.is_due("digits", "y", KIND, now_s=FIRST_PAUSE_S)


def test_another_stage_starts_afresh_and_does_not_hear_of_the_one_before():
    schedule = Schedule()
    schedule.returned("digits", "x", KIND, PASSED, now_s=0.0)
    assert schedule.is_due("digits", "x", StageKind.SECURITY, now_s=0.0)
    assert schedule.report("digits", "x", StageKind.SECURITY) is None


def test_a_gate_that_was_passed_is_not_asked_again():
    schedule = Schedule()
    schedule.returned("digits", "x", KIND, PASSED, now_s=0.0)
    assert not schedule.is_due("digits", "x", KIND, now_s=1e9)
    assert schedule.report("digits", "x", KIND) is PASSED

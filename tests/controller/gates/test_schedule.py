from controller.gates.report import GateReport
from controller.gates.schedule import FIRST_PAUSE_S, MAX_PAUSE_S, Schedule

KEY = ("digits", "x", "functional")
FAILED = GateReport("digits-2", False, "not there")
PASSED = GateReport("digits-2", True, "answered")


def test_a_gate_that_was_never_asked_is_due():
    assert Schedule().is_due(KEY, now_s=0.0)
    assert Schedule().report(KEY) is None


def test_pauses_double_up_to_the_longest():
    schedule, now_s, pauses = Schedule(), 0.0, []
    for _ in range(8):
        schedule.returned(KEY, FAILED, now_s=now_s)
        began_s = now_s
        while not schedule.is_due(KEY, now_s=now_s):
            now_s += 0.5
        pauses.append(now_s - began_s)
    assert pauses == [FIRST_PAUSE_S, 2.0, 4.0, 8.0, 16.0, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]


def test_routes_do_not_wait_for_each_other():
    schedule = Schedule()
    schedule.returned(KEY, FAILED, now_s=0.0)
    assert not schedule.is_due(KEY, now_s=0.5)
    assert schedule.is_due(("other", "x", "functional"), now_s=0.5)


def test_another_experiment_or_stage_starts_afresh_and_the_old_one_is_forgotten():
    for other in (("digits", "y", "functional"), ("digits", "x", "security")):
        schedule = Schedule()
        for _ in range(5):
            schedule.returned(KEY, FAILED, now_s=0.0)
        assert schedule.is_due(other, now_s=0.0)
        schedule.returned(other, FAILED, now_s=0.0)
        assert schedule.is_due(other, now_s=FIRST_PAUSE_S)
        assert schedule.report(KEY) is None


def test_what_is_asked_in_one_stage_is_remembered_side_by_side():
    schedule, hook = Schedule(), (*KEY, "0", "risk")
    schedule.returned(KEY, PASSED, now_s=0.0)
    schedule.returned(hook, FAILED, now_s=0.0)
    assert (schedule.report(KEY), schedule.report(hook)) == (PASSED, FAILED)
    schedule.forget("digits")
    assert (schedule.report(KEY), schedule.report(hook)) == (None, None)


def test_a_gate_that_was_passed_is_not_asked_again():
    schedule = Schedule()
    schedule.returned(KEY, PASSED, now_s=0.0)
    assert not schedule.is_due(KEY, now_s=1e9)
    assert schedule.report(KEY) is PASSED

from controller.gates.schedule import FIRST_PAUSE_S, MAX_PAUSE_S, Schedule


def test_a_gate_that_was_never_asked_is_due():
    assert Schedule().is_due("digits", "x", now_s=0.0)


def test_pauses_double_up_to_the_longest():
    schedule, now_s, pauses = Schedule(), 0.0, []
    for _ in range(8):
        schedule.returned("digits", "x", now_s=now_s)
        began_s = now_s
        while not schedule.is_due("digits", "x", now_s=now_s):
            now_s += 0.5
        pauses.append(now_s - began_s)
    assert pauses == [FIRST_PAUSE_S, 2.0, 4.0, 8.0, 16.0, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S]


def test_routes_do_not_wait_for_each_other():
    schedule = Schedule()
    schedule.returned("digits", "x", now_s=0.0)
    assert not schedule.is_due("digits", "x", now_s=0.5)
    assert schedule.is_due("other", "x", now_s=0.5)


def test_another_experiment_starts_afresh():
    schedule = Schedule()
    for _ in range(5):
        schedule.returned("digits", "x", now_s=0.0)
    assert schedule.is_due("digits", "y", now_s=0.0)
    schedule.returned("digits", "y", now_s=0.0)
    assert schedule.is_due("digits", "y", now_s=FIRST_PAUSE_S)

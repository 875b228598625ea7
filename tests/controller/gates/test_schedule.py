from controller.gates.schedule import FIRST_PAUSE_S, LEASE_S, MAX_PAUSE_S, Schedule


def test_a_gate_is_asked_once_at_a_time():
    schedule = Schedule()
    assert schedule.begin("digits", "x", now_s=10.0)
    assert not schedule.begin("digits", "x", now_s=11.0)
    assert schedule.begin("other", "y", now_s=11.0)


def test_pauses_double_up_to_the_longest():
    schedule, now_s, pauses = Schedule(), 0.0, []
    for _ in range(8):
        assert schedule.begin("digits", "x", now_s=now_s)
        schedule.returned("digits", now_s=now_s)
        began = now_s
        while not schedule.begin("digits", "x", now_s=now_s):
            now_s += 0.5
        pauses.append(now_s - began)
        schedule.returned("digits", now_s=now_s)
        now_s += MAX_PAUSE_S
    assert pauses[0] == FIRST_PAUSE_S
    assert max(pauses) == MAX_PAUSE_S
    assert pauses == sorted(pauses)


def test_a_lost_attempt_is_given_up_after_its_lease():
    schedule = Schedule()
    schedule.begin("digits", "x", now_s=0.0)
    assert not schedule.begin("digits", "x", now_s=LEASE_S - 1)
    assert schedule.begin("digits", "x", now_s=LEASE_S)


def test_another_experiment_starts_afresh():
    schedule = Schedule()
    schedule.begin("digits", "x", now_s=0.0)
    assert schedule.begin("digits", "y", now_s=0.0)


def test_a_failure_that_nobody_waits_for_changes_nothing():
    schedule = Schedule()
    schedule.returned("digits", now_s=0.0)
    assert schedule.begin("digits", "x", now_s=0.0)

from controller.clock import SystemClock


def test_wall_clock_reads_nanoseconds_of_this_century():
    assert 1_700_000_000 < SystemClock().wall_ns() / 1e9 < 4_100_000_000


def test_monotonic_clock_never_goes_back():
    clock = SystemClock()
    reads = [clock.monotonic_s() for _ in range(1000)]
    assert reads == sorted(reads)

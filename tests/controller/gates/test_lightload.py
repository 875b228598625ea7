import doctest

import numpy as np
import pytest

from controller.gates import lightload
from controller.gates.functionalspec import LatencyLimit
from controller.gates.lightload import fault_of, numbers_of, quantile


def test_examples():
    assert doctest.testmod(lightload).failed == 0


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_quantile_is_numpys_without_interpolation(share):
    times = np.random.default_rng(1).exponential(size=50).tolist()
    assert quantile(times, share) == np.quantile(times, share, method="inverted_cdf")


def test_the_first_quantile_over_its_limit_is_told():
    limit = LatencyLimit(((0.5, 0.2), (0.99, 0.3)), 3)
    assert fault_of([0.1, 0.2, 0.3], limit) == ""
    assert fault_of([0.1, 0.2, 0.4], limit) == "p99 is 400 ms, at most 300 ms allowed"


def test_the_audit_gets_the_quantiles_that_have_a_limit():
    found = numbers_of([0.1, 0.2, 0.4], LatencyLimit(((0.5, 1.0),), 3))
    assert found == {"p50_s": 0.2, "requests": 3.0}

"""B8 in the quick form: what covariates and proxies save."""

import math

import pytest

from tests.statistics import adjustment


def test_theory_leaves_what_the_covariate_does_not_explain() -> None:
    assert adjustment.theory(0.9) == pytest.approx(0.19)
    assert adjustment.theory(0.9, 0.2) == pytest.approx(0.352)
    assert adjustment.theory(0.0, 0.2) == 1.0


@pytest.mark.slow
def test_adjustment_saves_about_what_theory_says() -> None:
    """Three standard errors over the bar."""
    found = adjustment.measure(0.06)
    for kind in ("covariate", "proxy"):
        for one in found[kind].values():
            assert one["ratio"] <= one["theory"] + 0.04 + 3 * one["error"]


def test_epochs_of_the_race_are_those_of_the_evaluator() -> None:
    form = adjustment.Racer()
    ended = []
    for n in range(1, 2_000):
        before = form.epoch
        form.end_epochs(n)
        ended += [n] if form.epoch != before else []
    assert ended == [64, 128, 256, 512, 1024]
    assert math.isclose(form.contrast.log_e("claim"), 0.0)

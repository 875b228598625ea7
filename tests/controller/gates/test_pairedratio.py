import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, roc_auc_score

from controller.gates.paired import interval
from controller.gates.pairedratio import (
    auc,
    auc_difference,
    f1,
    f1_difference,
    precision,
    precision_difference,
)

RANDOM = np.random.default_rng(5)
N = 400
TRUTH = RANDOM.random(N) < 0.3
ONE = np.where(TRUTH, RANDOM.random(N) < 0.7, RANDOM.random(N) < 0.2)
OTHER = np.where(TRUTH, RANDOM.random(N) < 0.8, RANDOM.random(N) < 0.1)
SCORES = TRUTH + RANDOM.normal(size=N)
OTHER_SCORES = np.round(TRUTH * 1.5 + RANDOM.normal(size=N), 1)  # with ties


def test_the_numbers_are_scikit_learns():
    assert f1(TRUTH, ONE) == pytest.approx(f1_score(TRUTH, ONE))
    assert precision(TRUTH, ONE) == pytest.approx(precision_score(TRUTH, ONE))
    assert auc(TRUTH, OTHER_SCORES) == pytest.approx(roc_auc_score(TRUTH, OTHER_SCORES))


@pytest.mark.parametrize("compare", [(f1_difference, f1), (precision_difference, precision)])
def test_the_error_is_what_resampling_rows_finds(compare):
    """The oracle: the bootstrap over rows, of 2,000 resamples."""
    difference, ratio = compare
    found = difference(TRUTH, ONE, OTHER)
    drawn = [RANDOM.integers(0, N, N) for _ in range(2000)]
    resampled = [ratio(TRUTH[i], OTHER[i]) - ratio(TRUTH[i], ONE[i]) for i in drawn]
    assert found.error == pytest.approx(float(np.std(resampled)), rel=0.1)
    assert found.effect == pytest.approx(ratio(TRUTH, OTHER) - ratio(TRUTH, ONE), abs=0.02)


def test_delongs_variance_is_that_of_the_placements():
    """The oracle: every pair of rows compared one by one, as in DeLong et al. (1988)."""
    found = auc_difference(TRUTH, SCORES, OTHER_SCORES)

    def wins(scores: np.ndarray) -> np.ndarray:
        with_it, without = scores[TRUTH][:, None], scores[~TRUTH][None, :]
        return (with_it > without) + 0.5 * (with_it == without)

    gap = wins(OTHER_SCORES) - wins(SCORES)
    variance = gap.mean(axis=1).var(ddof=1) / TRUTH.sum()
    variance += gap.mean(axis=0).var(ddof=1) / (~TRUTH).sum()
    assert found.effect == pytest.approx(gap.mean())
    assert found.error == pytest.approx(np.sqrt(variance))


def test_two_perfect_rankings_are_not_known_to_be_equal():
    truth = np.arange(20) < 10
    found = interval(auc_difference(truth, truth * 1.0, truth * 2.0), 0.05)
    assert found.effect == 0.0 and found.lower < -0.05


def test_too_few_of_a_kind_are_refused():
    with pytest.raises(ValueError, match="4 rows with the class"):
        auc_difference(np.arange(20) < 4, SCORES[:20], SCORES[:20])


def test_nothing_said_has_no_precision():
    nobody = np.zeros(N, bool)
    assert np.isnan(precision(TRUTH, nobody)) and np.isnan(f1(nobody, nobody))

"""Only pairs that differ are labelled: how often each claim is made falsely, and the trap."""

import math
import random
from collections.abc import Callable

import pytest

from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import How
from evaluator.metric import MetricSpec
from evaluator.rates import CorrectCheck
from evaluator.wanted import is_drawn

GUARD = MetricSpec("accuracy", "correct", Role.GUARDRAIL, margin=0.01)
GAIN = MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=0.02)
ALL = How(0.05, experiment="x", is_differing_only=True)
SAMPLED = How(0.05, label_rate=0.3, experiment="x", is_differing_only=True)
RUNS, PAIRS, EVERY = 80, 2_000, 50

Labels = Callable[[Judgable, random.Random], bool]
"""Whether a pair that differs gets its label."""


def everyone(_: Judgable, __: random.Random) -> bool:
    return True


def drawn(one: Judgable, _: random.Random) -> bool:
    return is_drawn("x", one.request_id, 0.3)


def half(_: Judgable, rng: random.Random) -> bool:
    return rng.random() < 0.5


def highest(
    seed: int, gain: float, loss: float, spec: MetricSpec, how: How, labels: Labels
) -> tuple[float, float]:
    """Return the largest log evidence for the claim and for harm at any of 40 looks."""
    rng, check = random.Random(seed), CorrectCheck(spec, how, None)
    binary, claim, harm, epoch = check._check, -math.inf, -math.inf, 0
    for number in range(PAIRS):
        u, truth = rng.random(), str(rng.randrange(2))
        wrong = "1" if truth == "0" else "0"
        a, b = (wrong, truth) if u < gain else (truth, wrong) if u < gain + loss else (truth, truth)
        if u > 0.9:
            a = b = wrong
        binary.foresee(a != b)
        pair = (Answer(a), Answer(b))
        one = Judgable(f"{seed}-{number}", number, Mode.PAIR, 0.5, number, 0, *pair)
        check.judge(one, truth if a != b and labels(one, rng) else None, epoch)
        if number + 1 in (128, 512, 1024):
            check.roll()
            epoch += 1
        if number % EVERY == EVERY - 1:
            claim, harm = max(claim, binary.claim_log_e()), max(harm, binary.harm_log_e())
    return claim, harm


def shares(
    gain: float, loss: float, spec: MetricSpec, how: How, labels: Labels
) -> tuple[float, float]:
    """Return how often the claim, and harm, is shown at 20:1."""
    runs = [highest(seed, gain, loss, spec, how, labels) for seed in range(RUNS)]
    needed = -math.log(0.05)
    return (
        sum(claim >= needed for claim, _ in runs) / RUNS,
        sum(harm >= needed for _, harm in runs) / RUNS,
    )


ALLOWED = 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "labels"),
    [(ALL, everyone), (SAMPLED, drawn), (ALL, half)],
    ids=["all labelled", "a sample labelled", "half of the labels missing"],
)
@pytest.mark.parametrize(
    ("spec", "gain", "loss"),
    [(GUARD, 0.02, 0.03), (GAIN, 0.03, 0.03)],
    ids=["guardrail at its margin", "objective without a gain"],
)
def test_neither_claim_nor_harm_is_shown_falsely_oftener_than_alpha(
    spec: MetricSpec, gain: float, loss: float, how: How, labels: Labels
) -> None:
    """Both are null here: the effect is exactly -margin."""
    claim, harm = shares(gain, loss, spec, how, labels)
    assert claim <= ALLOWED and harm <= ALLOWED


@pytest.mark.slow
def test_a_gain_is_found_with_the_labels_of_disagreements_alone() -> None:
    claim, _ = shares(0.05, 0.02, GAIN, ALL, everyone)
    assert claim >= 0.8


@pytest.mark.slow
def test_labelling_disagreements_without_saying_so_shows_harm_that_is_not_there() -> None:
    """The trap: equal answers then seem to be missing at random, and those that remain are the
    ones on which the challenger, worse by far less than allowed, loses."""
    undeclared = How(0.05)
    _, harm = shares(0.02, 0.0275, GUARD, undeclared, everyone)
    assert harm > ALLOWED

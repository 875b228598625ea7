from sidecar.model import broken
from sidecar.model.broken import Broken
from tests.sidecar.model.described import assert_described
from tests.sidecar.routing_texts import load, only_problem, with_part


def test_every_key_is_described() -> None:
    assert_described(broken)


def test_limit_and_time_are_read() -> None:
    read = Broken.model_validate({"errors": "20%", "for": "30s"})
    assert (read.errors, read.for_) == (0.2, 30.0)
    text = with_part("alpha: 5%", "alpha: 5%\n      champion_broken: {errors: 20%}")
    spec = load(text).intent.routes[0].champion_broken
    assert spec is not None and (spec.max_failed, spec.for_s) == (0.2, 300.0)


def test_limit_that_nobody_could_exceed_is_refused() -> None:
    text = with_part("alpha: 5%", "alpha: 5%\n      champion_broken: {errors: 100%}")
    assert only_problem(text).path == "routes[0].rollout.champion_broken.errors"

import json
import math

import pytest

from controller import account
from controller.rollout import TRANSITIONS, Phase, Rollout
from controller.store import RouteState
from evaluator.evidence import CheckState, Reading, Role
from tests.controller.builders import evidence, reading, route_intent


def state(phase: Phase | None, step: int = 0) -> RouteState:
    rollout = None
    if phase is not None:
        rollout = Rollout(
            challenger="digits-2", champion="digits-1", experiment="x", phase=phase, step=step
        )
    return RouteState(
        name="digits",
        declared_champion="digits-1",
        champion="digits-1",
        rollout=rollout,
        policy=None if phase is None else route_intent(),
    )


def test_every_phase_that_can_be_entered_has_a_word_in_the_audit():
    entered = {target for edges in TRANSITIONS.values() for target in edges.values()}
    assert set(account.ACTIONS) == entered


@pytest.mark.parametrize(
    ("phase", "step", "share", "mirror"),
    [
        (None, 0, 0.0, 0.0),
        (Phase.FUNCTIONAL, 0, 0.0, 0.0),
        (Phase.SHADOW, 0, 0.0, 1.0),
        (Phase.CANARY, 1, 0.25, 0.0),
        (Phase.WATCH, 0, 0.99, 0.0),
        (Phase.PROMOTED, 0, 1.0, 0.0),
        (Phase.ROLLED_BACK, 0, 0.0, 0.0),
    ],
)
def test_shares_are_told_as_fractions(phase, step, share, mirror):
    assert account.challenger_share(state(phase, step)) == share
    assert account.mirror_share(state(phase, step)) == mirror


def test_a_reading_is_json_even_when_its_numbers_are_not():
    broken = Reading(
        "accuracy",
        "correct",
        Role.OBJECTIVE,
        CheckState.UNKNOWN,
        "?",
        log_e=-math.inf,
        log_e_harm=math.nan,
        effect=math.inf,
    )
    told = json.loads(json.dumps(account.reading_json(broken), allow_nan=False))
    assert (told["log_e"], told["log_e_harm"], told["effect"]) == (None, None, None)
    assert (told["odds"], told["progress"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("log_e", "progress"),
    [(0.0, 0.0), (-5.0, 0.0), (math.log(20) / 2, 0.5), (50.0, 1.0), (math.nan, 0.0)],
)
def test_progress_is_the_share_of_the_way_to_passing(log_e, progress):
    found = reading("accuracy", CheckState.UNDECIDED, log_e=log_e)
    assert account.progress(found) == pytest.approx(progress)


def test_odds_are_cut_where_json_would_end():
    assert account.odds_of(1e9) == account.MAX_ODDS
    assert account.odds_of(math.log(4)) == pytest.approx(4.0)
    assert account.odds_of(math.nan) == 0.0


def test_evidence_is_told_with_counts_and_readings():
    told = account.evidence_json(evidence(counts={"pairs": 3}))
    assert told["counts"] == {"pairs": 3}
    assert [r["check"] for r in told["readings"]] == ["srm", "readable", "harm", "delivery"]
    assert account.evidence_json(None) == {}


def test_an_entry_tells_from_where_to_where():
    entry = account.entry_of(
        state(Phase.CANARY, 0),
        state(Phase.CANARY, 1),
        at_ns=7,
        who="controller",
        action="advance",
        because="no harm seen",
        config_digest="d1",
        tables=(3, 4),
    )
    assert (entry.phase_from, entry.phase_to) == ("canary", "canary")
    assert (entry.share_from, entry.share_to) == (0.05, 0.25)
    assert (entry.table_from, entry.table_to) == (3, 4)
    assert (entry.challenger, entry.at_ns, entry.evidence) == ("digits-2", 7, {})


def test_an_entry_about_a_route_without_a_rollout_names_no_challenger():
    entry = account.entry_of(
        state(None),
        state(None),
        at_ns=7,
        who="file",
        action="adopt",
        because="new",
        config_digest="d1",
        tables=(0, 1),
    )
    assert (entry.challenger, entry.phase_from, entry.phase_to) == (None, None, None)

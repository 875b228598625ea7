import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli import app

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "config" / "examples" / "demo.yaml"
STICKY = ROOT / "config" / "examples" / "canary-sticky.yaml"
ALONE = ("--traffic", "100000/day", "--baseline", "92%")


def planned(*words: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(app, ["plan", *words, "--json"])
    assert outcome.exit_code == 0, outcome.output
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def by_way(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {way["way"]: way for way in found["ways"]}


def test_every_mode_is_shown_with_the_fastest_named() -> None:
    found = planned(*ALONE, "--detect", "1%")
    ways = by_way(found)
    assert list(ways) == ["shadow 100%", "split 50%", "ladder to 50%"]
    assert found["fastest"] == "shadow 100%"
    assert ways["split 50%"]["days"]["q80"] == pytest.approx(0.2512, abs=0.002)
    assert ways["shadow 100%"]["labels_differing"]["q80"] < 200


def test_mirroring_a_hundredth_is_slower_than_a_split_of_all() -> None:
    ways = by_way(planned(*ALONE, "--detect", "1%", "--mode", "shadow", "--share", "1%"))
    split = by_way(planned(*ALONE, "--detect", "1%", "--mode", "split"))
    assert ways["shadow 1%"]["days"]["q80"] > split["split 50%"]["days"]["q80"]


def test_a_routing_file_gives_stages_alpha_effect_and_maturity() -> None:
    found = planned(str(DEMO), "--traffic", "150/s", "--baseline", "90%")
    assert found["detect"] == 0.03
    assert found["alpha"] == 0.05
    assert found["maturity_s"] == 8.0
    file = by_way(found)["the file's stages"]
    # At least 20 s of shadow and two canary steps of 10 s, and then the labels' 8 s.
    assert file["days"]["q50"] * 86_400 >= 48.0


def test_what_is_typed_wins_over_the_file() -> None:
    words = ("--traffic", "150/s", "--baseline", "90%", "--detect", "1%", "--alpha", "1%")
    found = planned(str(DEMO), *words, "--maturity", "1h")
    assert (found["detect"], found["alpha"], found["maturity_s"]) == (0.01, 0.01, 3600.0)


def test_futility_is_shown_when_beta_is_asked() -> None:
    found = planned(*ALONE, "--detect", "1%", "--beta", "20%")
    assert all(way["give_up_days"] > 0 for way in found["ways"])
    assert all(way["give_up_days"] is None for way in planned(*ALONE)["ways"])


def test_units_that_send_many_requests_take_longer_and_are_hinted_at() -> None:
    words = (str(STICKY), "--traffic", "100000/day", "--baseline", "10%")
    plain = planned(*words)
    sticky = planned(*words, "--requests-per-unit", "20", "--icc", "0.1")
    assert "x-user-id" in plain["hint"]
    assert sticky["hint"] == ""
    assert sticky["design_effect"] == pytest.approx(2.9)


def test_discordance_may_be_given_instead_of_a_correlation() -> None:
    assert planned(*ALONE, "--discordance", "5%")["discordance"] == 0.05
    worst = planned(*ALONE, "--correlation", "0")["discordance"]
    assert worst > planned(*ALONE)["discordance"]


def test_table_says_the_same_for_people() -> None:
    outcome = CliRunner().invoke(app, ["plan", str(DEMO), "--traffic", "9/s", "--baseline", "90%"])
    assert outcome.exit_code == 0
    for word in ("the file's stages", "shadow 100%", "fastest", "waiting for the last labels"):
        assert word in outcome.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--traffic", "many", "--baseline", "92%"), "--traffic"),
        (("--traffic", "0/day", "--baseline", "92%"), "--traffic"),
        (("--traffic", "1/s", "--baseline", "0.92"), "--baseline"),
        (("--traffic", "1/s", "--baseline", "99.5%"), "no room"),
        ((*ALONE, "--mode", "both"), "--mode"),
        ((*ALONE, "--mode", "split", "--share", "80%"), "--share"),
        ((*ALONE, "--share", "0%"), "--share"),
        ((*ALONE, "--discordance", "1%"), "--discordance"),
        ((*ALONE, "--correlation", "2"), "correlation"),
        ((*ALONE, "--maturity", "soon"), "duration"),
        ((str(DEMO), *ALONE, "--route", "cats"), "cats"),
        (("nowhere.yaml", *ALONE), "nowhere.yaml"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(words: tuple[str, ...], said: str) -> None:
    outcome = CliRunner().invoke(app, ["plan", *words])
    assert outcome.exit_code == 2
    assert said in outcome.output

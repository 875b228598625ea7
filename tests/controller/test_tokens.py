"""Tokens at the door: ours are opened, all others get the same answer."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import Raw, structs

from controller.policy import RouteIntent, TokenSpec
from controller.tokens import FORGED, Tokens
from evaluator.exposed import Exposed
from evaluator.join import Label, LabelOutcome, LabelResult
from router.token import Key, Served, sign
from tests.controller.builders import route_intent
from tests.router.test_keyfile import write
from tests.router.test_signer import LINES, SECRETS

SERVED = Served("digits", "x", "r1", 1, "digits-2", 0.5, 1, 99, "value", Raw(b"7"))


def token(key: int = 0, **fields: object) -> str:
    return sign(structs.replace(SERVED, **fields), Key(f"k{key}", SECRETS[key])).decode()


def route(keys: str, name: str = "digits") -> RouteIntent:
    return replace(route_intent(), name=name, token=TokenSpec(keys, 1000, joins=True))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    write(path, LINES[0])
    return path


@pytest.fixture
def tokens(keys: Path) -> Tokens:
    made = Tokens()
    made.use([route(str(keys)), route_intent(name="plain")])
    return made


def opened(served: Served, label: str, now_ns: int) -> Exposed:
    """Stands in for the intake: what it was asked is what comes back."""
    return Exposed(served.route, f"{served.request_id} {label} {now_ns}", served.at_ns, None)


def read(tokens: Tokens, label: Label) -> Label | LabelResult:
    (found,) = tokens.read([label], opened, now_ns=5)
    tokens.count([found], [found if isinstance(found, LabelResult) else ACCEPTED])
    return found


ACCEPTED = LabelResult(LabelOutcome.ACCEPTED, "joined", "digits")


@pytest.mark.parametrize("named", ["", "r1"])
def test_a_token_of_ours_names_its_request_and_route(tokens: Tokens, named: str) -> None:
    found = read(tokens, Label(named, "7.0", token=token()))
    assert isinstance(found, Label)
    assert (found.request_id, found.route) == ("r1", "digits")
    assert found.exposure == Exposed("digits", "r1 7 5", 99, None)
    assert tokens.counts("digits") == {"accepted": 1} and tokens.n_forged == 0


def test_a_label_without_a_token_is_none_of_our_business(tokens: Tokens) -> None:
    label = Label("r1", "7")
    assert read(tokens, label) is label
    assert tokens.counts("digits") == {}


@pytest.mark.parametrize(
    "label",
    [
        Label("", "7", token="rubbish"),
        Label("", "7", token=""),
        Label("", "7", token=token()[:-1]),
        Label("", "7", token=token(1)),
        Label("", "7", token=token(route="plain")),
        Label("", "7", token=token(route="nobody's")),
        Label("r2", "7", token=token()),
        Label("r1", "7", "plain", token=token()),
    ],
    ids=["rubbish", "empty", "cut", "key", "plain", "unknown", "request", "route"],
)
def test_every_other_token_gets_one_answer(tokens: Tokens, label: Label) -> None:
    assert read(tokens, label) is FORGED
    assert FORGED.route is None
    assert tokens.n_forged == 1 and tokens.counts("digits") == {}


def test_what_is_no_label_stays_for_the_journal_to_refuse(tokens: Tokens) -> None:
    found = read(tokens, Label("", "null", token=token()))
    assert isinstance(found, Label) and found.exposure is None and found.request_id == "r1"


def test_keys_are_those_of_the_moment(tokens: Tokens, keys: Path) -> None:
    """A router may have signed with the new key just now: the file is looked at each time."""
    assert isinstance(read(tokens, Label("", "7", token=token())), Label)
    write(keys, f"{LINES[1]}\n{LINES[0]}")
    assert isinstance(read(tokens, Label("", "7", token=token(1))), Label)
    assert isinstance(read(tokens, Label("", "7", token=token())), Label)
    write(keys, LINES[1])
    assert read(tokens, Label("", "7", token=token())) is FORGED
    write(keys, "broken")
    assert isinstance(read(tokens, Label("", "7", token=token(1))), Label)


def test_another_file_of_routes_is_in_force_at_once(tokens: Tokens, keys: Path) -> None:
    tokens.use([route(str(keys), "other")])
    assert read(tokens, Label("", "7", token=token())) is FORGED
    assert isinstance(read(tokens, Label("", "7", token=token(route="other"))), Label)

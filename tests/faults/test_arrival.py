"""Labels in any order, again and again, too early and too late (promises: F34, F35, F36).

``ARRIVALS=10000`` draws as many cases of each property; a usual run draws fewer.
"""

import http.client
import os
import shutil
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.evaluator import Evaluator
from evaluator.evidence import Role
from evaluator.join import Label, LabelOutcome
from evaluator.journal import Journal
from evaluator.metric import MetricSpec
from evaluator.parking import PARKED_NS
from tests.evaluator.builders import answer, exposure, pair, plan
from tests.faults.labelled import post, route_of, routing
from tests.faults.running import PATH, Sidecar

S = 10**9
MATURITY_NS = 10 * S
CASES = int(os.environ.get("ARRIVALS", "60"))
ACCURACY = MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=0.05)
KEEPS = MetricSpec("keeps", "correct", Role.GUARDRAIL, margin=0.02, missing="incorrect")


class Side:
    """A journal and an evaluator, as the controller drives them."""

    def __init__(self, **how: object) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.journal = Journal(self.connection)
        self.evaluator = Evaluator(plan(ACCURACY, KEEPS, **how), first_epoch=0)
        self.judged: list[tuple[str, str | None]] = []

    def observe(self, number: int, at_ns: int) -> None:
        """Observe request ``number``: even ones are pairs, the others lots."""
        if number % 2:
            seen = exposure(number, is_challenger=number % 4 == 1, outcome=answer(8), at_ns=at_ns)
            waiting = self.evaluator.observe(seen)
        else:
            waiting = self.evaluator.observe(pair(number, challenger=answer(8), at_ns=at_ns))
        assert waiting is not None
        self.journal.add("digits", [waiting])

    def mature(self, now_ns: int) -> None:
        due = self.journal.matured("digits", now_ns=now_ns, maturity_ns=MATURITY_NS)
        for one in due:
            self.evaluator.judge(one.judgable, one.label)
            self.judged.append((one.judgable.request_id, one.label))
        self.journal.mark_judged(due)

    def shown(self) -> list[tuple[object, ...]]:
        """Return what the evidence says, for a comparison to the last bit."""
        evidence = self.evaluator.evidence(1.0)
        readings = [
            (r.check, r.state, r.log_e, r.log_e_harm, r.log_e_futile, r.effect, r.low, r.high, r.n)
            for r in evidence.readings
        ]
        return [*readings, tuple(sorted(evidence.counts.items()))]

    def close(self) -> None:
        self.connection.close()


# F36: the rules, written down a second time.


class Rules:
    """What becomes of labels, as docs/labels/maturity.md has it."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.label: dict[str, str] = {}
        self.judged: list[tuple[str, str | None]] = []
        self.parked: dict[str, tuple[str, int]] = {}
        self._is_judged: set[str] = set()

    def observe(self, request_id: str, at_ns: int) -> None:
        self.at[request_id] = at_ns
        if request_id in self.parked:
            # Expired ones are dropped when the next early label comes: they may still join.
            self.label[request_id] = self.parked.pop(request_id)[0]

    def give(self, label: Label, now_ns: int) -> LabelOutcome:
        request_id, present = label.request_id, self.label.get(label.request_id)
        if request_id not in self.at:
            return self._park(label, now_ns)
        if present == label.label:
            return LabelOutcome.DUPLICATE
        if present is not None and not label.is_correction:
            return LabelOutcome.CONFLICT
        if request_id in self._is_judged:
            return LabelOutcome.LATE
        self.label[request_id] = label.label
        return LabelOutcome.ACCEPTED if present is None else LabelOutcome.CORRECTED

    def _park(self, label: Label, now_ns: int) -> LabelOutcome:
        for request_id, (_, since_ns) in list(self.parked.items()):
            if since_ns < now_ns - PARKED_NS:
                del self.parked[request_id]
        present = self.parked.get(label.request_id)
        if present is not None and present[0] != label.label and not label.is_correction:
            return LabelOutcome.CONFLICT
        since_ns = now_ns if present is None else present[1]
        self.parked[label.request_id] = (label.label, since_ns)
        return LabelOutcome.UNKNOWN

    def mature(self, now_ns: int) -> None:
        due = [
            (at_ns, number, request_id)
            for number, (request_id, at_ns) in enumerate(self.at.items())
            if request_id not in self._is_judged and at_ns <= now_ns - MATURITY_NS
        ]
        for _, _, request_id in sorted(due):
            self._is_judged.add(request_id)
            self.judged.append((request_id, self.label.get(request_id)))


LABELS = st.lists(st.tuples(st.integers(-70, 40), st.sampled_from("78"), st.booleans()), max_size=4)
REQUESTS = st.lists(
    st.tuples(st.integers(100, 130), st.integers(0, 12), LABELS), min_size=1, max_size=6
)


@given(REQUESTS, st.randoms(use_true_random=False))
@settings(max_examples=CASES, deadline=None)
def test_every_label_becomes_what_the_rules_say_whenever_it_comes(requests, dice) -> None:  # type: ignore[no-untyped-def]  # what is drawn
    side, rules = Side(), Rules()
    events: list[tuple[int, float, Callable[[int], None]]] = []

    def observe(number: int, at_s: int) -> Callable[[int], None]:
        def act(_: int) -> None:
            side.observe(number, at_s * S)
            rules.observe(f"q{number}", at_s * S)

        return act

    def give(label: Label) -> Callable[[int], None]:
        def act(now_ns: int) -> None:
            expected = rules.give(label, now_ns)
            assert side.journal.label(label, now_ns=now_ns).outcome is expected

        return act

    for number, (at_s, late_s, labels) in enumerate(requests):
        events.append((at_s + late_s, dice.random(), observe(number, at_s)))
        for delay_s, value, is_correction in labels:
            label = Label(f"q{number}", value, is_correction=is_correction)
            events.append((at_s + delay_s, dice.random(), give(label)))
    for now_s, _, act in sorted(events, key=lambda event: event[:2]):
        for one in (side, rules):
            one.mature(now_s * S)
        act(now_s * S)
    for one in (side, rules):
        one.mature(1_000 * S)
    assert side.judged == rules.judged
    side.close()


@given(
    st.lists(st.sampled_from("78"), min_size=1, max_size=8),
    st.sampled_from(["all", "disagreements"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=CASES, deadline=None)
def test_evidence_depends_on_the_labels_and_not_on_how_they_came(values, wanted, dice) -> None:  # type: ignore[no-untyped-def]  # what is drawn
    """Observations and labels in any order, labels one to five times: the same to the last bit."""
    one, other = Side(labels_wanted=wanted), Side(labels_wanted=wanted)
    for number, value in enumerate(values):
        one.observe(number, number)
        one.journal.label(Label(f"q{number}", value), now_ns=S)
    shuffled: list[Callable[[], object]] = []
    for number, value in enumerate(values):
        shuffled.append(lambda number=number: other.observe(number, number))
        label = Label(f"q{number}", value)
        shuffled += [lambda label=label: other.journal.label(label, now_ns=S)] * dice.randint(1, 5)
    dice.shuffle(shuffled)
    for act in shuffled:
        act()
    for side in (one, other):
        side.mature(1_000 * S)
    assert other.judged == one.judged and other.shown() == one.shown()
    assert all(label is not None for _, label in one.judged)
    for side in (one, other):
        side.close()


# F35 and F34, in real processes.


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sidecar]]:
    started: list[Sidecar] = []

    def begin(kind: type[Sidecar] = Sidecar, *, maturity: str) -> Sidecar:
        started.append(kind(tmp_path, routing=routing(maturity)))
        return started[-1]

    yield begin
    for sidecar in started:
        sidecar.close()


def ask(sidecar: Sidecar, ids: list[str]) -> None:
    """Ask once for each id, and wait until all pairs are observed."""
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=20)
    for request_id in ids:
        headers = {"content-type": "application/json", "x-request-id": request_id}
        connection.request("POST", PATH, b"{}", headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()


def waiting(sidecar: Sidecar) -> int:
    return int(route_of(sidecar).get("labels", {}).get("waiting", 0))


@pytest.mark.slow
def test_labels_sent_up_to_five_times_at_once_are_counted_once(start) -> None:
    sidecar = start(maturity="1h")
    sidecar.until(lambda: route_of(sidecar).get("phase") == "shadow")
    ids = [f"q-{number}" for number in range(60)]
    ask(sidecar, ids)
    sidecar.until(lambda: waiting(sidecar) == len(ids))
    answers: list[tuple[int, str]] = []

    def send(turn: int) -> None:
        for number, request_id in enumerate(ids):
            if turn > number % 5:
                continue  # sent 1 to 5 times
            status, content = post(sidecar, [(request_id, '"digits-1"')])
            (word,) = (w for w in ("accepted", "duplicate", "conflict") if content.get(w))
            answers.append((status, word))

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = Counter(answers)
    assert told == {(200, "accepted"): 60, (200, "duplicate"): 120}
    status, content = post(sidecar, [(ids[0], '"digits-2"')])
    assert (status, content["conflict"]) == (409, 1)
    counted = route_of(sidecar)["labels"]
    assert (counted["accepted"], counted["duplicate"], counted["conflict"]) == (60, 120, 1)
    _, audit = sidecar.get("/v1/audit?limit=1000")
    assert [r["evidence"]["counts"] for r in audit["records"] if r["action"] == "labels"] == [
        {"conflict": 1}
    ]


@pytest.mark.slow
def test_wanted_labels_are_the_disagreements_until_they_are_labelled(start) -> None:
    sidecar = start(maturity="1h, wanted: disagreements")
    sidecar.until(lambda: route_of(sidecar).get("phase") == "shadow")
    ids = [f"q-{number}" for number in range(30)]
    ask(sidecar, ids)
    sidecar.until(lambda: waiting(sidecar) == len(ids))
    _, found = sidecar.get("/v1/labels/wanted?limit=100")
    draws = [item["draw"] for item in found["items"]]
    assert draws == sorted(draws) and {item["request_id"] for item in found["items"]} == set(ids)
    bought = [item["request_id"] for item in found["items"][:12]]
    assert post(sidecar, [(one, '"digits-1"') for one in bought])[0] == 200
    _, rest = sidecar.get("/v1/labels/wanted?route=digits&limit=100")
    assert rest["items"] == found["items"][12:]
    told = route_of(sidecar)["maturing"]
    assert (told["waiting"], told["looked_at"], told["labelled"]) == (30, 30, 12)


class Jumping(Sidecar):
    """A sidecar whose wall clock can be put on: libfaketime reads it from a file."""

    def start(self, *options: str):  # type: ignore[no-untyped-def]  # as the base
        (self.folder / "clock").write_text("+0")
        return super().start(*options)

    def command(self, *options: str) -> list[str]:
        library = _faketime()
        assert library is not None
        return [
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={self.folder / 'clock'}",
            "FAKETIME_NO_CACHE=1",
            "DONT_FAKE_MONOTONIC=1",
            *super().command(*options),
        ]


def _faketime() -> str | None:
    """Return where libfaketime is; None without it (Debian: apt install faketime).

    ``FAKETIME_LIBRARY`` names one elsewhere.
    """
    if named := os.environ.get("FAKETIME_LIBRARY"):
        return named
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return str(found[0]) if found and sys.platform == "linux" and shutil.which("env") else None


@pytest.mark.slow
@pytest.mark.skipif(_faketime() is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("jump", ["+3600", "-3600"])
def test_a_wall_clock_that_jumps_in_a_real_process_ends_nothing_early(start, jump: str) -> None:
    sidecar = start(Jumping, maturity="30m")
    sidecar.until(lambda: route_of(sidecar).get("phase") == "shadow")
    ids = [f"q-{number}" for number in range(40)]
    ask(sidecar, ids)
    sidecar.until(lambda: waiting(sidecar) == len(ids))
    before = route_of(sidecar)["counts"]["judged"]
    (sidecar.folder / "clock").write_text(jump)
    ask(sidecar, [f"later-{number}" for number in range(40)])
    sidecar.until(lambda: waiting(sidecar) == 2 * len(ids))
    shown = datetime.fromisoformat(sidecar.get("/v1/status")[1]["at"])
    ahead_s = (shown - datetime.now(UTC)).total_seconds()
    assert abs(ahead_s - int(jump)) < 600.0  # it did jump
    found = route_of(sidecar)
    assert (found["counts"]["judged"], found["phase"]) == (before, "shadow")
    status, content = post(sidecar, [(ids[0], '"digits-1"')])
    assert (status, content["accepted"]) == (200, 1)
    assert sidecar.get("/v1/audit/verify")[1]["verified"]

"""Draws case number ``index`` of a seed: always the same one."""

from random import Random

from tests.fuzz.case import Case, Plan, Step
from tests.fuzz.grammar import Grammar
from tests.fuzz.mutate import mutate, pieces

VARIANTS = ("champion", "challenger")


def draw(seed: int, index: int) -> Case:
    """Return the case; half of them calm, half of them with things that happen meanwhile."""
    rng = Random(f"{seed}/{index}")
    oddness = rng.choice((0.0, 0.02, 0.06, 0.2))
    grammar = Grammar(rng, oddness)
    raw = grammar.requests()
    if rng.random() < 0.45:
        raw = mutate(rng, raw)
    is_calm = rng.random() < 0.5
    case = Case(
        mode=rng.choice(("plain", "plain", "mirror", "split")),
        tight=rng.random() < 0.2,
        high=rng.choice((0, 16, 1024, 65536, 65536)),
        plans={name: _plans(rng, grammar, is_calm) for name in VARIANTS},
    )
    case.steps = [Step("send", piece, spins=_spins(rng, is_calm)) for piece in pieces(rng, raw)]
    if is_calm:
        case.steps.append(Step("eof"))
    else:
        _disturb(rng, grammar, case)
    return case


def _spins(rng: Random, is_calm: bool) -> int:
    return -1 if is_calm else rng.choice((-1, 0, 1, 2, 4, 7))


def _plans(rng: Random, grammar: Grammar, is_calm: bool) -> list[Plan]:
    made = []
    for _ in range(rng.choice((1, 2, 3))):
        raw, closes = grammar.answer()
        if rng.random() < 0.25:
            raw = mutate(rng, raw)
        end = "eof" if closes else rng.choice(("open",) * 8 + ("eof", "reset"))
        is_early = not is_calm and rng.random() < 0.2
        made.append(Plan(pieces(rng, raw), end, is_early))
    return made


def _disturb(rng: Random, grammar: Grammar, case: Case) -> None:
    """Put events among the client's pieces."""
    steps = case.steps
    for _ in range(rng.randrange(1, 7)):
        at = rng.randrange(len(steps) + 1)
        steps.insert(at, _event(rng, grammar))
    if rng.random() < 0.3:
        door = rng.choice(("refuse", "hang", "refuse"))
        steps.insert(0, Step(door, whom=rng.choice(VARIANTS), spins=0))
    if rng.random() < 0.5:
        steps.append(Step(rng.choice(("eof", "reset"))))


def _event(rng: Random, grammar: Grammar) -> Step:
    spins = _spins(rng, False)
    whom = rng.choice(VARIANTS)
    kind = rng.randrange(15)
    if kind < 2:
        return Step("stop", spins=spins)
    if kind < 4:
        return Step("read", spins=spins)
    if kind < 6:
        return Step("wait", seconds=rng.choice((0.02, 0.6, 1.1, 4.5, 6.0, 11.0, 31.0, 76.0)))
    if kind == 6:
        return Step("eof", spins=spins)
    if kind == 7:
        return Step("reset", spins=spins)
    if kind == 8:
        mode = rng.choice(("plain", "mirror", "split"))
        return Step("swap", whom=mode, seconds=float(rng.random() < 0.3), spins=spins)
    if kind == 9:
        return Step("push", payload=grammar.answer()[0], whom=whom, spins=spins)
    verb = ("model_eof", "model_reset", "model_stop", "model_read", "tick")[kind - 10]
    return Step(verb, whom=whom, spins=spins)

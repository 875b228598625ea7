"""Deadlines fire once, in order, and only for those who still wait."""

from hypothesis import given
from hypothesis import strategies as st

from router.deadline import DeadlineBook, Deadlines
from tests.router.strategies import many


class Item:
    """Notes its expiry in a list that it shares with others."""

    def __init__(self, name: int, fired: list[int]) -> None:
        self.name = name
        self._fired = fired

    def on_deadline(self) -> None:
        self._fired.append(self.name)


class Renewing(Item):
    """Waits anew each time that its time is up."""

    def __init__(self, deadlines: Deadlines, fired: list[int]) -> None:
        super().__init__(0, fired)
        self.deadlines = deadlines
        self.now_s = 0.0

    def on_deadline(self) -> None:
        super().on_deadline()
        self.deadlines.add(self, self.now_s)


class Sparing(Item):
    """Takes another's deadline away when its own fires."""

    def __init__(self, deadlines: Deadlines, other: Item, fired: list[int]) -> None:
        super().__init__(0, fired)
        self.deadlines = deadlines
        self.other = other

    def on_deadline(self) -> None:
        super().on_deadline()
        self.deadlines.discard(self.other)


steps = st.lists(
    st.tuples(st.sampled_from(["add", "discard", "expire"]), st.integers(0, 7), st.integers(0, 4)),
    max_size=60,
)


@many
@given(steps=steps)
def test_deadlines_agree_with_a_timer_for_each_item(steps: list[tuple[str, int, int]]) -> None:
    after_s, now_s = 5.0, 0.0
    deadlines, fired = Deadlines(after_s), list[int]()
    items = [Item(name, fired) for name in range(8)]
    due: dict[int, float] = {}
    for step, name, passed_s in steps:
        now_s += passed_s
        if step == "add" and name not in due:
            deadlines.add(items[name], now_s)
            due[name] = now_s + after_s
        elif step == "discard":
            deadlines.discard(items[name])
            due.pop(name, None)
        elif step == "expire":
            # Sorting is stable, so items of one instant fire in the order they were added.
            expected = sorted((key for key in due if due[key] <= now_s), key=lambda key: due[key])
            fired.clear()
            assert deadlines.expire(now_s) == len(expected)
            assert fired == expected
            for key in expected:
                del due[key]
        assert len(deadlines) == len(due)


def test_item_fires_at_its_time_and_not_before() -> None:
    fired: list[int] = []
    deadlines = Deadlines(2.0)
    deadlines.add(Item(1, fired), 10.0)
    assert deadlines.expire(11.999) == 0
    assert deadlines.expire(12.0) == 1
    assert deadlines.expire(99.0) == 0
    assert fired == [1]


def test_item_may_wait_again_from_inside_its_own_expiry() -> None:
    fired: list[int] = []
    deadlines = Deadlines(1.0)
    item = Renewing(deadlines, fired)
    deadlines.add(item, 0.0)
    item.now_s = 1.0
    assert deadlines.expire(1.0) == 1
    assert len(deadlines) == 1


def test_item_that_another_discards_in_the_same_tick_does_not_fire() -> None:
    fired: list[int] = []
    deadlines = Deadlines(1.0)
    spared = Item(1, fired)
    deadlines.add(Sparing(deadlines, spared, fired), 0.0)
    deadlines.add(spared, 0.0)
    assert deadlines.expire(5.0) == 1
    assert fired == [0]


def test_book_keeps_one_deadlines_for_each_duration() -> None:
    book = DeadlineBook()
    assert book.of(1.0) is book.of(1.0)
    assert book.of(1.0) is not book.of(2.0)
    assert book.of(2.0).after_s == 2.0


def test_book_expires_every_duration() -> None:
    book, fired = DeadlineBook(), list[int]()
    book.of(5.0).add(Item(5, fired), 0.0)
    book.of(1.0).add(Item(1, fired), 0.0)
    book.of(9.0).add(Item(9, fired), 0.0)
    book.expire(5.0)
    assert sorted(fired) == [1, 5]

"""Who may do what, while the file of tokens changes under our feet."""

from pathlib import Path

from sidecar.keyring import LOOK_S, Keyring
from sidecar.tokenfile import digest_of


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def entry(token: str) -> str:
    return f"  - {{name: {token}, sha256: {digest_of(token).hex()}, scopes: [label]}}\n"


def names(ring: Keyring, *tokens: str) -> list[str | None]:
    return [key.name if (key := ring.find(token)) else None for token in tokens]


def test_without_a_file_and_a_secret_nothing_is_asked_for() -> None:
    ring = Keyring()
    assert not ring.needs("label") and names(ring, "", "x") == [None, None]


def test_the_secret_of_the_environment_is_one_more_token(tmp_path: Path) -> None:
    assert Keyring(label_token="own").needs("label")
    (tmp_path / "t").write_text("tokens:\n" + entry("one"))
    ring = Keyring(tmp_path / "t", label_token="own")
    assert names(ring, "own", "one", "", "on", "one ") == [
        *("UNDERSTUDY_LABEL_TOKEN", "one"),
        *(None, None, None),
    ]


def test_the_environments_operator_may_all_but_label_and_approve() -> None:
    key = Keyring(token="own").find("own")
    assert key is not None and key.is_shared and key.name == "UNDERSTUDY_TOKEN"
    assert key.scopes == {"read", "operate", "admin"}
    both = Keyring(token="own", label_token="own").find("own")
    assert both is not None and both.scopes == {"read", "operate", "admin", "label"}


def test_reading_is_open_until_it_is_closed_and_what_changes_state_is_never_open() -> None:
    ring = Keyring()
    assert not ring.needs("read") and not ring.needs("label")
    assert all(ring.needs(scope) for scope in ("operate", "approve", "admin"))
    shut = Keyring(closed=("read", "label"))
    assert shut.needs("read") and shut.needs("label")


def test_a_token_is_none_from_the_moment_at_which_it_expires(tmp_path: Path) -> None:
    wall = Clock()
    row = entry("one").replace("}", ", expires: 1970-01-01T01:00Z}")
    (tmp_path / "t").write_text("tokens:\n" + row)
    ring = Keyring(tmp_path / "t", wall_s=wall)
    wall.now_s = 3599.9
    assert names(ring, "one") == ["one"]
    wall.now_s = 3600.0
    assert names(ring, "one") == [None]
    assert ring.gives("label"), "there is somebody who may, with a new token"


def test_both_tokens_of_a_rotation_are_good_until_the_old_ones_line_is_gone(
    tmp_path: Path,
) -> None:
    clock = Clock()
    new = entry("new").replace("name: new", "name: old")
    (tmp_path / "t").write_text("tokens:\n" + entry("old") + new)
    ring = Keyring(tmp_path / "t", clock_s=clock)
    assert names(ring, "old", "new") == ["old", "old"]
    (tmp_path / "t").write_text("tokens:\n" + new)
    clock.now_s += LOOK_S
    assert names(ring, "old", "new") == [None, "old"]


def test_a_change_is_seen_after_a_second_and_a_fault_changes_nothing(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "t").write_text("tokens:\n" + entry("one"))
    ring = Keyring(tmp_path / "t", clock_s=clock)
    (tmp_path / "t").write_text("tokens:\n" + entry("one") + entry("two"))
    assert names(ring, "one", "two") == ["one", None]
    clock.now_s += LOOK_S
    assert names(ring, "one", "two") == ["one", "two"]
    for fault in ("nonsense", None):
        if fault is None:
            (tmp_path / "t").unlink()
        else:
            (tmp_path / "t").write_text(fault)
        clock.now_s += LOOK_S
        assert names(ring, "one", "two") == ["one", "two"] and ring.error
    (tmp_path / "t").write_text("tokens: []")
    clock.now_s += LOOK_S
    assert names(ring, "one", "two") == [None, None] and ring.error is None
    assert ring.needs("label"), "an emptied file opens no door"


def test_a_file_that_was_never_good_lets_nobody_in_until_it_is(tmp_path: Path) -> None:
    clock = Clock()
    ring = Keyring(tmp_path / "t", clock_s=clock)
    assert ring.needs("label") and names(ring, "one") == [None]
    (tmp_path / "t").write_text("tokens:\n" + entry("one"))
    clock.now_s += LOOK_S
    assert names(ring, "one") == ["one"]

"""Key files: what is taken, what is refused, what is never told, and how changes are followed."""

import base64
import os
from pathlib import Path

import pytest

from router.keyfile import MAX_BYTES, KeyFile, KeyFileError, load, parse

SECRET = b"\xfb\xff" * 16
TEXT = base64.b64encode(SECRET).decode()


def write(path: Path, text: str, mode: int = 0o600) -> str:
    """Replace the file, as a mounted secret is replaced."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(mode)
    new.rename(path)
    return str(path)


def test_the_first_key_signs_and_comments_are_left_out(tmp_path: Path) -> None:
    text = f"# rotated in May\n\nk2 {TEXT}\nk1\t{base64.urlsafe_b64encode(b'1' * 48).decode()}\n"
    newest, older = load(write(tmp_path / "keys", text))
    assert (newest.id, newest.secret) == ("k2", SECRET)
    assert (older.id, older.secret) == ("k1", b"1" * 48)


def test_base64_may_be_of_either_alphabet_with_or_without_its_end() -> None:
    texts = [TEXT, TEXT.rstrip("="), base64.urlsafe_b64encode(SECRET).decode()]
    assert {parse(f"k {text}".encode())[0].secret for text in texts} == {SECRET}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 keys"),
        ("# nothing\n", "0 keys"),
        (f"k1 {TEXT}\nk1 {TEXT}", "line 2: a key id for the second time"),
        ("k1", "line 1: not a key id"),
        (f"k.1 {TEXT}", "line 1: not a key id"),
        (f"{'k' * 17} {TEXT}", "line 1: not a key id"),
        (f"k1 {TEXT} {TEXT}", "line 1: not a key id"),
        (f"k1 {TEXT[:-8]}", "not 32 to 64"),
        (f"k1 {base64.b64encode(b'x' * 65).decode()}", "not 32 to 64"),
        ("k1 AAAAA", "not base64"),
        ("\n".join(f"k{n} {TEXT}" for n in range(17)), "17 keys"),
        ("#" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_what_is_not_a_key_file_is_refused(text: str, why: str) -> None:
    with pytest.raises(KeyFileError, match=why) as refused:
        parse(text.encode())
    assert TEXT[:-8] not in str(refused.value)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o620, 0o610, 0o601])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}"):
        load(write(tmp_path / "keys", f"k1 {TEXT}", mode))


def test_the_group_may_read_it(tmp_path: Path) -> None:
    assert load(write(tmp_path / "keys", f"k1 {TEXT}", 0o440))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        load(str(tmp_path / "keys"))
    with pytest.raises(KeyFileError, match="directory"):
        load(str(tmp_path))


def test_a_changed_file_is_read_and_a_broken_one_leaves_the_last_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    file = KeyFile(write(path, f"k1 {TEXT}"))
    assert file.keys == ()
    assert file.look() and not file.look()
    write(path, f"k2 {TEXT}\nk1 {TEXT}")
    assert file.look()
    assert [key.id for key in file.keys] == ["k2", "k1"]
    write(path, "oops")
    assert file.look() and not file.look()
    assert file.error == "line 1: not a key id and a secret in base64"
    os.unlink(path)
    assert file.look()
    assert [key.id for key in file.keys] == ["k2", "k1"]
    write(path, f"k3 {TEXT}")
    assert file.look()
    assert (file.keys[0].id, file.error) == ("k3", "")


def test_a_mode_that_was_put_right_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    file = KeyFile(write(path, f"k1 {TEXT}", 0o644))
    assert file.look() and not file.keys
    path.chmod(0o600)
    assert file.look() and file.keys


def test_who_signs_takes_a_change_only_once_it_is_at_rest(tmp_path: Path) -> None:
    """Half of a line can be a whole key, which nobody else would ever have."""
    path = tmp_path / "keys"
    file = KeyFile(write(path, f"k1 {TEXT}"))
    file.look()
    long = base64.b64encode(b"2" * 64).decode()
    write(path, f"k2 {long[:44]}")
    assert not file.look(at_once=False)
    write(path, f"k2 {long}\nk1 {TEXT}")
    assert not file.look(at_once=False)
    assert file.keys[0].id == "k1"
    assert file.look(at_once=False)
    assert file.keys[0].secret == b"2" * 64

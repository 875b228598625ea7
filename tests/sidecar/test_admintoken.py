from pathlib import Path

import pytest

from sidecar.admintoken import TOKEN, TokenMissing, read_token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text("s3cret\n")
    return path


def test_the_file_comes_before_the_environment(file: Path) -> None:
    assert read_token({TOKEN: "other"}, file) == "s3cret"
    assert read_token({TOKEN: " other \n"}, None) == "other"
    assert read_token({}, None) == ""


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    file.chmod(0o604)
    with pytest.raises(TokenMissing, match="chmod 600"):
        read_token({}, file)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\nb", b"\xff\xfe", b"x" * 5000])
def test_a_file_that_holds_no_token_is_refused_without_showing_it(
    file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    with pytest.raises(TokenMissing) as caught:
        read_token({}, file)
    assert "two words" not in str(caught.value) and "xxx" not in str(caught.value)


def test_a_file_that_is_not_there_says_where_else_the_token_may_be(tmp_path: Path) -> None:
    with pytest.raises(TokenMissing, match="UNDERSTUDY_TOKEN"):
        read_token({}, tmp_path / "none")


def test_a_token_that_would_break_the_header_is_refused() -> None:
    with pytest.raises(TokenMissing, match="printable"):
        read_token({TOKEN: "a\r\nx: y"}, None)

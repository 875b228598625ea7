from pathlib import Path

import pytest

from sidecar import sample
from sidecar.sample import SampleError, read_samples


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "samples.jsonl"
    path.write_bytes(raw)
    return path


def test_each_line_is_a_sample_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a": 1}\r\n\n  [2]  \n')
    assert read_samples(path) == (b'{"a": 1}', b"[2]")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1}\n{"a": \n', ":2:7: Expecting value"),
        (b'{"a": NaN}\n', ":1: NaN is not JSON"),
        (b'"\xff"\n', ":1: not UTF-8"),
        (b"[" * 100_000 + b"\n", ":1"),
        (b"\n\n", "without a sample"),
        (b"1\n" * (sample.MAX_LINES + 1), "at most 1000"),
    ],
)
def test_bad_sample_is_refused_with_its_line(tmp_path: Path, raw: bytes, said: str) -> None:
    path = written(tmp_path, raw)
    with pytest.raises(SampleError) as caught:
        read_samples(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MAX_BYTES", 10)
    assert read_samples(written(tmp_path, b"123456789\n")) == (b"123456789",)
    with pytest.raises(SampleError, match="more than 10 bytes"):
        read_samples(written(tmp_path, b"1234567890\n"))


def test_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"nowhere\.jsonl \(No such file"):
        read_samples(tmp_path / "nowhere.jsonl")


def test_folder_is_no_sample_file(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="s a directory"):
        read_samples(tmp_path)

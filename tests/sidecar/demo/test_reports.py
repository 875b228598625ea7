import pytest

from sidecar.demo.reports import read_report, report


def test_what_is_reported_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    report(report="traffic", requests=3)
    line = capsys.readouterr().err
    assert line.endswith("\n")
    assert read_report(line.encode()) == {"report": "traffic", "requests": 3}


@pytest.mark.parametrize(
    "line", [b"Traceback (most recent call last):", b"{not json", b'{"event": "started"}', b"[1]"]
)
def test_log_line_is_no_report(line: bytes) -> None:
    assert read_report(line) is None

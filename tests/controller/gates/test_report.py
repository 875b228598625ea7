import pytest

from controller.gates.report import GateCheck, GateReport


def test_a_report_does_not_pass_over_a_check_that_failed() -> None:
    failed = GateCheck("ready", False, "status 503, expected 200")
    assert not GateReport("b", False, "ready: status 503", (failed,)).passed
    with pytest.raises(ValueError, match="a check that failed"):
        GateReport("b", True, "all is well", (failed,))

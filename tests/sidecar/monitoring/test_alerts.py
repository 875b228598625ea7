import re

from sidecar.monitoring.alerts import ALERTS
from sidecar.monitoring.query import faults, labels_in
from tests.sidecar.monitoring.names import labels, metrics


def test_alerts_name_only_what_is_there() -> None:
    assert faults((alert.expression for alert in ALERTS), metrics(), labels()) == []


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    names = [alert.name for alert in ALERTS]
    assert len(set(names)) == len(names)
    for alert in ALERTS:
        assert re.fullmatch("Understudy[A-Z][A-Za-z]+", alert.name)
        assert alert.severity in ("critical", "warning", "info")
        assert alert.summary.endswith(".") and alert.todo.endswith(".")
        assert "|" not in alert.todo.replace("| humanize", "")  # it is a cell of a table


def test_a_summary_names_only_labels_that_its_series_can_have() -> None:
    for alert in ALERTS:
        said = set(re.findall(r"\$labels\.(\w+)", alert.summary))
        assert said <= labels() | {"instance"}, alert.name
        if " by (" in alert.expression:
            assert said <= labels_in(alert.expression) | {"instance"}, alert.name

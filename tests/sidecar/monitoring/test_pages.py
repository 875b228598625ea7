import pytest

from sidecar.monitoring.alerts import ALERTS
from sidecar.monitoring.catalogue import catalogue
from sidecar.monitoring.pages import BEGIN, END, metrics_page, with_alerts


def test_every_metric_is_on_its_page() -> None:
    page = metrics_page()
    for one in catalogue():
        assert f"| `{one.name}` | {one.kind} |" in page


def test_every_alert_is_in_the_runbook_and_the_rest_of_the_page_stays() -> None:
    page = with_alerts(f"before\n{BEGIN}\nwritten by hand\n{END}\nafter\n")
    assert (
        page.startswith("before\n")
        and page.endswith(f"{END}\nafter\n")
        and "written by hand" not in page
    )
    assert all(f"| `{alert.name}` |" in page for alert in ALERTS)
    assert with_alerts(page) == page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        with_alerts("nothing")

import doctest

from sidecar.monitoring import query
from sidecar.monitoring.query import faults, labels_in, metrics_in


def test_names_are_found_and_texts_are_not() -> None:
    text = 'sum by (route) (rate(understudy_a_total{x="understudy_no"}[5m])) / l:understudy_b:r5m'
    assert metrics_in(text) == {"understudy_a_total", "l:understudy_b:r5m"}
    assert labels_in(text) == {"route", "x"}


def test_joins_and_prometheus_own_labels() -> None:
    assert labels_in('a and on (instance, route) b{phase=~"x|y", code!="1"}') == {
        *("route", "phase", "code"),
    }


def test_what_nothing_has_is_a_fault() -> None:
    asked = ['understudy_a{x="1"}', "understudy_b"]
    assert faults(asked, {"understudy_a"}, {"y"}) == [
        'label x: understudy_a{x="1"}',
        "metric understudy_b: understudy_b",
    ]
    assert faults(asked, {"understudy_a", "understudy_b"}, {"x"}) == []


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(query)
    assert result.attempted > 0 and result.failed == 0

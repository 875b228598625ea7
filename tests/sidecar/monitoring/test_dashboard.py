import json
from typing import Any

from sidecar.monitoring.dashboard import ROWS, WIDTH, expressions, render
from sidecar.monitoring.query import faults
from tests.sidecar.monitoring.names import labels, metrics


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(render())["panels"]
    return found


def test_dashboard_names_only_what_is_there() -> None:
    assert faults(expressions(), metrics(), labels()) == []


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers)


def test_every_question_is_asked_of_the_chosen_source_with_a_legend() -> None:
    asked = [target for panel in panels() for target in panel.get("targets", ())]
    assert len(asked) == len(expressions())
    for target in asked:
        assert target["datasource"]["uid"] == "${datasource}" and target["legendFormat"]


def test_a_row_for_each_question() -> None:
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert titles == [row.title for row in ROWS]


def test_variables_are_filled_from_metrics_that_are_there() -> None:
    variables = json.loads(render())["templating"]["list"]
    queries = [one["query"] for one in variables if one["type"] == "query"]
    assert faults(queries, metrics(), labels()) == []

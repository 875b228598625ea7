import json

import pytest

from controller.gates.template import TEMPLATES, TemplateError, check_template, filled
from sidecar.protocol import PROTOCOLS

ROW = {"age": 41, "name": "Ann", "score": 0.5, "prompt": "hello"}
FEATURES = ("age", "name")


@pytest.mark.parametrize(
    ("protocol", "request_"),
    [
        ("json", {"age": 41, "name": "Ann"}),
        ("kserve-v1", {"instances": [[41, "Ann"]]}),
        ("tf-serving", {"instances": [[41, "Ann"]]}),
        ("mlflow", {"dataframe_split": {"columns": ["age", "name"], "data": [[41, "Ann"]]}}),
        (
            "open-inference-v2",
            {
                "inputs": [
                    {"name": "age", "shape": [1], "datatype": "INT64", "data": [41]},
                    {"name": "name", "shape": [1], "datatype": "BYTES", "data": ["Ann"]},
                ]
            },
        ),
        ("openai", {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}),
    ],
)
def test_each_protocol_has_a_form_of_its_own(protocol, request_):
    assert filled(json.loads(TEMPLATES[protocol]), ROW, FEATURES) == request_


def test_every_protocol_has_a_template():
    assert set(TEMPLATES) == set(PROTOCOLS)


def test_one_column_may_stand_anywhere():
    assert filled({"a": ["$score", 7, "as it is"]}, ROW, ()) == {"a": [0.5, 7, "as it is"]}


def test_a_list_is_one_row_of_a_tensor():
    [tensor] = filled("$tensors", {"x": [1.5, 2.0]}, ("x",))
    assert (tensor["shape"], tensor["datatype"]) == ([1, 2], "FP64")


@pytest.mark.parametrize(
    ("template", "row", "said"),
    [("$nobody", ROW, "no column 'nobody'"), ("$tensors", {"x": None}, "which is no tensor")],
)
def test_what_a_row_lacks_is_said(template, row, said):
    with pytest.raises(TemplateError, match=said):
        filled(template, row, ("x",))


def test_a_template_that_is_no_json_is_refused():
    with pytest.raises(TemplateError, match="not JSON"):
        check_template("{")

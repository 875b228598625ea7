import pytest

from controller.gates.inferencemeta import fault_of, fault_of_metadata

X = {"name": "x", "datatype": "FP32", "shape": [-1, 2]}
Y = {"name": "y", "datatype": "INT64", "shape": [-1]}
METADATA = {"name": "m", "inputs": [X], "outputs": [Y]}


def test_metadata_with_both_sides_is_sound():
    assert fault_of_metadata(METADATA) == ""


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (7, "not an object"),
        ({"inputs": [X]}, "no outputs"),
        ({"inputs": [{"name": "x"}], "outputs": [Y]}, "lacks name, datatype or shape"),
        ({"inputs": [X | {"shape": ["a"]}], "outputs": [Y]}, "an entry of inputs"),
    ],
)
def test_what_metadata_lacks_is_said(metadata, said):
    assert said in fault_of_metadata(metadata)


def test_a_request_as_declared_has_no_fault():
    assert fault_of(METADATA, "inputs", {"inputs": [X | {"shape": [3, 2], "data": []}]}) == ""


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (7, "no inputs"),
        ({"inputs": [X | {"name": "z"}]}, "'z' is not in the metadata"),
        ({"inputs": [7]}, "None is not in the metadata"),
        ({"inputs": [X | {"datatype": "FP64"}]}, "datatype 'FP64', declared 'FP32'"),
        ({"inputs": [X | {"shape": [1, 3]}]}, "shape [1, 3], declared [-1, 2]"),
        ({"inputs": [X | {"shape": [1]}]}, "shape [1], declared"),
        ({"inputs": []}, "no x"),
    ],
)
def test_what_differs_from_the_metadata_is_said(document, said):
    assert said in fault_of(METADATA, "inputs", document)


def test_an_answer_may_leave_outputs_out():
    assert fault_of(METADATA, "outputs", {"outputs": []}) == ""

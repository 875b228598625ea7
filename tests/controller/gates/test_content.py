import io
import json

import pytest

from controller.gates import content


@pytest.mark.parametrize(
    ("path", "head", "is_executable", "levels"),
    [
        ("lib.so", b"\x7fELF\x02\x01", False, ["dangerous"]),
        ("weights", b"\x7fELF\x02\x01", False, ["dangerous"]),
        ("a.dylib", b"\xcf\xfa\xed\xfe", False, ["dangerous"]),
        ("a.exe", b"MZ" + bytes(58) + b"\x80\x00\x00\x00", False, ["dangerous"]),
        ("numbers", b"MZ,1\n2,3\n", False, []),
        ("run.sh", b"#!/bin/sh\n", True, ["dangerous"]),
        ("run.sh", b"#!/bin/sh\n", False, ["suspicious"]),
        ("code/__pycache__/a.pyc", b"\xa7\r\r\n", False, ["dangerous"]),
        ("sitecustomize.py", b"x = 1\n", False, ["dangerous"]),
        ("a.pth", b"import os\n", False, ["dangerous"]),
        ("a.pth", b"\x80\x02", False, []),
        ("model.json", b"{}", True, []),
    ],
)
def test_what_could_run_is_told_by_its_bytes(
    path: str, head: bytes, is_executable: bool, levels: list[str]
) -> None:
    assert [hit.level for hit in content.executable(path, head, is_executable)] == levels


def test_an_archive_that_nothing_opens_is_named() -> None:
    assert content.sealed(b"7z\xbc\xaf\x27\x1c") == "7z"
    assert content.sealed(b"PK\x03\x04") == ""


@pytest.mark.parametrize(
    ("text", "n_hits"),
    [
        (b"def f():\n    pass\n", 0),
        (b"import os\nif __name__ == '__main__':\n    f()\n", 1),
        (b'if __name__=="__main__": f()\n', 1),
        (b"# if __name__ == '__main__':\n", 0),
    ],
)
def test_a_python_file_with_an_entry_point_is_told(text: bytes, n_hits: int) -> None:
    assert len(content.python("a.py", text)) == n_hits


def test_a_lambda_layer_is_found_across_the_border_of_two_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(content, "WINDOW_BYTES", 100)
    for before in range(60, 110):
        raw = bytes(before) + b'{"class_name": "Lambda", "config": {}}' + bytes(50)
        assert [hit.level for hit in content.hdf5("m.h5", io.BytesIO(raw))] == ["dangerous"]


def test_other_layers_are_no_lambda() -> None:
    raw = b'{"class_name": "Dense", "config": {"name": "Lambda"}}'
    assert content.hdf5("m.h5", io.BytesIO(raw)) == []


def test_an_escape_in_a_layers_name_is_taken_for_a_lambda() -> None:
    raw = rb'{"class_name": "L\u0061mbda"}'
    assert len(content.hdf5("m.h5", io.BytesIO(raw))) == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b'{"class_name": "Dense"}', True),
        (rb'{"cl\u0061ss_name": "Dense"}', True),
        (b'{"auto_map": {}}', True),
        (b'{"vocab": {"class": 1, "\\u0120the": 2}}', False),
    ],
)
def test_a_long_text_is_searched_for_the_keys_that_name_code(text: bytes, names: bool) -> None:
    assert content.names_code(io.BytesIO(text)) is names


@pytest.mark.parametrize("offset", [0, 512, 1024, 2048])
def test_hdf5_may_begin_after_bytes_of_the_users_own(offset: int) -> None:
    assert content.is_hdf5(bytes(offset) + content.HDF5)


def test_operations_that_write_files_are_found_in_a_graph() -> None:
    raw = b"\x0a\x04save\x12\x09WriteFile\x0a\x01x\x12\x08ReadFile\x12\x06MatMul"
    hits = content.graph("saved_model.pb", io.BytesIO(raw))
    assert [(hit.what, hit.level) for hit in hits] == [
        ("the operation ReadFile in a graph", "suspicious"),
        ("the operation WriteFile in a graph", "dangerous"),
    ]


def config(*layers: dict[str, object]) -> bytes:
    return json.dumps({"class_name": "Sequential", "config": {"layers": layers}}).encode()


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        ({"module": "keras.layers", "class_name": "Dense", "config": {}}, []),
        ({"module": "kerasish.layers", "class_name": "Dense"}, ["kerasish.layers.Dense"]),
        ({"module": "os", "class_name": "function", "config": "system"}, ["os.system"]),
        (
            {"module": "keras.utils", "class_name": "function", "config": "get_file"},
            ["keras.utils.get_file"],
        ),
        ({"module": "keras.layers", "class_name": "Lambda", "config": {}}, [""]),
        ({"class_name": "Custom>Lambda"}, [""]),
        ({"auto_map": {"AutoModel": "modeling.Mine"}}, [""]),
    ],
)
def test_code_that_a_configuration_asks_for_is_named(
    layer: dict[str, object], found: list[str]
) -> None:
    hits = content.configuration("config.json", config(layer))
    assert [hit.imported for hit in hits] == found


@pytest.mark.parametrize("text", [b"not json", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_no_configuration(text: bytes) -> None:
    with pytest.raises(ValueError):
        content.configuration("a.json", text)

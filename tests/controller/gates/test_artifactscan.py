"""Real models and harmless copies of what attacks look like; nothing here is ever loaded."""

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from controller.gates import artifactscan, content
from controller.gates.artifactscan import scan
from controller.gates.finding import Finding
from controller.gates.securityspec import ScanSpec
from evaluator.evidence import CheckState

SKLEARN = ("sklearn.*", "numpy.*", "scipy.*", "joblib.numpy_pickle.NumpyArrayWrapper")


class Leaves:
    """Creates a file when it is loaded: the mark that something has been run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "was-run"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def models() -> list[object]:
    rows, labels = load_iris(return_X_y=True)
    return [
        LogisticRegression(max_iter=500).fit(rows, labels),
        make_pipeline(StandardScaler(), RandomForestClassifier(5)).fit(rows, labels),
    ]


def looked(artifact: Path, *allow: str, **how: Any) -> Finding:
    return scan(artifact, ScanSpec(allow=allow, **how))


def torch_like(pickled: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/data/0", bytes(4096))
        file.writestr("archive/version", b"3\n")
    return raw.getvalue()


def write_all(folder: Path, model: object) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    (folder / "old.pkl").write_bytes(pickle.dumps(model, 0))
    joblib.dump(model, folder / "model.joblib")
    for kind in ("zlib", "gzip", "bz2", "lzma", "xz"):
        joblib.dump(model, folder / f"model.{kind}.joblib", compress=(kind, 3))


def test_models_of_sklearn_pass_with_their_modules_allowed(
    artifact: Path, models: list[object]
) -> None:
    for number, model in enumerate(models):
        (artifact / str(number)).mkdir()
        write_all(artifact / str(number), model)
    found = looked(artifact, *SKLEARN, "copy_reg._reconstructor", "__builtin__.*", "builtins.*",
                   "copyreg._reconstructor", "_codecs.encode")  # fmt: skip
    assert found.state is CheckState.PASSED, found
    assert found.numbers["pickles"] == 16


def test_a_model_says_what_it_imports_for_the_list_to_be_made(
    artifact: Path, models: list[object]
) -> None:
    joblib.dump(models[0], artifact / "model.joblib")
    found = looked(artifact)
    assert found.state is CheckState.TRIPPED
    imports = found.numbers["imports"]
    assert "sklearn.linear_model._logistic.LogisticRegression" in imports["suspicious"]
    assert looked(artifact, *imports["suspicious"]).state is CheckState.PASSED
    assert looked(artifact, fail_on="dangerous").state is CheckState.PASSED


@pytest.mark.parametrize("fail_on", ["suspicious", "dangerous"])
def test_a_command_in_a_pickle_is_found_wherever_it_hides_and_never_run(
    artifact: Path, mark: Path, fail_on: str
) -> None:
    bad = Leaves(mark)
    hidden = [np.arange(100.0), np.array([bad], dtype=object), bad]
    write_all(artifact, hidden)
    (artifact / "weights.pt").write_bytes(torch_like(pickle.dumps(bad, 2)))
    (artifact / "readme.txt").write_bytes(pickle.dumps(bad, 0))
    (artifact / "broken.bin").write_bytes(pickle.dumps(bad, 0)[:-1])
    np.save(artifact / "array.npy", np.array([bad], dtype=object), allow_pickle=True)
    np.savez(artifact / "arrays.npz", a=np.array([bad], dtype=object))
    np.savez_compressed(artifact / "packed.npz", a=np.array([bad], dtype=object))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        tar.add(artifact / "weights.pt", "inner/weights.pt")
    (artifact / "model.tar.gz").write_bytes(raw.getvalue())
    names = sorted(path.name for path in artifact.iterdir())
    for name in names:
        found = looked(artifact / name, *SKLEARN, "numpy._core.*", "builtins.*", fail_on=fail_on)
        assert found.state is CheckState.TRIPPED, (name, found)
        assert "posix.system" in str(found.numbers["imports"]["dangerous"]), name
    assert looked(artifact).numbers["dangerous"] >= len(names)
    assert not mark.exists()


def test_the_mark_would_be_left_if_it_were_loaded(mark: Path) -> None:
    """Otherwise the test above could not fail."""
    pickle.loads(pickle.dumps(Leaves(mark)))
    assert mark.exists()


def test_what_is_dangerous_is_allowed_by_its_full_name_only(artifact: Path, mark: Path) -> None:
    (artifact / "a.pkl").write_bytes(pickle.dumps(Leaves(mark)))
    assert looked(artifact, "posix.*").state is CheckState.TRIPPED
    assert looked(artifact, "posix.system").state is CheckState.PASSED


def test_a_modules_wildcard_does_not_reach_through_it(artifact: Path) -> None:
    """In protocol 4 a name with dots is looked up part by part: sklearn.base has imported more."""
    (artifact / "a.pkl").write_bytes(b"\x80\x04\x8c\x0csklearn.base\x8c\x06warn.x\x93.")
    assert looked(artifact, "sklearn.*").state is CheckState.TRIPPED
    assert looked(artifact, "sklearn.base.warn.x").state is CheckState.PASSED


def test_a_wildcard_ends_at_a_dot(artifact: Path) -> None:
    (artifact / "a.pkl").write_bytes(b"csklearnish\nModel\n.")
    assert looked(artifact, "sklearn.*").state is CheckState.TRIPPED


def test_a_pickle_that_cannot_be_followed_is_not_known(artifact: Path) -> None:
    (artifact / "a.pkl").write_bytes(pickle.dumps([1, {"a": "b" * 50}])[:-20])
    found = looked(artifact)
    assert found.state is CheckState.UNKNOWN and "cannot be followed" in found.because


def test_files_that_carry_code_in_other_ways_are_found(artifact: Path) -> None:
    (artifact / "lib.so").write_bytes(b"\x7fELF" + bytes(100))
    (artifact / "run.sh").write_text("#!/bin/sh\nexit 1\n")
    (artifact / "run.sh").chmod(0o755)
    (artifact / "train.py").write_text("if __name__ == '__main__':\n    pass\n")
    (artifact / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b'{"class_name": "Lambda"}')
    (artifact / "out").symlink_to("/etc")
    with zipfile.ZipFile(artifact / "model.keras", "w") as file:
        file.writestr("config.json", '{"module": "keras.layers", "class_name": "Lambda"}')
    (artifact / "saved_model.pb").write_bytes(b"\x12\x09WriteFile")
    found = looked(artifact)
    assert found.state is CheckState.TRIPPED
    assert {one["path"]: one["level"] for one in found.numbers["shown"]} == {
        "lib.so": "dangerous",
        "run.sh": "dangerous",
        "train.py": "suspicious",
        "model.h5": "dangerous",
        "out": "dangerous",
        "model.keras!config.json": "dangerous",
        "saved_model.pb": "dangerous",
    }


def test_a_file_that_may_be_executable_is_allowed_by_its_place(artifact: Path) -> None:
    (artifact / "lib.so").write_bytes(b"\x7fELF" + bytes(100))
    assert looked(artifact, "file:lib.so").state is CheckState.PASSED
    assert looked(artifact, "file:other.so").state is CheckState.TRIPPED


def test_leave_for_a_file_lets_no_pickle_in_it_pass(artifact: Path, mark: Path) -> None:
    (artifact / "a.pkl").write_bytes(pickle.dumps(Leaves(mark)))
    assert looked(artifact, "file:*").state is CheckState.TRIPPED


def test_a_zip_bomb_ends_the_scan_and_is_not_known(artifact: Path) -> None:
    with zipfile.ZipFile(artifact / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(64 << 20))
    found = looked(artifact, unpacked_bytes=8 << 20)
    assert found.state is CheckState.UNKNOWN and "more bytes" in found.because
    assert found.numbers["read_bytes"] < 16 << 20


def test_too_many_files_end_the_scan(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifactscan, "MAX_ITEMS", 5)
    for n in range(10):
        (artifact / f"{n}.txt").write_text("x")
    assert looked(artifact).state is CheckState.UNKNOWN


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(30)),
        ("a.zip", b"PK\x03\x04" + bytes(30)),
        ("a.gz", b"\x1f\x8b\x08" + bytes(30)),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr': '|O'"),
    ],
)
def test_what_cannot_be_looked_into_is_not_known(artifact: Path, name: str, raw: bytes) -> None:
    (artifact / name).write_bytes(raw)
    found = looked(artifact)
    assert found.state is CheckState.UNKNOWN and name in found.because


@pytest.mark.parametrize("descr", [b"'|O'", b"'object'", b"'\\x4f'", b"[('a', '<f8'), ('b', 'O')]"])
def test_an_array_of_objects_is_one_however_it_is_written(
    artifact: Path, mark: Path, descr: bytes
) -> None:
    header = b"{'fortran_order': False, 'descr': " + descr + b", 'shape': (1,)}\n"
    length = len(header).to_bytes(2, "little")
    raw = b"\x93NUMPY\x01\x00" + length + header + pickle.dumps(Leaves(mark))
    (artifact / "a.npy").write_bytes(raw)
    assert "posix.system" in looked(artifact).because


def test_long_json_that_names_no_code_passes(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "TEXT_BYTES", 100)
    (artifact / "vocab.json").write_text('{"vocab": [' + "1, " * 100 + "1]}")
    assert looked(artifact).state is CheckState.PASSED
    (artifact / "config.json").write_text('{"class_name": "Dense", "x": [' + "1, " * 100 + "1]}")
    assert looked(artifact).state is CheckState.UNKNOWN


def test_an_encrypted_member_is_not_known(artifact: Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        file.writestr("a.pkl", b"x")
    spoilt = bytearray(raw.getvalue())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        spoilt[spoilt.index(signature) + flags] |= 1
    (artifact / "a.zip").write_bytes(bytes(spoilt))
    assert looked(artifact).state is CheckState.UNKNOWN


@pytest.mark.parametrize("name", ["missing", "."])
def test_no_artifact_or_an_empty_one_is_not_known(artifact: Path, name: str) -> None:
    assert looked(artifact / name).state is CheckState.UNKNOWN


def test_harmless_files_pass(artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"\x08\x07\x12\x07pytorch" + bytes(100))
    (artifact / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    (artifact / "config.json").write_text('{"architectures": ["Bert"]}')
    (artifact / "vocab.txt").write_text("country\nname\nRed\n")
    np.save(artifact / "weights.npy", np.arange(10.0))
    np.savez_compressed(artifact / "weights.npz", a=np.arange(10.0))
    found = looked(artifact)
    assert found.state is CheckState.PASSED, found
    assert found.numbers["pickles"] == 0


def test_the_same_artifact_gives_the_same_finding(artifact: Path, models: list[object]) -> None:
    write_all(artifact, models[1])
    assert looked(artifact) == looked(artifact)


def test_a_hostile_artifact_does_not_decide_how_long_the_report_is(artifact: Path) -> None:
    names = [f"m{n}\n{'x' * 200}" for n in range(2000)]
    pickled = b"".join(f"cm{n}\n{'x' * 900}\n0".encode() for n, _ in enumerate(names)) + b"N."
    (artifact / "a.pkl").write_bytes(pickled)
    found = looked(artifact)
    assert found.state is CheckState.TRIPPED and found.numbers["found"] == 2000
    assert len(str(found)) < 60_000

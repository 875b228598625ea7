import io
import pickle

import pytest

from controller.gates import importlevel


@pytest.mark.parametrize(
    ("module", "name", "level"),
    [
        ("os", "system", "dangerous"),
        ("posix", "system", "dangerous"),
        ("subprocess", "Popen", "dangerous"),
        ("builtins", "eval", "dangerous"),
        ("builtins", "__import__", "dangerous"),
        ("importlib", "import_module", "dangerous"),
        ("joblib", "load", "dangerous"),
        ("numpy", "load", "dangerous"),
        ("numpy.f2py", "anything", "dangerous"),
        ("dill._dill", "_create_function", "dangerous"),
        ("sklearn.base", "os.system", "dangerous"),
        ("unknown", "unknown", "dangerous"),
        ("sklearn.linear_model._logistic", "LogisticRegression", "suspicious"),
        ("my.package", "Model", "suspicious"),
        ("numpy", "ndarray", "innocuous"),
        ("collections", "OrderedDict", "innocuous"),
        ("", "", "suspicious"),
        ("a\nb", "c d", "suspicious"),
        ("\ud800", "x", "suspicious"),
    ],
)
def test_an_import_is_as_harmless_as_the_lists_say(module: str, name: str, level: str) -> None:
    [hit] = importlevel.hits("m.pkl", [(module, name)])
    assert (hit.level, hit.imported) == (level, f"{module}.{name}")


def test_many_imports_are_each_told_by_their_own_name() -> None:
    pairs = [("os", "system"), ("numpy", "ndarray"), ("a", "b"), ("a", "b")]
    levels = {hit.imported: hit.level for hit in importlevel.hits("m", pairs)}
    assert levels == {"os.system": "dangerous", "numpy.ndarray": "innocuous", "a.b": "suspicious"}


def test_the_scanner_reads_a_pickle_by_itself() -> None:
    assert importlevel.second_reading(io.BytesIO(pickle.dumps(complex))) == {
        ("builtins", "complex")
    }


@pytest.mark.parametrize("raw", [b"", b"\x93", b"\x80\x04\x93.", b"junk"])
def test_the_scanner_may_break_on_a_broken_pickle_without_breaking_us(raw: bytes) -> None:
    importlevel.second_reading(io.BytesIO(raw))

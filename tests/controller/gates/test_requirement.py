import pytest

from controller.gates import requirement
from controller.gates.package import Package
from controller.gates.requirement import parse

COMPILED = """\
# by pip-compile
--index-url https://example.org/simple
numpy==2.1.0 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
    # via scikit-learn
scikit-learn[all]==1.5.2 ; python_version >= "3.9"  # a comment

Jinja2===3.1.4
"""


def test_pins_are_read_with_hashes_markers_and_comments() -> None:
    found = parse(COMPILED)
    assert found.packages == (
        Package("numpy", "2.1.0"),
        Package("scikit-learn", "1.5.2"),
        Package("Jinja2", "3.1.4"),
    )
    assert found.faults == ()


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy>=2",
        "numpy==2.*",
        "numpy==2.1.0,!=2.1.1",
        "numpy @ https://example.org/numpy.whl",
        "-e .",
        "-r other.txt",
        "./local.whl",
        "not a requirement at all",
    ],
)
def test_what_is_not_pinned_is_a_fault(line: str) -> None:
    found = parse(f"{line}\nscipy==1.14.0\n")
    assert len(found.faults) == 1 and line[:10] in found.faults[0]
    assert found.packages == (Package("scipy", "1.14.0"),)


def test_two_pins_of_one_package_are_both_looked_at() -> None:
    text = "a==1 ; python_version < '3.9'\na==2 ; python_version >= '3.9'\n"
    assert [one.version for one in parse(text).packages] == ["1", "2"]


def test_a_list_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirement, "MAX_PACKAGES", 10)
    found = parse("\n".join(f"a{n}==1" for n in range(50)))
    assert len(found.packages) == 10 and found.faults

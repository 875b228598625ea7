import pytest

from controller.gates.severity import Severity, is_over, of_score, of_vector, of_word, worst


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.0, Severity.NONE),
        (0.1, Severity.LOW),
        (3.9, Severity.LOW),
        (4.0, Severity.MEDIUM),
        (6.9, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (9.0, Severity.CRITICAL),
        (10.0, Severity.CRITICAL),
        (10.1, None),
        (-1.0, None),
        (float("nan"), None),
    ],
)
def test_a_score_has_the_word_of_the_standards_table(
    score: float, severity: Severity | None
) -> None:
    assert of_score(score) is severity


@pytest.mark.parametrize(
    ("vector", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity.CRITICAL),  # 9.8
        ("CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", Severity.LOW),  # 1.8
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Severity.CRITICAL),
        ("AV:N/AC:L/Au:N/C:N/I:N/A:P", Severity.MEDIUM),  # v2: 5.0
        ("7.5", Severity.HIGH),
        ("CVSS:3.1/AV:N", None),
        ("CVSS:3.1/" + "x" * 10_000, None),
        ("nonsense", None),
        ("", None),
        (None, None),
        (7.5, None),
    ],
)
def test_a_vector_comes_to_the_word_of_its_base_score(
    vector: object, severity: Severity | None
) -> None:
    assert of_vector(vector) is severity


def test_words_of_several_tools_mean_the_same() -> None:
    assert of_word("MODERATE") is of_word("medium") is of_word("warning") is Severity.MEDIUM
    assert of_word("error") is Severity.HIGH
    assert of_word("splendid") is of_word(None) is of_word(3) is None


def test_the_worst_known_one_counts() -> None:
    assert worst([None, Severity.LOW, Severity.HIGH]) is Severity.HIGH
    assert worst([None]) is worst([]) is None


def test_without_a_severity_only_the_lowest_limit_is_over() -> None:
    assert is_over(Severity.HIGH, Severity.HIGH) and not is_over(Severity.MEDIUM, Severity.HIGH)
    assert is_over(None, Severity.LOW) is True
    assert is_over(None, Severity.MEDIUM) is None

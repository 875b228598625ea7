from sidecar.exitcode import MEANING, ExitCode


def test_every_code_has_a_meaning_in_one_line() -> None:
    assert set(MEANING) == set(ExitCode)
    assert all(meaning and "\n" not in meaning for meaning in MEANING.values())


def test_codes_are_told_apart_by_scripts() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 130]

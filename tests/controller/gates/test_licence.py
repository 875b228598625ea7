import pytest

from controller.gates.licence import CLASSIFIERS, NAMES, normalised, permits

ALLOWED = {"MIT", "Apache-2.0", "BSD-3-Clause"}


@pytest.mark.parametrize(
    ("expression", "is_met"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT AND Apache-2.0", True),
        # AND binds more tightly than OR.
        ("MIT OR GPL-3.0-only AND GPL-2.0-only", True),
        ("GPL-3.0-only AND MIT OR GPL-2.0-only", False),
        ("(GPL-3.0-only OR MIT) AND Apache-2.0", True),
        ("(GPL-3.0-only OR MIT) AND (GPL-2.0-only OR ISC)", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("LicenseRef-Ours", False),
    ],
)
def test_an_expression_is_met_by_the_licences_on_the_list(expression: str, is_met: bool) -> None:
    assert permits(normalised(expression), ALLOWED) is is_met


def test_a_licence_may_be_allowed_with_its_exception_only() -> None:
    allowed = {"GPL-2.0-only WITH Classpath-exception-2.0"}
    assert permits("GPL-2.0-only WITH Classpath-exception-2.0", allowed)
    assert not permits("GPL-2.0-only", allowed)


def test_spelling_and_well_known_names_are_understood() -> None:
    assert normalised("mit") == "MIT"
    assert normalised("Apache License, Version 2.0") == "Apache-2.0"


@pytest.mark.parametrize("text", ["", "BSD License", "MIT OR", "see LICENSE", "MIT/Apache"])
def test_what_is_no_expression_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        normalised(text)


def test_every_name_that_we_translate_is_one_of_spdx() -> None:
    for identifier in (*CLASSIFIERS.values(), *NAMES.values()):
        assert normalised(identifier) == identifier

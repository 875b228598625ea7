"""May the dependencies' licences be used? SPDX expressions against a list. Pure.

An expression's ``OR`` is our choice, its ``AND`` is not. ``WITH`` an exception permits more than
the licence alone, so a licence that is on the list is on it with any exception too.
"""

import re
from collections.abc import Set

CLASSIFIERS = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: MIT No Attribution License (MIT-0)": "MIT-0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
    "License :: OSI Approved :: Zope Public License": "ZPL-2.1",
    "License :: OSI Approved :: GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)":
        "GPL-2.0-or-later",
    "License :: OSI Approved :: GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)":
        "GPL-3.0-or-later",
    "License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)":
        "LGPL-2.0-or-later",
    "License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)":
        "LGPL-3.0-or-later",
    "License :: OSI Approved :: GNU Affero General Public License v3": "AGPL-3.0-only",
    "License :: OSI Approved :: GNU Affero General Public License v3 or later (AGPLv3+)":
        "AGPL-3.0-or-later",
}  # fmt: skip
"""Classifiers that mean one licence; ``BSD License`` does not, and is not here."""
NAMES = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "psf": "PSF-2.0",
    "psfl": "PSF-2.0",
    "mpl 2.0": "MPL-2.0",
}
"""What people write instead of an identifier and mean just one."""


def normalised(text: str) -> str:
    """Return a text as an SPDX expression; ValueError when it is not one, nor a well-known name."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(NAMES.get(text.strip().lower(), text.strip()))
    except InvalidLicenseExpression as exc:
        raise ValueError(f"no SPDX expression: {text!r}") from exc


def permits(expression: str, allowed: Set[str]) -> bool:
    """Whether ``expression`` (as ``normalised`` returns it) can be met with allowed licences."""
    words = re.findall(r"[()]|[^\s()]+", expression)
    met, rest = _any(words, allowed)
    if rest:
        raise AssertionError(f"{rest} is left of {expression}, which is normalised")
    return met


def _any(words: list[str], allowed: Set[str]) -> tuple[bool, list[str]]:
    met, words = _all(words, allowed)
    while words[:1] == ["OR"]:
        also, words = _all(words[1:], allowed)
        met = met or also
    return met, words


def _all(words: list[str], allowed: Set[str]) -> tuple[bool, list[str]]:
    met, words = _one(words, allowed)
    while words[:1] == ["AND"]:
        also, words = _one(words[1:], allowed)
        met = met and also
    return met, words


def _one(words: list[str], allowed: Set[str]) -> tuple[bool, list[str]]:
    if words[0] == "(":
        met, words = _any(words[1:], allowed)
        return met, words[1:]
    name, words = words[0], words[1:]
    if words[:1] == ["WITH"]:
        return name in allowed or f"{name} WITH {words[1]}" in allowed, words[2:]
    return name in allowed, words

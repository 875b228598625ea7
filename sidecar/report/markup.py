"""Writes HTML and SVG in which everything that is not markup of ours is escaped. Pure."""

import html
import re
from collections.abc import Iterable

VOID = frozenset({"br", "meta", "hr"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:-]*")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is markup already; everything else is escaped before it becomes part of one."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Return ``text`` as markup that shows it; what no XML may hold becomes U+FFFD."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_CONTROL.sub("\ufffd", str(text))))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return one element. A trailing underscore of an attribute is dropped, others become hyphens.

    >>> tag("a", "x < y", class_="b")
    '<a class="b">x &lt; y</a>'
    """
    given = []
    for key, value in attributes.items():
        said = key.rstrip("_").replace("_", "-")
        if not _NAME.fullmatch(said):
            raise ValueError(f"{said!r} is no name of an attribute")
        if value is not None:
            given.append(f' {said}="{escape(value)}"')
    opening = f"<{name}{''.join(given)}>"
    if name in VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(children)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Return ``parts`` one after the other, each escaped unless it is markup."""
    return Markup(between.join(escape(part) for part in parts))

"""The common forms of one label, read by one regular expression. Pure.

What it does not match is not wrong: sidecar/labels.py reads everything, and is the reference that
this must equal (tests/sidecar/test_plainlabel.py). It is there for speed alone: about 2 us a
label where the reader with all its checks takes 8 (10,000 labels, one core, Python 3.11).
"""

import math
import re

from evaluator.join import Label

_TEXT = r'"([ !#-\[\]-~]{%d,%d})"'
"""A JSON text without escapes, in printable ASCII: what it says is what stands there."""
_FORM = re.compile(
    rb"[ \t\r\n]*\{[ \t]*"
    rb'"request_id"[ \t]*:[ \t]*' + (_TEXT % (1, 200)).encode() + rb"[ \t]*,[ \t]*"
    rb'"label"[ \t]*:[ \t]*(?:'
    rb"(0|-?[1-9][0-9]{0,30}|true|false)"
    rb"|(-?(?:0|[1-9][0-9]{0,20})\.[0-9]{1,20})"
    rb"|(" + _TEXT.replace("(", "(?:").encode() % (0, 500) + rb"))[ \t]*"
    rb'(?:,[ \t]*"route"[ \t]*:[ \t]*' + (_TEXT % (0, 63)).encode() + rb"[ \t]*)?"
    rb"\}[ \t\r\n]*"
)


def read(raw: bytes) -> Label | None:
    """Return the label that ``raw`` holds; None if it is not of a form that is read here."""
    match = _FORM.fullmatch(raw)
    if match is None:
        return None
    request_id, word, number, text, route = match.groups()
    if word is not None:
        label = word.decode()  # whole numbers and truth values stand as they are
    elif number is not None:
        value = float(number)
        if not math.isfinite(value):
            return None
        label = repr(value)  # as json.dumps writes it
    else:
        label = text.decode()
    return Label(request_id.decode(), label, None if route is None else route.decode())

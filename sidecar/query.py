"""Reads the numbers in an address's query. Pure."""

from aiohttp import web

from sidecar.guard import Refusal


def number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """Return the whole number that ``name`` is, from ``low`` to ``high``; Refusal if it is none."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
        raise Refusal(
            400, f"{name} is not a whole number from {low} to {high}", f"leave {name} out"
        )
    return int(text)

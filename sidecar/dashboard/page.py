"""The page's files: read once, served from memory, and from nowhere else.

The page is the same for everybody and holds nothing of anybody: what it shows it asks the admin
port for. Its policy allows our own files and nothing inline; markup from strings is refused by the
browser itself (trusted types).
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

HERE = Path(__file__).parent
FOLDER = HERE / "page"
VENDORED = ("uPlot.iife.min.js", "uPlot.min.css")
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # Asked for again each time, and answered with 304 while it is the same: an upgrade shows.
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    kind: str
    """Content-Type."""
    body: bytes
    zipped: bytes
    """gzip of ``body``."""
    etag: str


def load() -> dict[str, File]:
    """Return the page's files by name; only these are served."""
    paths = [path for path in FOLDER.iterdir() if path.suffix in TYPES]
    paths += [HERE / "vendor" / name for name in VENDORED]
    return {path.name: _file(path) for path in sorted(paths)}


def _file(path: Path) -> File:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return File(TYPES[path.suffix], body, gzip.compress(body, mtime=0), etag)


class Page:
    """Answers ``GET /`` and ``GET /dashboard/FILE``."""

    def __init__(self) -> None:
        self._files = load()

    async def index(self, request: web.Request) -> web.Response:
        """Answer with the page."""
        return self._answer(request, INDEX)

    async def file(self, request: web.Request) -> web.Response:
        """Answer with one of its files; 404 for any other name."""
        return self._answer(request, request.match_info["file"])

    def _answer(self, request: web.Request, name: str) -> web.Response:
        found = self._files.get(name)
        if found is None:
            raise web.HTTPNotFound
        headers = HEADERS | {"ETag": found.etag}
        if request.headers.get("If-None-Match") == found.etag:
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = found.kind
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=found.zipped, headers=headers)
        return web.Response(body=found.body, headers=headers)

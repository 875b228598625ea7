"""How a request id is kept: as few bytes as it can be read back from. Pure."""

import re
from uuid import UUID

Key = bytes | str

_OURS = re.compile(r"[0-9a-f]{32}").fullmatch
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_UUID_MARK = b"-"


def key_of(request_id: str) -> Key:
    """Return the key of ``request_id``; two ids never share one.

    Ids that routers make (32 hex digits) take 16 bytes, UUIDs in lower case 17, others stay text.
    """
    if _OURS(request_id):
        return bytes.fromhex(request_id)
    if _UUID(request_id):
        return bytes.fromhex(request_id.replace("-", "")) + _UUID_MARK
    return request_id


def id_of(key: Key) -> str:
    """Return the request id that ``key`` was made from."""
    if isinstance(key, str):
        return key
    if len(key) == 16:
        return key.hex()
    return str(UUID(bytes=key[:16]))

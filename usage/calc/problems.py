"""What can be wrong with a request for events: the whole of it (`Unreadable`) or one event in it (`Problem`)."""

import msgspec

from usage.calc import limits


class Unreadable(Exception):
    """A request of which not a single event can be taken: its HTTP status, a stable code and a sentence."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class Problem(msgspec.Struct):
    """Why one event was rejected. `pointer` is a JSON pointer into the event; `excerpt` is safe to store."""

    index: int
    code: str
    detail: str
    pointer: str = ""
    excerpt: str = ""


def excerpt_of(raw: bytes | str) -> str:
    """The first characters of a text, made safe to store: no NUL, no lone surrogate, nothing that is not UTF-8."""
    text = raw[: limits.EXCERPT_CHARS * 4].decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    safe = text[: limits.EXCERPT_CHARS].encode("utf-8", "replace").decode("utf-8")
    return safe.replace("\x00", "\N{SYMBOL FOR NULL}")

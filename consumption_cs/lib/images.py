"""What kind of picture some bytes are and how large it is, read from the bytes themselves and never from a name."""

import struct
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# Start-of-frame markers of JPEG; the four left out are tables that share the range.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


class BadImage(ValueError):
    """The bytes are no picture of a kind that is shown; the message says what to use."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture's media type and its size in pixels."""

    media_type: str
    width: int
    height: int


def read_image(content: bytes) -> Image:
    """Return what the picture is. Raises BadImage unless it is a whole PNG, JPEG or WebP.

    SVG is refused: it is a document that can carry scripts, and a logo is shown to every customer.
    """
    if content.startswith(_PNG):
        return _png(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    start = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")):
        raise BadImage("An SVG is a document that can carry scripts, so it is not accepted. Export it as PNG or WebP.")
    raise BadImage("This is no PNG, JPEG or WebP picture, whatever its name says.")


def _png(content: bytes) -> Image:
    if content[12:16] != b"IHDR" or not content.endswith(_PNG_END):
        raise BadImage("This PNG is damaged or has something else behind it. Export it again.")
    width, height = struct.unpack(">II", content[16:24])
    return Image("image/png", width, height)


def _jpeg(content: bytes) -> Image:
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_FRAMES and at + 9 <= len(content) and content.endswith(b"\xff\xd9"):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return Image("image/jpeg", width, height)
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise BadImage("This JPEG is damaged or has something else behind it. Export it again.")


def _webp(content: bytes) -> Image:
    kind, whole = content[12:16], int.from_bytes(content[4:8], "little") + 8
    if len(content) < 30 or whole not in (len(content), len(content) + 1):
        raise BadImage("This WebP is damaged or has something else behind it. Export it again.")
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L" and content[20] == 0x2F:
        bits = int.from_bytes(content[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    else:
        raise BadImage("This WebP is damaged. Export it again.")
    return Image("image/webp", width, height)

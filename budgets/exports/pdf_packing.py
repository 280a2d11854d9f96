"""Makes a PDF smaller without losing anything: its many small objects are put into compressed object streams.

The tags that let a screen reader read a table are a small object for each cell; written one by one they are nine
tenths of a report. PDF 1.5 has object streams for that (ISO 32000-1, 7.5.7 and 7.5.8), which typst does not write.
"""

import re
import struct
import zlib
from collections.abc import Iterable

_TOGETHER = 200  # objects in one stream: a reader unpacks a whole one to get at any of it
_HEAD = re.compile(rb"(\d+) 0 obj\s")
_DROPPED = re.compile(rb"/Size \d+")
_Place = tuple[int, int, int]  # as in a cross-reference stream: (1, offset, 0), or (2, its stream, number in it)


def packed(pdf: bytes) -> bytes:
    """Return the same document with its objects compressed; unchanged if it is not written as typst writes it."""
    found = _objects(pdf)
    if found is None:
        return pdf
    objects, trailer = found
    streams = {number: body for number, body in objects.items() if b"stream" in body}
    plain = [number for number in sorted(objects) if number not in streams]
    out = bytearray(pdf[: pdf.index(b"\n", pdf.index(b"\n") + 1) + 1])
    places: dict[int, _Place] = {0: (0, 0, 65535)}
    for number in sorted(streams):
        places[number] = (1, len(out), 0)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, streams[number])
    following = max(objects) + 1
    for start in range(0, len(plain), _TOGETHER):
        part = plain[start : start + _TOGETHER]
        places |= {number: (2, following, at) for at, number in enumerate(part)}
        places[following] = (1, len(out), 0)
        out += b"%d 0 obj\n%b\nendobj\n" % (following, _object_stream((number, objects[number]) for number in part))
        following += 1
    places[following] = (1, len(out), 0)
    start_of_places = len(out)
    out += b"%d 0 obj\n%b\nendobj\n" % (following, _places_stream(places, following + 1, trailer))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start_of_places)


def _objects(pdf: bytes) -> tuple[dict[int, bytes], bytes] | None:
    """Return each object's body by its number, and what the trailer says; None for a layout that is not typst's."""
    start = int(pdf[pdf.rindex(b"startxref") + 9 :].split()[0])
    table = re.match(rb"xref\s+0 (\d+)\s", pdf[start:])
    if table is None:
        return None
    entries = pdf[start + table.end() : pdf.index(b"trailer", start)].split(b"\n")
    offsets = sorted(int(entry[:10]) for entry in entries if entry[17:18] == b"n")
    objects: dict[int, bytes] = {}
    for offset, end in zip(offsets, [*offsets[1:], start], strict=True):
        head = _HEAD.match(pdf, offset)
        close = pdf.rfind(b"endobj", offset, end)
        if head is None or close < 0:
            return None
        objects[int(head[1])] = pdf[head.end() : close].strip(b"\n")
    trailer = pdf[pdf.index(b"trailer", start) + 7 : pdf.rindex(b"startxref")].strip()
    return objects, _DROPPED.sub(b"", trailer.removeprefix(b"<<").removesuffix(b">>"))


def _object_stream(objects: Iterable[tuple[int, bytes]]) -> bytes:
    heads, bodies, at = [], [], 0
    for number, body in objects:
        heads.append(b"%d %d" % (number, at))
        bodies.append(body + b"\n")
        at += len(body) + 1
    head = b" ".join(heads) + b"\n"
    content = zlib.compress(head + b"".join(bodies), 9)
    named = b"<</Type/ObjStm/N %d/First %d/Filter/FlateDecode/Length %d>>" % (len(bodies), len(head), len(content))
    return named + b"\nstream\n" + content + b"\nendstream"


def _places_stream(places: dict[int, _Place], size: int, trailer: bytes) -> bytes:
    rows = b"".join(struct.pack(">BIH", *places.get(number, (0, 0, 65535))) for number in range(size))
    content = zlib.compress(rows, 9)
    named = b"<</Type/XRef/Size %d/W[1 4 2]%b/Filter/FlateDecode/Length %d>>" % (size, trailer, len(content))
    return named + b"\nstream\n" + content + b"\nendstream"

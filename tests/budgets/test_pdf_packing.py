"""A packed PDF has the same objects as before, found by the places it says, in a tenth of the size."""

import re
import struct
import zlib

import typst

from budgets.exports.pdf_packing import packed

_SOURCE = b"""#set document(title: "stream of (words) endobj", date: none)
#table(columns: 4, ..range(1200).map(number => [#number]))
#raw("stream endstream endobj xref")
"""


def objects_as_written(pdf: bytes) -> dict[int, bytes]:
    """By a classical table of places."""
    start = int(pdf[pdf.rindex(b"startxref") + 9 :].split()[0])
    entries = pdf[start : pdf.index(b"trailer", start)].split(b"\n")[2:]
    offsets = {number: int(entry[:10]) for number, entry in enumerate(entries) if entry[17:18] == b"n"}
    after = {at: end for at, end in zip(sorted(offsets.values()), [*sorted(offsets.values())[1:], start], strict=True)}
    return {
        number: pdf[pdf.index(b"obj", at) + 3 : pdf.rindex(b"endobj", at, after[at])].strip()
        for number, at in offsets.items()
    }


def unpacked_stream(pdf: bytes, at: int) -> tuple[bytes, bytes]:
    head = pdf[pdf.index(b"obj", at) + 3 : pdf.index(b"stream\n", at)]
    length = int(re.search(rb"/Length (\d+)", head)[1])  # type: ignore[index]
    start = pdf.index(b"stream\n", at) + 7
    return head, zlib.decompress(pdf[start : start + length])


def objects_as_packed(pdf: bytes) -> tuple[dict[int, bytes], bytes]:
    """By the stream of places, as a reader does."""
    head, rows = unpacked_stream(pdf, int(pdf[pdf.rindex(b"startxref") + 9 :].split()[0]))
    found: dict[int, bytes] = {}
    places = [struct.unpack(">BIH", rows[at : at + 7]) for at in range(0, len(rows), 7)]
    for number, (kind, where, index) in enumerate(places):
        if kind == 1:
            assert pdf[where:].startswith(b"%d 0 obj" % number)
            found[number] = pdf[pdf.index(b"obj", where) + 3 : pdf.index(b"\nendobj\n", where)].strip()
        elif kind == 2:
            inside, content = unpacked_stream(pdf, places[where][1])
            first = int(re.search(rb"/First (\d+)", inside)[1])  # type: ignore[index]
            numbers = [int(one) for one in content[:first].split()]
            assert numbers[2 * index] == number
            starts = [*numbers[1::2], len(content) - first]
            found[number] = content[first + starts[index] : first + starts[index + 1]].strip()
    return found, head


def test_every_object_is_found_again_where_the_table_of_places_says() -> None:
    plain: bytes = typst.compile(_SOURCE, format="pdf", ignore_system_fonts=True, timestamp=0)
    small = packed(plain)
    before, (after, head) = objects_as_written(plain), objects_as_packed(small)
    assert len(before) > 1200
    assert {number: after[number] for number in before} == before
    assert all(name in head for name in (b"/Root", b"/Info", b"/ID", b"/Type/XRef"))
    assert len(small) < len(plain) / 4


def test_packing_is_the_same_every_time_and_leaves_alone_what_it_does_not_know() -> None:
    plain: bytes = typst.compile(_SOURCE, format="pdf", ignore_system_fonts=True, timestamp=0)
    small = packed(plain)
    assert packed(plain) == small
    assert packed(small) == small

"""Rows of imported files as CloudEvents: CSV and NDJSON, read from a stream of bytes that can go on where it ended."""

import csv
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from usage.calc import limits
from usage.calc.json_strict import load
from usage.calc.metering import MeterRule
from usage.calc.problems import Problem, Unreadable, excerpt_of

MOST_ROWS = 5_000_000
FILE_BYTES = 2 * 1024**3
UNPACKED_BYTES = 4 * 1024**3
UNPACKED_RATIO = 200  # a gzip that grows more is a bomb, not usage
_RATIO_FROM = 16 * 1024 * 1024
MOST_COLUMNS = limits.DATA_KEYS
_BOTH_HEADERS = 31  # zlib: expect a gzip header and check its CRC at the end
_BLOCK = 256 * 1024

REQUIRED = ("id", "time")
# Our names of the columns, and what else they are called in files.
NAMES = {
    "id": ("id", "event_id"),
    "source": ("source",),
    "time": ("time", "occurred_at", "timestamp"),
    "account": ("account", "subject", "account_key"),
    "type": ("type", "event_type"),
    "meter": ("meter", "meter_key"),
    "quantity": ("quantity",),
    "workflow": ("workflow",),
    "outcome": ("outcome", "outcomes"),
    "success": ("success",),
    "attempt": ("attempt",),
    "environment": ("environment",),
}
_ATTRIBUTES = ("id", "source", "time", "account", "type", "meter")
_MEASURES = ("quantity", "workflow", "outcome", "success", "attempt", "environment")
_NUMBERS = frozenset({"quantity", "outcome", "attempt"})
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", re.ASCII)
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class FileProblem(ValueError):
    """The file as a whole cannot be imported; the message says what to do."""


class Row(NamedTuple):
    """One row: its line (or number) in the file, the CloudEvent it makes or its Problem, and whether its texts are
    known to be storable."""

    line: int
    value: Any
    is_clean: bool


class RowSource(Protocol):
    """Reads rows one after the other; `position` (JSON) is where another reader goes on."""

    @property
    def position(self) -> dict[str, Any]: ...

    def __iter__(self) -> Iterator[Row]: ...


class Names(NamedTuple):
    """What rows name: meters by event type, event types by meter key, and the source of rows without one."""

    meters: Mapping[str, MeterRule]
    types_by_key: Mapping[str, str]
    source: str


class Columns:
    """Which column of a file is what. Those that mean nothing to us become properties of the event."""

    def __init__(self, header: Sequence[str], mapping: Mapping[str, str], names: Names) -> None:
        """`mapping` is our name of a column → its name in the file. Raises FileProblem."""
        self.header = [name.strip() for name in header]
        self._names = names
        _check_header(self.header)
        found = _find_columns(self.header, mapping)
        _check_found(found, self.header)
        self._attributes = {role: found.get(role) for role in _ATTRIBUTES}
        self._measures = [(role, found[role]) for role in _MEASURES if role in found]
        used = set(found.values())
        self._rest = [(index, name) for index, name in enumerate(self.header) if index not in used and name]

    def event(self, cells: Sequence[Any]) -> dict[str, Any] | Problem:
        """The CloudEvent of a row of texts or typed values; an empty text and None mean that nothing is given."""
        at = self._attributes
        kind = _cell(cells, at["type"])
        if kind is None and (key := _cell(cells, at["meter"])) is not None:
            kind = self._names.types_by_key.get(str(key))
            if kind is None:
                return Problem(0, "unknown_type", f"No meter has the key “{str(key)[:100]}”.", "/meter")
        data = {name: _plain(cells[index]) for index, name in self._rest if _cell(cells, index) is not None}
        rule = self._names.meters.get(str(kind))
        for role, index in self._measures:
            value = _cell(cells, index)
            if value is not None:
                data.setdefault(_property(role, rule), _measure(role, value))
        source = _cell(cells, at["source"])
        return {
            "specversion": "1.0",
            "id": _text(_cell(cells, at["id"])),
            "source": self._names.source if source is None else _text(source),
            "type": _text(kind),
            "subject": _text(_cell(cells, at["account"])),
            "time": _time(_cell(cells, at["time"])),
            "data": data,
        }


def _check_header(header: Sequence[str]) -> None:
    if not any(header):
        raise FileProblem("The first line is empty: it must name the columns.")
    if len(header) > MOST_COLUMNS:
        raise FileProblem(f"The file has {len(header)} columns; {MOST_COLUMNS} is the most.")
    for name in header:
        if name and header.count(name) > 1:
            raise FileProblem(f"The column “{name[:60]}” is there twice: rename or remove one.")
        if len(name) > limits.ATTRIBUTE_CHARS:
            raise FileProblem(f"A column’s name has more than {limits.ATTRIBUTE_CHARS} characters.")


def _find_columns(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    lowered = [name.lower().replace(" ", "_") for name in header]
    for role, aliases in NAMES.items():
        wanted = mapping.get(role)
        if wanted:
            if wanted not in header:
                raise FileProblem(f"The file has no column “{wanted[:60]}” for {role}: correct the mapping.")
            found[role] = header.index(wanted)
            continue
        for alias in aliases:
            if alias in lowered and role not in found:
                found[role] = lowered.index(alias)
    return found


def _check_found(found: Mapping[str, int], header: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in found]
    if "account" not in found:
        missing.append("account")
    if "type" not in found and "meter" not in found:
        missing.append("meter (or type)")
    if missing:
        known = ", ".join(name[:30] for name in header[:12])
        raise FileProblem(
            f"Missing column: {', '.join(missing)}. The file has {known}. Rename the columns, or say in the mapping "
            "how the file calls them."
        )


def _cell(cells: Sequence[Any], index: int | None) -> Any:
    if index is None or index >= len(cells):
        return None
    value = cells[index]
    if type(value) is str:
        value = value.strip()
    return None if value == "" else value


def _property(role: str, rule: MeterRule | None) -> str:
    """Under which name the meter reads it. Meters that count events or different values read no quantity."""
    if rule is None:
        return role
    if role == "quantity":
        return "quantity" if rule.aggregation in ("count", "unique") else rule.value_property
    return str(getattr(rule, f"{role}_property"))


def _measure(role: str, value: Any) -> Any:
    if type(value) is not str:
        return _plain(value)
    if role in _NUMBERS:
        match = _NUMBER.fullmatch(value)
        if match:
            return Decimal(value) if match[1] else int(value)
    if role in ("success", "outcome"):
        return _YES_NO.get(value.lower(), value)
    return value


def _plain(value: Any) -> Any:
    """A value as JSON has it; a float by its shortest digits, which are those that people see."""
    if type(value) is str:
        return value.strip()
    if type(value) is float:
        return Decimal(repr(value)) if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, bool | int | Decimal) else str(value)


def _text(value: Any) -> Any:
    return value if value is None or type(value) is str else str(value)


def _time(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            return value.isoformat()  # refused, with words about the offset
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _text(value)


class _Feed:
    """Lines for the CSV reader, which takes them one by one: so we know how far it has come."""

    def __init__(self, lines: Iterator[bytes], offset: int, line: int) -> None:
        self._lines, self.offset, self.line = lines, offset, line
        self.last = b""
        self.is_clean = True

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.offset += len(line)
        self.line += 1
        self.last = line
        self.is_clean = self.is_clean and b"\x00" not in line
        return line.decode("utf-8")


class CsvSource:
    """CSV with a header, separated by commas, semicolons or tabs."""

    def __init__(
        self,
        open_at: Callable[[int], Iterator[bytes]],
        mapping: Mapping[str, str],
        names: Names,
        position: Mapping[str, Any],
    ) -> None:
        """`open_at(offset)` gives the bytes from there on; `position` is empty, or that of an earlier reader."""
        self._open_at, self._mapping, self._names = open_at, mapping, names
        self._position = dict(position)

    @property
    def position(self) -> dict[str, Any]:
        return dict(self._position)

    def __iter__(self) -> Iterator[Row]:
        feed = _Feed(lines_of(self._open_at(self._position.get("offset", 0))), self._position.get("offset", 0),
                     self._position.get("line", 0))  # fmt: skip
        if not self._position:
            self._read_header(feed)
        columns = Columns(self._position["header"], self._mapping, self._names)
        while (row := self._next(feed, columns)) is not None:
            self._position |= {"offset": feed.offset, "line": feed.line}
            if row.value is not None:
                yield row

    def _read_header(self, feed: _Feed) -> None:
        try:
            first = next(feed)
        except StopIteration:
            raise FileProblem("The file is empty.") from None
        except UnicodeDecodeError:
            raise FileProblem("The file is not CSV in UTF-8. Save it as “CSV UTF-8” and upload it again.") from None
        text = first.removeprefix("\ufeff")
        if "\x00" in text:
            raise FileProblem("The file has control characters in its first line. Is it really a CSV file?")
        delimiter = max(",;\t", key=text.count)
        try:
            header = next(csv.reader([text], delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            raise FileProblem(f"The first line cannot be read as CSV: {error}.") from error
        self._position = {"offset": feed.offset, "line": feed.line, "header": header, "delimiter": delimiter}

    def _next(self, feed: _Feed, columns: Columns) -> Row | None:
        line = feed.line + 1
        feed.is_clean = True
        try:
            cells = next(csv.reader(feed, delimiter=self._position["delimiter"], strict=True), None)
        except csv.Error as error:
            detail = f"The row cannot be read as CSV: {error}. Check its quotation marks."
            return Row(line, Problem(0, "malformed_csv", detail, "", excerpt_of(feed.last)), True)
        except UnicodeDecodeError:
            return Row(line, Problem(0, "not_utf8", "The row is not UTF-8.", "", excerpt_of(feed.last)), True)
        if cells is None:
            return None
        if not any(cells):
            return Row(line, None, True)
        if len(cells) > len(columns.header) and any(cells[len(columns.header) :]):
            detail = f"The row has {len(cells)} cells, but the first line names {len(columns.header)} columns."
            return Row(line, Problem(0, "too_many_cells", detail, "", excerpt_of(feed.last)), True)
        value = columns.event(cells)
        if isinstance(value, Problem):
            value.excerpt = excerpt_of(feed.last)
        return Row(line, value, feed.is_clean)


class NdjsonSource:
    """One CloudEvent as JSON on each line."""

    def __init__(self, open_at: Callable[[int], Iterator[bytes]], source: str, position: Mapping[str, Any]) -> None:
        self._open_at, self._source = open_at, source
        self._position = dict(position) or {"offset": 0, "line": 0}

    @property
    def position(self) -> dict[str, Any]:
        return dict(self._position)

    def __iter__(self) -> Iterator[Row]:
        for line in lines_of(self._open_at(self._position["offset"])):
            self._position["offset"] += len(line)
            self._position["line"] += 1
            text = line.strip()
            if self._position["line"] == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if text:
                yield self._row(text)

    def _row(self, text: bytes) -> Row:
        number = self._position["line"]
        if len(text) > limits.EVENT_BYTES:
            detail = f"An event may have {limits.EVENT_BYTES} bytes, not {len(text)}."
            return Row(number, Problem(0, "event_too_large", detail, "", excerpt_of(text)), True)
        try:
            value, is_clean = load(text)
        except Unreadable as bad:
            detail = bad.detail.replace("The body", "The line")
            return Row(number, Problem(0, bad.code, detail, "", excerpt_of(text)), True)
        if type(value) is dict:
            value.setdefault("source", self._source)
        return Row(number, value, is_clean)


def lines_of(blocks: Iterable[bytes], longest: int = 2 * limits.EVENT_BYTES) -> Iterator[bytes]:
    """Split a stream of bytes into lines, line ends included. Raises FileProblem at one that is absurdly long."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if len(line) > longest:
                raise FileProblem(_LONG.format(longest // 1024))
            yield line + b"\n"
        if len(rest) > longest:
            raise FileProblem(_LONG.format(longest // 1024))
    if rest:
        yield rest


_LONG = "A line has more than {} KiB. Is this the kind of file that you chose, with a line for each event?"


def unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip stream, block by block.

    Raises FileProblem when it is damaged, unpacks to more than 4 GiB, or grows two-hundredfold, as only a bomb does.
    """
    packed = size = 0
    unpack = zlib.decompressobj(_BOTH_HEADERS)
    for block in blocks:
        packed += len(block)
        pending = block
        while pending:
            if unpack.eof:
                unpack = zlib.decompressobj(_BOTH_HEADERS)
            try:
                part = unpack.decompress(pending, _BLOCK)
            except zlib.error as error:
                raise FileProblem("The gzip file is damaged. Compress it again and upload it anew.") from error
            size += len(part)
            if size > UNPACKED_BYTES or (size > _RATIO_FROM and size > UNPACKED_RATIO * packed):
                raise FileProblem("The gzip file unpacks to far more than usage does. Split it, or send it plain.")
            if part:
                yield part
            pending = unpack.unconsumed_tail or unpack.unused_data
    if not unpack.eof:
        raise FileProblem("The gzip file ends too early. Upload it again, whole.")


def skip(blocks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """A stream of bytes without its first `count`."""
    for block in blocks:
        if count >= len(block):
            count -= len(block)
            continue
        yield block[count:] if count else block
        count = 0

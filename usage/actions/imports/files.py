"""The file of an import in the database: taken in pieces of a mebibyte, read as a stream or at any place."""

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import cast
from uuid import UUID

from django.db.models import QuerySet

from usage.actions.imports.create import ImportRefused
from usage.calc.import_rows import FILE_BYTES
from usage.models import ImportChunk, UsageImport

CHUNK = 1024 * 1024
PIECE = 8 * CHUNK  # what the upload page sends at once
_KEPT = 8  # chunks that a reader of columns keeps in memory
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_STRANGERS = {
    b"PK\x03\x04": "This is an Excel or zip file. Save the sheet as “CSV UTF-8” and upload that.",
    b"%PDF": "This is a PDF. Upload the usage as CSV, NDJSON or Parquet.",
    b"\x28\xb5\x2f\xfd": "This is compressed with zstd. Send it plain, or as gzip.",
    b"BZh": "This is compressed with bzip2. Send it plain, or as gzip.",
    b"\xd0\xcf\x11\xe0": "This is an old Excel file. Save the sheet as “CSV UTF-8” and upload that.",
}

Read = Callable[[int], bytes]
State = UsageImport.State


def append(one: UsageImport, offset: int, read: Read, now: datetime, *, is_last: bool) -> None:
    """Add a piece of the file that starts at `offset`; at 0 the upload begins anew. `one` is `held`.

    `read(n)` gives up to n bytes, none at the end. Memory is one chunk. Raises ImportRefused; then nothing of the
    piece may be kept, so the caller's transaction must end without a commit.
    """
    if one.state not in (State.CREATED, State.UPLOADING, State.UPLOADED):
        raise ImportRefused("has_file", "This import has its file already. Make a new import for another one.")
    if offset == 0:
        _chunks(one).delete()
        one.bytes = 0
    if offset != one.bytes:
        raise ImportRefused("wrong_offset", f"The next piece starts at byte {one.bytes}, not {offset}.", "offset")
    _store(one, read)
    if not one.bytes:
        raise ImportRefused("empty_file", "The file is empty: there is nothing to import.", "file")
    _check_kind(one, is_last=is_last)
    one.state = State.UPLOADED if is_last else State.UPLOADING
    one.heartbeat_at = now
    if is_last:
        one.total_bytes, one.uploaded_at = one.bytes, now
    one.save()


def forget(one: UsageImport) -> None:
    """Forget what was uploaded of a file that was refused; the import waits for another one."""
    one.refresh_from_db()
    _chunks(one).delete()
    one.bytes, one.state = 0, State.CREATED
    one.save(update_fields=["bytes", "state"])


def _chunks(one: UsageImport) -> "QuerySet[ImportChunk]":
    rows = ImportChunk.objects.filter(organization=one.organization_id, usage_import=one.pk)
    return cast("QuerySet[ImportChunk]", rows)


def _store(one: UsageImport, read: Read) -> None:
    number, begun = divmod(one.bytes, CHUNK)
    buffer = bytearray()
    if begun:
        last = _chunks(one).filter(number=number)
        buffer += last.values_list("data", flat=True).get()
        last.delete()
    while data := read(CHUNK - len(buffer)):
        buffer += data
        one.bytes += len(data)
        if one.bytes > FILE_BYTES:
            raise ImportRefused(
                "file_too_large", "The file is larger than 2 GiB. Split it and import the parts.", "file"
            )
        if len(buffer) == CHUNK:
            _write(one, number, buffer)
            number, buffer = number + 1, bytearray()
    if buffer:
        _write(one, number, buffer)


def _write(one: UsageImport, number: int, data: bytearray) -> None:
    ImportChunk.objects.create(
        organization_id=one.organization_id, usage_import_id=one.pk, number=number, data=bytes(data)
    )


def _check_kind(one: UsageImport, *, is_last: bool) -> None:
    """A file of another kind than it was said to be is refused before anybody waits for it."""
    file = StoredFile(one)
    head = file.read_at(0, 8)
    is_parquet = head.startswith(_PARQUET)
    for magic, words in _STRANGERS.items():
        if head.startswith(magic):
            raise ImportRefused("wrong_type", words, "file")
    if is_parquet != (one.format == UsageImport.Format.PARQUET):
        kind = "Parquet" if is_parquet else "not Parquet"
        detail = f"The file is {kind}, but the import was made for {one.get_format_display()}. Make one for its kind."
        raise ImportRefused("wrong_type", detail, "file")
    if is_last and is_parquet and (one.bytes < 12 or file.read_at(one.bytes - 4, 4) != _PARQUET):
        raise ImportRefused("wrong_type", "The Parquet file ends too early. Upload it again, whole.", "file")


class StoredFile:
    """The bytes of an import's file. Reads within the caller's transaction, chunk by chunk.

    `consumed` is how far a stream has come in the file as it was sent.
    """

    def __init__(self, one: UsageImport) -> None:
        self._organization_id: UUID = one.organization_id
        self._import_id: UUID = one.pk
        self.size: int = one.bytes
        self.consumed = 0
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    @property
    def is_gzip(self) -> bool:
        return self.read_at(0, 2) == _GZIP

    def stream(self, offset: int = 0) -> Iterator[bytes]:
        """The bytes from `offset` on."""
        number, begun = divmod(offset, CHUNK)
        self.consumed = offset
        while number * CHUNK < self.size:
            data = self._chunk(number)[begun:]
            self._cache.clear()
            self.consumed += len(data)
            yield data
            number, begun = number + 1, 0

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes at a place."""
        parts = []
        while count > 0 and offset < self.size:
            number, begun = divmod(offset, CHUNK)
            part = self._chunk(number)[begun : begun + count]
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return b"".join(parts)

    def _chunk(self, number: int) -> bytes:
        data = self._cache.pop(number, None)
        if data is None:
            rows = ImportChunk.objects.filter(
                organization=self._organization_id, usage_import=self._import_id, number=number
            )
            data = bytes(rows.values_list("data", flat=True).get())
        self._cache[number] = data
        if len(self._cache) > _KEPT:
            self._cache.popitem(last=False)
        return data


class SeekableFile(io.RawIOBase):
    """A stored file as Python's own: what the reader of Parquet wants."""

    def __init__(self, file: StoredFile) -> None:
        super().__init__()
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

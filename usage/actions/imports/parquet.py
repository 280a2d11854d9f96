"""Rows of a Parquet file, row group by row group; what would unpack to more than usage can be is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from usage.actions.imports.files import SeekableFile, StoredFile
from usage.calc.import_rows import MOST_COLUMNS, MOST_ROWS, UNPACKED_BYTES, Columns, FileProblem, Names, Row

ROW_GROUP_BYTES = 256 * 1024 * 1024  # unpacked
TEXT_CHARS = 16 * 1024
_BATCH = 2_000
_FOOTER_BYTES = 16 * 1024 * 1024
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
_DAMAGED = "The Parquet file is damaged, or not Parquet. Write it again and upload it anew."


class ParquetSource:
    """A flat Parquet file; its columns have the names that a CSV file's would."""

    def __init__(
        self, file: StoredFile, mapping: Mapping[str, str], names: Names, position: Mapping[str, Any]
    ) -> None:
        self._file, self._mapping, self._names = file, mapping, names
        self._row = int(position.get("row", 0))
        self.rows = 0  # in the whole file, once reading began

    @property
    def position(self) -> dict[str, Any]:
        return {"row": self._row}

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from self._read()
        except (pa.ArrowException, OSError, OverflowError) as error:
            raise FileProblem(_DAMAGED) from error

    def _read(self) -> Iterator[Row]:
        self._check_footer()
        file = self._open([])
        texts = _check(file)
        self.rows = file.metadata.num_rows
        if texts:  # as dictionaries, so that a text that stands in every row is unpacked once
            file = self._open(texts)
        columns = Columns(file.schema_arrow.names, self._mapping, self._names)
        first, start = _group_of(file.metadata, self._row)
        groups = list(range(first, file.metadata.num_row_groups))
        to_skip = self._row - start
        for group in groups:
            for batch in file.iter_batches(_BATCH, row_groups=[group], use_threads=False):
                if to_skip >= batch.num_rows:
                    to_skip -= batch.num_rows
                    continue
                yield from self._rows(batch.slice(to_skip), columns)
                to_skip = 0

    def _open(self, dictionaries: list[str]) -> pq.ParquetFile:
        # One thread: the file is read in the database's transaction, which belongs to this one.
        return pq.ParquetFile(
            pa.PythonFile(SeekableFile(self._file), mode="r"),
            read_dictionary=dictionaries,
            pre_buffer=False,
            thrift_string_size_limit=_FOOTER_BYTES,
            thrift_container_size_limit=1_000_000,
        )

    def _check_footer(self) -> None:
        length = int.from_bytes(self._file.read_at(self._file.size - 8, 4), "little")
        if length > _FOOTER_BYTES:
            raise FileProblem("The Parquet file describes itself at absurd length. Write it with larger row groups.")

    def _rows(self, batch: pa.RecordBatch, columns: Columns) -> Iterator[Row]:
        lists = [_values(column) for column in batch.columns]
        for cells in zip(*lists, strict=True):
            self._row += 1
            yield Row(self._row, columns.event(cells), False)


def _check(file: pq.ParquetFile) -> list[str]:
    """Refuse what is too large or not flat; returns the names of the columns that hold texts."""
    metadata, schema = file.metadata, file.schema_arrow
    if metadata.num_rows > MOST_ROWS:
        raise FileProblem(f"The file has {metadata.num_rows:,} rows; {MOST_ROWS:,} is the most. Split it.")
    if len(schema.names) > MOST_COLUMNS:
        raise FileProblem(f"The file has {len(schema.names)} columns; {MOST_COLUMNS} is the most.")
    unpacked = 0
    for number in range(metadata.num_row_groups):
        size = _unpacked(metadata.row_group(number))
        unpacked += size
        if size > ROW_GROUP_BYTES:
            raise FileProblem("A row group unpacks to more than 256 MiB. Write the file with smaller row groups.")
    if unpacked > UNPACKED_BYTES:
        raise FileProblem("The file unpacks to more than 4 GiB. Split it and import the parts.")
    return _text_columns(schema)


def _unpacked(group: Any) -> int:
    """What a row group says to unpack to, by its own figure or by its columns', whichever is more."""
    sizes = [group.column(number).total_uncompressed_size for number in range(group.num_columns)]
    if min([group.total_byte_size, *sizes]) < 0:
        raise FileProblem(_DAMAGED)
    return int(max(group.total_byte_size, sum(sizes)))


def _text_columns(schema: pa.Schema) -> list[str]:
    texts = []
    for field in schema:
        if pa.types.is_nested(field.type):
            raise FileProblem(f"The column “{field.name[:60]}” holds lists or structures. Write flat columns.")
        if any(is_kind(field.type) for is_kind in _TEXTS):
            texts.append(field.name)
    return texts


def _group_of(metadata: pq.FileMetaData, row: int) -> tuple[int, int]:
    """The row group that holds a row, and its first row."""
    start = 0
    for number in range(metadata.num_row_groups):
        length = metadata.row_group(number).num_rows
        if row < start + length:
            return number, start
        start += length
    return metadata.num_row_groups, start


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
        if longest > TEXT_CHARS:
            raise FileProblem(f"A text has {longest:,} bytes; {TEXT_CHARS:,} is the most. No usage needs so much.")
        words = [_text(word) for word in column.dictionary.to_pylist()]
        return [None if index is None else words[index] for index in column.indices.to_pylist()]
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

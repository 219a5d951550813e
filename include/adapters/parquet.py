"""Tables as Parquet: files that are only touched when their rows change, and hashes of what rows say."""

from hashlib import sha256
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from pyarrow import compute

from include.adapters.files import write_atomically


def parquet_bytes(table: pyarrow.Table) -> bytes:
    """Return a table as one Parquet file; the same rows give the same bytes."""
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def write_table(path: Path, table: pyarrow.Table) -> bool:
    """Write a table to a file in one step; return False if the file already held just that."""
    content = parquet_bytes(table)
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True


def content_sha256(table: pyarrow.Table) -> str:
    """Return the hex SHA-256 of a table's values, whatever its chunks, padding or file metadata.

    Each column enters with its name and type, which rows are null, and its values in row order (for
    strings their lengths and UTF-8 bytes), nulls replaced by zero or the empty string.
    """
    digest = sha256(f"{table.num_rows}".encode())
    for field in table.schema:
        column = table[field.name].combine_chunks()
        digest.update(f"\n{field.name}:{field.type}\n".encode())
        digest.update(numpy.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
        if pyarrow.types.is_string(field.type):
            text = compute.fill_null(column, "")
            digest.update(compute.binary_length(text).to_numpy().astype("<i8").tobytes())
            digest.update("".join(text.to_pylist()).encode())
        else:
            kind = pyarrow.int64() if pyarrow.types.is_timestamp(field.type) else field.type
            values = compute.fill_null(column.cast(kind), pyarrow.scalar(0, kind)).to_numpy()
            digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()

"""Parquet files that are only touched when their rows change."""

from pathlib import Path

import pyarrow
import pyarrow.parquet

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

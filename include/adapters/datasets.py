"""Parquet files by address: a path, or a key in a bucket of S3."""

from pathlib import Path
from urllib.parse import urlsplit

import pyarrow
import pyarrow.parquet

from include.adapters.s3_store import S3Store
from include.contracts.errors import ArtefactError


def read_dataset(address: str) -> pyarrow.Table:
    """Return the rows of a Parquet file.

    Args:
        address: a path, or `s3://bucket/key` with boto3's own variables.

    Raises:
        ArtefactError: there is none, or it cannot be read.
    """
    try:
        if address.startswith("s3://"):
            parts = urlsplit(address)
            with S3Store(f"s3://{parts.netloc}").open(parts.path.lstrip("/")) as file:
                return pyarrow.parquet.read_table(file)
        with Path(address).open("rb") as file:
            return pyarrow.parquet.read_table(file)
    except FileNotFoundError:
        raise ArtefactError(f"no dataset at {address!r}") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise ArtefactError(f"the dataset {address!r} cannot be read: {error}") from error

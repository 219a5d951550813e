"""The page of the gateway benchmark: what was to be reached, what was, the runs, a picture."""

from pathlib import Path

from include.commands.benchmark_parts import Parts, flat
from include.commands.benchmark_record import BENCHMARKS, write_record

NAME = "gateway"
_LIBRARIES = ("feast", "tritonclient")


def write_page(parts: Parts, folder: Path = BENCHMARKS) -> None:
    """Write `gateway.json`, `gateway.md` and `gateway.png`."""
    write_record(NAME, "Gateway", flat(parts), _LIBRARIES, folder)

"""The page of the feature benchmark: figures by part, what they were to reach, a picture."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure as Picture

from include.adapters.files import replacing
from include.commands.bench_features_measure import AT_LEAST
from include.commands.benchmark_parts import Parts, flat
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record

NAME = "features"
"""File name of the record."""

_LIBRARIES = ("feast", "duckdb", "pyarrow", "pandas")
_NOTES = f"""Medians of runs, each in a process of its own; `_runs` says how many. What is compared took
turns; the sizes of `growth` and `synthetic` ran one after the other. A figure that ends in
`{AT_LEAST}` is a lower bound: that run was stopped when it reached its limit of time or
memory. `_cpu_seconds` is what the process itself used. Other work slows the wall clock down:
each part says how busy the machine was before (`load_average_before`, to be read beside its
number of cores), and at which commit it was measured. Peak memory is that of the whole
process, libraries included. `features_2017` is `customer_spending` of 1.47 M purchase lines: a row a
customer and day with an order in the 30 days before. `features_2017_all_views` is all three shared
views."""


def write_page(parts: Parts, folder: Path = BENCHMARKS) -> None:
    """Write `features.json`, `features.md` and `features.png`."""
    figures = flat(parts)
    notes = f"{_NOTES}\n\n{targets(figures)}"
    write_record(NAME, "Feature store", figures, _LIBRARIES, folder, notes=notes)
    with replacing(folder / f"{NAME}.png") as path:
        picture(figures).savefig(path, format="png", dpi=120)


def targets(figures: Mapping[str, Figure]) -> str:
    """Return the table of what was to be reached and what was."""
    rows = [
        _at_least("ASOF over Feast's DuckDB store, 100,000 rows: 6 times", figures, _SPEEDUP, 6),
        _at_least("The same at 1,000,000 rows, ten views: 6 times", figures, f"{_SPEEDUP}_1m_10_views", 6),
        _memory("Peak of the ASOF store no larger, 100,000 rows", figures, "join_100k"),
        _memory("Peak of the ASOF store no larger, 1,000,000 rows, ten views", figures, "join_1m_10_views"),
        _at_most("Features of 2017, a row an entity and day, under 5 s", figures, "features_2017_seconds", 5),
        _at_most("Time grows no faster than linearly", figures, "features_growth_exponent", 1),
        _at_most("Memory bounded by the chunk, ten times the customers", figures, _PEAK_GROWTH, 1.5),
    ]
    lines = [f"| {name} | {reached} | {verdict} |" for name, reached, verdict in rows]
    return "\n".join(["| to reach | reached | |", "|---|---|---|", *lines])


_SPEEDUP = "asof_over_feast_duckdb_speedup"
_PEAK_GROWTH = "materialize_redis_peak_growth_ratio"
_OPEN = "open: only a bound"
_NOT_MEASURED = ("", "not measured")


def _at_most(name: str, figures: Mapping[str, Figure], key: str, most: float) -> tuple[str, str, str]:
    if key not in figures:
        return (name, *_NOT_MEASURED)
    return name, f"{figures[key]:.3g}", _verdict(float(figures[key]) <= most)


def _at_least(name: str, figures: Mapping[str, Figure], key: str, least: float) -> tuple[str, str, str]:
    found = _found(figures, key)
    if found is None:
        return (name, *_NOT_MEASURED)
    if found[1].startswith(">") and found[0] < least:
        return name, found[1], _OPEN
    return name, found[1], _verdict(found[0] >= least)


def _memory(name: str, figures: Mapping[str, Figure], join: str) -> tuple[str, str, str]:
    ours, theirs = figures.get(f"asof_{join}_peak_mib"), _found(figures, f"feast_duckdb_{join}_peak_mib")
    if ours is None or theirs is None:
        return (name, *_NOT_MEASURED)
    return name, f"{float(ours):.0f} MiB to {theirs[1]} MiB", _verdict(float(ours) <= theirs[0])


def _found(figures: Mapping[str, Figure], key: str) -> tuple[float, str] | None:
    if key in figures:
        return float(figures[key]), f"{float(figures[key]):.4g}"
    if key + AT_LEAST in figures:
        return float(figures[key + AT_LEAST]), f"> {float(figures[key + AT_LEAST]):.4g}"
    return None


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def picture(figures: Mapping[str, Figure]) -> Picture:
    """Return the picture: the joins beside each other, and how time grows with the rows."""
    drawn = Picture(figsize=(11, 4.2), layout="constrained")
    joined, grown = drawn.subplots(1, 2)
    stores = ["asof", "feast_duckdb", "bare_sql"]
    names = [f"{store}_{join}" for join in ("join_100k", "join_1m_10_views") for store in stores]
    bars = {name: _found(figures, f"{name}_seconds") for name in names}
    known = {name: found for name, found in bars.items() if found is not None}
    drawn_bars = joined.barh(list(known), [seconds for seconds, _ in known.values()])
    joined.bar_label(drawn_bars, [f"{text} s" for _, text in known.values()], padding=3)
    joined.set(xscale="log" if known else "linear", xlabel="seconds", title="Point-in-time join")
    joined.margins(x=0.25)
    joined.invert_yaxis()
    sizes = sorted(
        (float(figures[f"{name}_rows"]), float(figures[f"{name}_seconds"]))
        for name in (key.removesuffix("_microseconds_per_row") for key in figures if key.endswith("_per_row"))
        if f"{name}_rows" in figures
    )
    if sizes:
        grown.loglog([rows for rows, _ in sizes], [seconds for _, seconds in sizes], marker="o")
    else:
        grown.text(0.5, 0.5, "not measured", ha="center", transform=grown.transAxes)
    grown.set(xlabel="rows of features", ylabel="seconds", title="Features of a year")
    return drawn

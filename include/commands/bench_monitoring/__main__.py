"""`make bench-monitoring`: how fast, how lean and how right monitors are; to docs/benchmarks/monitoring.*.

Each part is a module with a function that returns its figures. Parts can be measured one at a time: each
takes the place of its own earlier figures and names its own commit.
"""

from argparse import ArgumentParser, Namespace

from include.commands.bench_monitoring.page import NAME, write_page
from include.commands.bench_monitoring.parts import PARTS
from include.commands.benchmark_parts import origin, read_parts
from include.commands.benchmark_record import text_of
from include.commands.progress import Progress
from include.commands.terminal import end_on_signals, run_command


def main() -> None:
    """Measure the parts asked for and write the figures, the page and the picture."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--dry", action="store_true", help="print the figures and write nothing down")
    run_command(lambda: record(parser.parse_args()))


def record(arguments: Namespace) -> None:
    """Measure part by part; write each down when it is done."""
    end_on_signals()
    progress = Progress(total=len(arguments.only))
    for part in arguments.only:
        with progress.step(part):
            before, parts = origin(), read_parts(NAME)
            figures = dict(PARTS[part]())
            for name, value in figures.items():
                progress.say(f"{name} {text_of(value)}")
            if not arguments.dry:
                write_page(parts | {part: figures | before})


if __name__ == "__main__":
    main()

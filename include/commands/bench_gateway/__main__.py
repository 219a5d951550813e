"""`make bench-gateway`: the gateway with all its duties against bare Triton; to docs/benchmarks/gateway.*.

Every figure is the median of runs that take turns. Parts can be measured one at a time: each takes the place
of its own earlier figures and names its own commit.
"""

from argparse import ArgumentParser, Namespace

from include.commands.bench_gateway.bench import Bench
from include.commands.bench_gateway.page import NAME, write_page
from include.commands.bench_gateway.parts import OWN, PARTS
from include.commands.bench_gateway.stack import own_settings, prepare
from include.commands.benchmark_parts import flat, origin, read_parts
from include.commands.benchmark_record import text_of
from include.commands.progress import Progress
from include.commands.services import find_server
from include.commands.terminal import end_on_signals, run_command
from include.config.settings import settings

CONNECTIONS = (1, 16, 64, 256)


def main() -> None:
    """Measure the parts asked for and write the figures, the page and the picture."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(OWN), help="parts to measure")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a run")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS, help="of the closed loop")
    parser.add_argument("--install", action="store_true", help="install servers that are missing")
    parser.add_argument("--dry", action="store_true", help="print the figures and write nothing down")
    run_command(lambda: record(parser.parse_args()))


def record(arguments: Namespace) -> None:
    """Build the platform, then measure part by part; write each down when it is done."""
    find_server("wrk", "wrk", install=arguments.install)
    end_on_signals()
    progress = Progress(total=1 + len(arguments.only))
    with progress.step("prepare features, versions and a key"):
        stack = prepare(own_settings(settings()))
    bench = Bench(stack, arguments.runs, arguments.seconds, arguments.connections, arguments.install)
    for part in arguments.only:
        with progress.step(part):
            before, parts = origin(), read_parts(NAME)
            figures = PARTS[part](bench, flat(parts))
            for name, value in figures.items():
                progress.say(f"{name} {text_of(value)}")
            if not arguments.dry:
                write_page(parts | {part: figures | before})


if __name__ == "__main__":
    main()

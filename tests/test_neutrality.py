"""The platform knows no trade: what it says about anybody's customers stands in model folders and views."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLATFORM = ("include", "serving", "plugins", "dags")
TRADE = re.compile(r"churn|customer|purchase|household", re.IGNORECASE)
BROUGHT = ("include/models/", "include/features/views/", "include/data/sources/", "include/transforms/")
"""What models, views, sources and transforms are for."""
DEMO = {
    "include/commands/run.py",
    "include/commands/demo.py",
    "include/commands/drill.py",
    "include/commands/drill_monitoring/champion.py",
}
"""Commands that bring the demo's model to production, named in one constant."""
MEASURED = ("include/commands/bench_",)
"""Benchmarks measure the demo's data, and say which."""
CONSTANT = re.compile(r'^MODEL = "churn"$')


def platform_files() -> list[str]:
    """Return the tracked and untracked text files of the platform, ignored ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *PLATFORM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    wanted = {".py", ".sql", ".yaml", ".md", ".html"}
    return [
        name for name in listed if Path(name).suffix in wanted and not name.startswith(BROUGHT + MEASURED)
    ]


def test_the_platform_names_no_trade():
    """File and line of every word that belongs into a model's folder."""
    files = platform_files()
    assert len(files) > 100
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files
        if (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), start=1)
        if TRADE.search(line) and not (name in DEMO and CONSTANT.match(line))
    ]
    assert not found, "\n".join(found)

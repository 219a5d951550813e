"""What the drill found: for the one who runs it, for the page, and as figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import StrictUndefined, Template

from include.adapters.files import write_atomically
from include.commands.benchmark_record import provenance
from include.commands.drill_monitoring.champion import Champion
from include.commands.drill_monitoring.troubles import Trouble
from include.commands.drill_monitoring.weeks import REQUESTS
from include.commands.drill_monitoring.world import Raised
from include.config.settings import REPOSITORY_ROOT
from include.contracts.moments import format_duration

PAGE = REPOSITORY_ROOT / "docs" / "drills" / "monitoring.md"
TEMPLATE = Path(__file__).with_name("page.md.jinja")
MOST_ALARMED_WEEKS = 1
"""Of eight quiet ones."""


@dataclass(frozen=True)
class Quiet:
    """Weeks without trouble, and the alerts that were raised in them all the same."""

    weeks: tuple[tuple[datetime, tuple[Raised, ...]], ...]

    @property
    def alarmed(self) -> int:
        """Weeks with an alert."""
        return sum(bool(raised) for _, raised in self.weeks)


@dataclass(frozen=True)
class Found:
    """A trouble, when it began, and the alerts from then on."""

    trouble: Trouble
    began: datetime
    raised: tuple[Raised, ...]

    @property
    def first(self) -> Raised | None:
        """The first alert that names it rightly."""
        return next((each for each in self.raised if each.content.kind in self.trouble.found_by), None)

    @property
    def others(self) -> tuple[Raised, ...]:
        """Alerts of other kinds."""
        return tuple(each for each in self.raised if each.content.kind not in self.trouble.found_by)

    @property
    def after(self) -> timedelta | None:
        """Time from its beginning to that alert."""
        return self.first.at - self.began if self.first else None


def weeks_of(raised: Sequence[Raised], first: datetime, weeks: int) -> Quiet:
    """Part alerts into weeks."""
    starts = [first + timedelta(days=7 * number) for number in range(weeks)]
    return Quiet(
        tuple(
            (start, tuple(each for each in raised if start < each.at <= start + timedelta(days=7)))
            for start in starts
        )
    )


def as_expected(quiet: Quiet, found: Sequence[Found]) -> list[str]:
    """Return what is not as it must be, a line each."""
    problems = [f"{each.trouble.name} was not found" for each in found if each.first is None]
    if quiet.alarmed > MOST_ALARMED_WEEKS:
        problems.append(f"{quiet.alarmed} of {len(quiet.weeks)} quiet weeks had a false alarm")
    return problems


def write_page(champion: Champion, quiet: Quiet, found: Sequence[Found], real: Quiet, seconds: float) -> Path:
    """Write docs/drills/monitoring.md and return its path."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    template = Template(TEMPLATE.read_text(encoding="utf-8"), undefined=StrictUndefined, trim_blocks=True)
    text = template.render(
        champion=champion,
        snapshot=champion.manifest.snapshot,
        quiet=quiet,
        found=found,
        real=real,
        requests=REQUESTS,
        minutes=round(seconds / 60),
        told=_told,
        duration=format_duration,
        **provenance(()),
    )
    write_atomically(PAGE, text.encode())
    return PAGE


def _told(raised: Sequence[Raised]) -> str:
    contents = [each.content for each in raised]
    said = [f"{each.kind.value} {each.subject} ({each.severity.value})" for each in contents]
    return ", ".join(said) or "none"

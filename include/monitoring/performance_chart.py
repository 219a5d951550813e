"""Days of a metric as a picture: what was measured, what was expected before, and the baseline; plain SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

WIDTH, HEIGHT = 640.0, 220.0
_LEFT, _TOP, _BOTTOM = 48.0, 12.0, 24.0


@dataclass(frozen=True)
class Point:
    """A day's value between its limits."""

    start: datetime
    value: float
    low: float
    high: float


def days_chart(
    title: str, measured: Sequence[Point], expected: Sequence[Point], baseline: float | None
) -> str:
    """Return the picture; empty where there is no day."""
    points = [*measured, *expected]
    if not points:
        return ""
    scale = _Scale(points, baseline)
    lines = [f'<text x="0" y="{HEIGHT - 6}">{min(each.start for each in points):%Y-%m-%d}</text>']
    lines.append(
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{max(p.start for p in points):%Y-%m-%d}</text>'
    )
    lines += [f'<text x="0" y="{scale.y(value):.1f}">{value:.3g}</text>' for value in (scale.low, scale.high)]
    if baseline is not None:
        at = f"{scale.y(baseline):.1f}"
        lines.append(f'<line class="baseline" x1="{_LEFT}" x2="{WIDTH}" y1="{at}" y2="{at}"/>')
    for name, found in (("measured", measured), ("expected", expected)):
        lines += [_bar(name, each, scale) for each in found]
    said = f"<title>{escape(title)}</title>{''.join(lines)}"
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">{said}</svg>'


class _Scale:
    """Where days and values lie in the picture."""

    def __init__(self, points: Sequence[Point], baseline: float | None) -> None:
        values = [each.low for each in points] + [each.high for each in points]
        values += [baseline] if baseline is not None else []
        self.low, self.high = min(values), max(values)
        self._first = min(each.start for each in points)
        self._seconds = max((each.start - self._first).total_seconds() for each in points) or 1.0

    def x(self, moment: datetime) -> float:
        """Return the place of a day."""
        share = (moment - self._first).total_seconds() / self._seconds
        return _LEFT + 6 + share * (WIDTH - _LEFT - 12)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _bar(name: str, point: Point, scale: _Scale) -> str:
    x, middle = f"{scale.x(point.start):.1f}", f"{scale.y(point.value):.1f}"
    ends = f'y1="{scale.y(point.low):.1f}" y2="{scale.y(point.high):.1f}"'
    return (
        f'<line class="{name}" x1="{x}" x2="{x}" {ends}/><circle class="{name}" cx="{x}" cy="{middle}" r="3">'
        f"<title>{point.start:%Y-%m-%d} {name}: {point.value:.4g}</title></circle>"
    )

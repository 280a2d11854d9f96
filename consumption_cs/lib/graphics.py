"""Small drawings inside text and tables, as finished SVG: everything is a number computed here, nothing is a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Number = float | int
_PADDING = 3.0


def sparkline_svg(values: Sequence[Number | None], *, width: int = 84, height: int = 26, label: str = "") -> str:
    """Return a line through `values` with a dot on the last; a gap where a value is None, "" below two values."""
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, spread = min(known), (max(known) - min(known))
    step = (width - 2 * _PADDING) / (len(values) - 1)
    commands, pen_down, last = [], False, (0.0, 0.0)
    for position, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        share = (float(value) - low) / spread if spread else 0.5
        last = (_PADDING + position * step, height - _PADDING - share * (height - 2 * _PADDING))
        commands.append(f"{'L' if pen_down else 'M'}{last[0]:.1f} {last[1]:.1f}")
        pen_down = True
    path = f'<path d="{" ".join(commands)}"/><circle cx="{last[0]:.1f}" cy="{last[1]:.1f}" r="2.2"/>'
    return f'<svg class="spark" viewBox="0 0 {width} {height}" {_role(label)}>{path}</svg>'


def score_line_svg(scores: Sequence[Number | None], *, low: int = 40, high: int = 100) -> str:
    """Return scores as a line on a fixed scale, so that rows of a table compare; "" below two that are known."""
    known = [score for score in scores if score is not None]
    if len(known) < 2:
        return ""
    step, points = 62 / (len(scores) - 1), []
    for position, score in enumerate(scores):
        if score is not None:
            share = min(max((float(score) - low) / (high - low), 0.0), 1.0)
            points.append((2 + position * step, 23 - share * 20))
    path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
    x, y = points[-1]
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>'
    return f'<svg class="spark8" viewBox="0 0 68 26" aria-hidden="true"><path d="{path}"/>{dot}</svg>'


def points_svg(points: Number | None, weight: Number, longest: Number = 28) -> str:
    """Return a bar as long as the weight, filled to the points; the rest is outlined. None: all of it is."""
    got, whole = max(float(points or 0), 0.0) / longest, min(float(weight) / longest, 1.0)
    lost = whole - got
    rest = f'<rect class="lost" x="{_percent(got)}" y="1" width="{_percent(lost)}" height="8" rx="2"/>'
    missing = rest if lost > 0.002 else ""
    filled = f'<rect class="got" y="0.5" width="{_percent(got)}" height="9" rx="2"/>' if got else ""
    return f'<svg class="pt" aria-hidden="true">{missing}{filled}</svg>'


def rungs_svg(step: int, rungs: int = 6) -> str:
    """Return the rungs of the ladder, filled up to and with `step` (0: the first)."""
    cells = "".join(
        f'<rect{" class=" + chr(34) + "on" + chr(34) if number <= step else ""} x="{number * 22}" y="0.5" width="19"'
        f' height="7" rx="2"/>'
        for number in range(rungs)
    )
    return f'<svg class="rungs" viewBox="0 0 132 8" aria-hidden="true">{cells}</svg>'


def share_svg(ratio: Number, *, label: str = "") -> str:
    """Return a bar filled to `ratio` (0 to 1, clipped)."""
    return (
        f'<svg class="share" {_role(label)}><rect class="b" width="100%" height="6" rx="3"/>'
        f'<rect class="f" width="{_percent(ratio)}" height="6" rx="3"/></svg>'
    )


def pace_svg(ratio: Number, mark: Number | None = None, *, label: str = "") -> str:
    """Return a bar filled to `ratio` with an upright mark, such as the planned share, at `mark` (both 0 to 1)."""
    upright = "" if mark is None else f'<line class="t" x1="{_percent(mark)}" x2="{_percent(mark)}" y1="0" y2="11"/>'
    return (
        f'<svg class="pace" {_role(label)}><rect class="b" y="2" width="100%" height="7" rx="3.5"/>'
        f'<rect class="f" y="2" width="{_percent(ratio)}" height="7" rx="3.5"/>{upright}</svg>'
    )


def interval_svg(low: Number, point: Number, high: Number, *, floor: Number = 0.0, label: str = "") -> str:
    """Return a dot at `point` with its range on an axis from `floor` to 1 (all ratios)."""
    span = (1 - floor) or 1
    left, middle, right = (_percent((value - floor) / span) for value in (low, point, high))
    return (
        f'<svg class="ci" {_role(label)}><line class="ax" x1="0" x2="100%" y1="11" y2="11"/>'
        f'<line class="r" x1="{left}" x2="{right}" y1="11" y2="11"/>'
        f'<circle class="p" cx="{middle}" cy="11" r="4.5"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class HeroBar:
    """Positions of the bar under a headline, in percent of its width, ready for the template."""

    used: str
    projected: str | None
    total: str | None
    low: str | None
    high: str | None
    ticks: tuple[str, ...]
    projected_anchor: str
    used_anchor: str
    total_anchor: str
    is_crowded: bool  # the words of used and total would run into each other


def hero_bar(
    used: Number,
    *,
    projected: Number | None = None,
    total: Number | None = None,
    low: Number | None = None,
    high: Number | None = None,
    ticks: Sequence[Number] = (),
) -> HeroBar:
    """Scale amounts of one currency to one bar; the scale leaves 8% of room beyond the total or the projection."""
    top = max(float(amount) for amount in (used, projected, total, high) if amount is not None)
    scale = (top * 1.08 if total else top * 1.02) or 1.0
    gap = 1.0 if total is None else abs(float(total) - float(used)) / scale

    def at(amount: Number | None) -> str | None:
        return None if amount is None else _percent(float(amount) / scale)

    return HeroBar(
        used=_percent(float(used) / scale),
        projected=at(projected),
        total=at(total),
        low=at(low),
        high=at(high),
        ticks=tuple(_percent(float(tick) / scale) for tick in ticks),
        projected_anchor="end" if projected is not None and float(projected) / scale > 0.3 else "start",
        used_anchor="end" if float(used) / scale > 0.3 else "start",
        total_anchor="start" if total is not None and float(total) / scale < 0.6 else "end",
        is_crowded=gap < 0.2,
    )


def _percent(ratio: Number) -> str:
    return f"{min(1.0, max(0.0, float(ratio))) * 100:.2f}%"


def _role(label: str) -> str:
    """Without a label the drawing is hidden from screen readers: the text beside it says it all."""
    return f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'

"""The retention page in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from consumption_cs.lib.display import counted, money_short, money_text, percent_text
from consumption_cs.lib.periods import add_months
from reviews.calc.retention import Retention
from reviews.reports.renewals import RenewalLine
from reviews.reports.retention import RetentionSeen
from usage.reports.overview_words import Fact, Words

ZERO, HUNDRED = Decimal(0), Decimal(100)


@dataclass(frozen=True, slots=True)
class LossRow:
    """One reason of a loss: in points of gross retention, in money, of how many accounts, by what; `is_real` loss."""

    name: str
    words: str
    points: Decimal
    amount: Decimal
    accounts: int
    evidence: str
    is_real: bool
    width: float  # of the widest row, 0 to 1


REASONS = {
    "churn": ("Churn", "Notice given, or no use for 60 days", True),
    "unexplained": ("Unexplained", "Fell with no cause written down", True),
    "assisted": ("Assisted hygiene", "We helped them spend less", False),
    "excused": ("Excused spikes", "Loops and faults that were credited", False),
    "price": ("Price", "Lower contract rate, same use", False),
}


def status(seen: RetentionSeen) -> tuple[str, str]:
    """Return the pill's words and tone, against the target of gross retention."""
    gross, target = seen.shown.gross_percent, Decimal(seen.terms.gross_target)
    if gross is None:
        return "Nothing to compare yet", "none"
    if gross >= target:
        return "Gross retention on target", "good"
    return f"Gross retention {target - gross:.1f} pt under target", "warn"


def headline(seen: RetentionSeen) -> list[Words]:
    """Customers spend 12.4% more than a year before; of the 8.8% lost, 5.0 points are real loss."""
    found = seen.shown
    if found.net_percent is None or found.gross_percent is None:
        return [Words("There are not enough closed months to compare yet.")]
    than = "than a year before" if seen.look_back else "than a quarter before"
    change = found.net_percent - HUNDRED
    much = f"{abs(change):.1f}% {'more' if change >= 0 else 'less'}"
    lost = HUNDRED - found.gross_percent
    said = [Words("Customers spend "), Words(much, strong=True), Words(f" {than}")]
    if lost <= 0:
        return [*said, Words("; nobody spends less.")]
    real = seen.real_loss or ZERO
    said += [Words("; of the "), Words(f"{lost:.1f}%", strong=True), Words(" lost, ")]
    return [*said, Words(f"{real:.1f} points", strong=True), Words(" are real loss.")]


def lead(seen: RetentionSeen, lines: Sequence[RenewalLine]) -> str:
    """What the rest is, and what lies ahead."""
    parts = []
    if seen.shown.gross_percent is not None and seen.real_loss is not None:
        excused = HUNDRED - seen.shown.gross_percent - seen.real_loss
        if excused > 0:
            parts.append("The rest is use we helped to trim, spikes we credited, and lower prices.")
    if not seen.look_back:
        parts.append(f"Looking back a whole year {seen.why_not}.")
    if lines:
        stake = sum((line.stake for line in lines), ZERO)
        differ = sum(line.disagrees for line in lines)
        dates = f"{counted(len(lines), 'date')} worth {money_text(stake, seen.currency, places=0)}"
        falls = "falls" if len(lines) == 1 else "fall"
        rest = f", and people and data disagree on {differ} of them" if differ else ""
        parts.append(f"{dates} {falls} in the next 180 days{rest}.")
    return " ".join(parts)


def facts(seen: RetentionSeen) -> list[Fact]:
    """The strip: net by three ways, gross consumed and committed."""
    gross_target, net_target = Decimal(seen.terms.gross_target), Decimal(seen.terms.net_target)
    back, quarter, year = seen.look_back, seen.quarter, seen.year_on_year
    return [
        _fact("Net retention, look-back", back.net_percent if back else None, net_target, seen.why_not),
        _fact("Net retention, run-rate", quarter.net_percent, net_target, "no quarter to compare with"),
        _fact("Net retention, year on year", year.net_percent if year else None, net_target, seen.year_why_not),
        _fact("Gross retention, consumed", seen.shown.gross_percent, gross_target, "nothing to compare"),
        _fact("Gross retention, committed", seen.committed, gross_target, "no commit ended in 12 months"),
    ]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to count gross retention: in percent, or None for `why_not`."""

    gross: Decimal | None
    name: str
    words: str
    why_not: str = ""


def ways(seen: RetentionSeen) -> list[Way]:
    """Gross retention every way that it is counted, each with its net and what it stands on."""
    end, quarter_start = seen.last_day, add_months(seen.until, -3)
    quarter = f"{quarter_start:%b} to {end:%b}"
    found = [
        _consumed("Look-back", seen.look_back, seen, f"24 months to {end:%b %Y}", seen.why_not),
        _consumed("Run-rate", seen.quarter, seen, f"{quarter} × 4, against the quarter before", "no quarter before"),
        _consumed(
            "Year on year", seen.year_on_year, seen, f"{quarter} × 4, against a year before: seasons cancel out",
            seen.year_why_not,
        ),
        Way(
            seen.committed,
            f"Committed{_net(seen.committed_net)}",
            f"Contracts that ended in 12 months: {money_short(seen.expired, seen.currency)}, "
            f"{counted(seen.contracts, 'commit')}",
            "no commit ended in 12 months",
        ),
    ]  # fmt: skip
    real, kept = seen.shown.gross_without_explained, seen.shown.gross_percent
    if real is not None and kept is not None and real != kept:
        basis = "Look-back" if seen.look_back else "Run-rate"
        name, points = "Consumed, real loss only", f"{real - kept:.1f}"
        found.append(Way(real, name, f"{basis} without the {points} points that evidence explains"))
    return found


def ways_headline(seen: RetentionSeen) -> str:
    """Renewals hold 3.1 points better than use does."""
    gross, signed = seen.shown.gross_percent, seen.committed
    if gross is None or signed is None:
        return "Gross retention, every way it is counted"
    apart = signed - gross
    if abs(apart) < Decimal("0.05"):
        return "Renewals hold as well as use does"
    return f"Renewals hold {abs(apart):.1f} points {'better' if apart > 0 else 'worse'} than use does"


def _consumed(name: str, found: Retention | None, seen: RetentionSeen, words: str, why_not: str) -> Way:
    if found is None or found.gross_percent is None:
        return Way(None, f"Consumed, {name.lower()}", words, why_not)
    base = f"{money_short(found.base, seen.currency)} base, {counted(found.accounts, 'account')}"
    return Way(found.gross_percent, f"Consumed, {name.lower()}{_net(found.net_percent)}", f"{words}. {base}")


def _net(percent: Decimal | None) -> str:
    return "" if percent is None else f": net {percent:.1f}%"


def _fact(label: str, percent: Decimal | None, target: Decimal, none: str) -> Fact:
    if percent is None:
        return Fact(label, "Not known yet", none, none=True)
    tone = "good" if percent >= target else "warn"
    return Fact(label, percent_text(percent / HUNDRED), f"target {target.normalize():f}%", tone=tone)


def loss_headline(seen: RetentionSeen) -> str:
    """More than half of the 4.3 points lost is real: churn and unexplained falls."""
    gross, real = seen.shown.gross_percent, seen.real_loss
    if gross is None or real is None:
        return "Nothing to compare yet"
    lost = HUNDRED - gross
    if lost <= 0:
        return "Nothing was lost"
    share = real / lost
    much = "All" if share >= 1 else "Most" if share > Decimal("0.5") else "Half or less" if share > 0 else "None"
    return f"{much} of the {lost:.1f} points lost is real loss"


def loss_parts(seen: RetentionSeen) -> list[tuple[str, Decimal]]:
    """Return the points that were kept, lost with an explanation, and really lost; together 100."""
    gross, real = seen.shown.gross_percent, seen.real_loss
    if gross is None or real is None:
        return []
    return [("kept", gross), ("explained", HUNDRED - gross - real), ("real loss", real)]


def loss_rows(seen: RetentionSeen) -> list[LossRow]:
    """Return the reasons, the largest first; together exactly what was lost."""
    found = seen.shown
    base, widest = found.base, max(found.loss.values(), default=ZERO)
    rows = []
    for key, (name, words, is_real) in REASONS.items():
        amount = found.loss.get(key, ZERO)
        points = amount * HUNDRED / base if base > 0 else ZERO
        rows.append(
            LossRow(
                name, words, points, amount, found.losers.get(key, 0), _evidence(seen, key), is_real,
                float(amount / widest) if widest else 0.0,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: -row.amount)


def _evidence(seen: RetentionSeen, key: str) -> str:
    """What shows the reason: 2 notices; what was written down; nothing yet."""
    if key == "unexplained":
        return "no cause written down" if seen.shown.losers.get(key) else "none"
    if key == "churn":
        notices = seen.evidence.pieces.get("churn", 0) + seen.evidence.pieces.get("merged", 0)
        return counted(notices, "notice") if notices else "no use" if seen.shown.losers.get(key) else "none"
    pieces = seen.evidence.pieces.get(key, 0)
    return f"{counted(pieces, 'piece')} of evidence" if pieces else "none"


@dataclass(frozen=True, slots=True)
class LossBar:
    """What was kept, explained and lost, from `start` points to 100; `parts` are (swatch, x, width) in percent."""

    start: int
    parts: tuple[tuple[str, str, str], ...]
    words: str


def loss_bar(seen: RetentionSeen) -> LossBar | None:
    """Return the bar of the loss, cut where the kept part is about a quarter of it; None where nothing was lost."""
    found = loss_parts(seen)
    lost = HUNDRED - found[0][1] if found else ZERO
    if lost <= 0:
        return None
    start = int(max(ZERO, HUNDRED - lost * 4 / 3))
    whole, at, parts = HUNDRED - start, ZERO, []
    for swatch, (_, points) in zip(("used", "proj", "lost"), found, strict=True):
        width = max((points - start if swatch == "used" else points) * HUNDRED / whole, ZERO)
        parts.append((swatch, f"{at:.2f}%", f"{width:.2f}%"))
        at += width
    told = ", ".join(f"{points:.1f} {name}" for name, points in found)
    return LossBar(start, tuple(parts), f"Of 100 points of base revenue, {told}. Shown from {start} to 100.")

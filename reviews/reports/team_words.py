"""The team's page in sentences."""

from decimal import Decimal

from consumption_cs.lib.display import counted, listed, money_text, percent_text
from reviews.reports.team import FULL, PersonLoad, Team
from usage.reports.overview_words import Fact, Words

ZERO = Decimal(0)


def status(seen: Team) -> tuple[str, str]:
    """Return the pill's words and tone."""
    if seen.over:
        count = len(seen.over)
        return f"{count} {'person' if count == 1 else 'people'} over capacity", "warn"
    if not any(one.percent is not None for one in seen.people):
        return "No hours entered", "none"
    return "Nobody over capacity", "good"


def headline(seen: Team) -> list[Words]:
    """Priya has 112% of the hours there are, Sam 61%."""
    known = [one for one in seen.people if one.percent is not None]
    if not known:
        return [Words("Say how many hours people have, and this page tells whose week is full.")]
    first, last = known[0], known[-1]
    said = [Words(f"{first.user}’s accounts ask for "), Words(_percent(first), strong=True), Words(" of the week")]
    if len(known) > 1:
        said += [Words(f", {last.user}’s for "), Words(_percent(last), strong=True)]
    return [*said, Words(".")]


def lead(seen: Team) -> str:
    """Who is away, whose accounts nobody has, and which tiers have no hours."""
    parts = [f"{one.user} is away and {one.away.covered_by} covers." for one in seen.people if one.away]
    nobody = next((one for one in seen.people if one.user is None), None)
    if nobody is not None and nobody.accounts:
        has = "has" if len(nobody.accounts) == 1 else "have"
        parts.append(f"{counted(len(nobody.accounts), 'account')} {has} no CSM.")
    if seen.tiers_without_hours:
        parts.append(f"No hours are set for {listed(seen.tiers_without_hours)}: such accounts count as none.")
    return " ".join(parts)


def facts(seen: Team) -> list[Fact]:
    """The strip: hours asked and there, money at risk, and how concentrated the organization is."""
    asked = sum((one.asked for one in seen.people), ZERO)
    there = sum((one.available or ZERO for one in seen.people if one.away is None), ZERO)
    found = [
        Fact("Accounts", str(seen.accounts), f"{counted(sum(one.plays for one in seen.people), 'open play')}"),
        Fact("Hours asked a week", f"{asked.normalize():f}", f"of {there.normalize():f} there are"),
        _risk(seen),
    ]
    if seen.spreads:
        first = seen.spreads[0]
        rest = f"{first.found.effective:.1f} effective accounts, {first.currency}"
        found.append(Fact("Largest account", percent_text(first.found.top_share), rest))
    else:
        found.append(Fact("Largest account", "Not known yet", "no spend in 28 days", none=True))
    return found


def _risk(seen: Team) -> Fact:
    totals: dict[str, Decimal] = {}
    for one in seen.people:
        for code, amount in one.at_risk.items():
            totals[code] = totals.get(code, ZERO) + amount
    if not totals:
        return Fact("At risk", "Nothing", "as of last night", none=True)
    (code, amount), *more = sorted(totals.items(), key=lambda item: -item[1])
    return Fact("At risk", money_text(amount, code, places=0), listed([money_text(a, c, places=0) for c, a in more]))


def _percent(one: PersonLoad) -> str:
    return percent_text((one.percent or ZERO) / FULL, places=0)

"""The book in sentences, and the bar of what is at risk."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from consumption_cs.lib.display import counted, money_short, money_text, percent_text
from reviews.calc.queue import LATER, TODAY, WEEK
from reviews.reports.queue import Queue

ZERO, HUNDRED = Decimal(0), Decimal(100)
NAMED = Decimal(10)  # percent of the bar that a name needs


@dataclass(frozen=True, slots=True)
class Slice:
    """One stake on the bar: where it begins and how wide it is, in percent; `name` "" if there is no room."""

    x: float
    width: float
    css: str
    name: str
    amount: str
    end: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Today, this week or later on the bar: where its words begin, and what they say."""

    x: float
    amount: str
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class BookWords:
    """`headline` is in parts: (text, is strong)."""

    headline: list[tuple[str, bool]]
    lead: str
    slices: list[Slice]
    stretches: list[Stretch]
    bar: str


def book_words(found: Queue, now: datetime) -> BookWords:
    """Return the sentences of a queue and its bar in the main currency."""
    slices, stretches, label = _bar(found)
    return BookWords(_headline(found), _lead(found), slices, stretches, label)


def sum_words(amounts: Mapping[str, Decimal], *, short: bool = False) -> str:
    """Amounts of several currencies, one after the other; "nothing" without any."""
    said = [
        money_short(amount, code) if short else money_text(amount, code, places=0) for code, amount in amounts.items()
    ]
    return " + ".join(said) or "nothing"


def _headline(found: Queue) -> list[tuple[str, bool]]:
    whose = "your " if found.filters.owner == "me" else ""
    if not found.everything:
        return [("No accounts yet.", False)]
    if not found.today_accounts:
        return [("Nobody", True), (f" of {whose}{counted(found.everything, 'account')} needs you today.", False)]
    needs = "needs" if found.today_accounts == 1 else "need"
    return [
        (str(found.today_accounts), True),
        (f" of {whose}{counted(found.everything, 'account')} {needs} you today; ", False),
        (sum_words(found.today_at_risk, short=True), True),
        (" at risk.", False),
    ]


def _lead(found: Queue) -> str:
    if not found.everything:
        return "Import your accounts, or ask for some to be given to you."
    parts = []
    if found.first is not None and found.first.sentence:
        parts.append(f"Start with {found.first.account.name}: {_begin(found.first.sentence)}")
    waiting = found.everything - found.on_track - found.snoozed - found.today_accounts
    calm = f"{found.on_track} {'is' if found.on_track == 1 else 'are'} on track."
    parts.append(f"{counted(waiting, 'more account')} can wait; {calm}" if waiting else calm)
    if found.at_risk:
        parts.append(f"In all, {sum_words(found.at_risk)} is at risk.")
    return " ".join(parts)


def _begin(sentence: str) -> str:
    first = sentence.split(" ", 1)[0]
    plain = {"The", "No", "Nobody", "Use", "Drawing", "Commit", "Renews", "They", "A", "One"}
    return sentence[0].lower() + sentence[1:] if first in plain else sentence


def _bar(found: Queue) -> tuple[list[Slice], list[Stretch], str]:
    total = sum((stake.amount for stake in found.stakes), ZERO)
    if total <= 0:
        return [], [], ""
    slices, x = [], ZERO
    css = {TODAY: "used", WEEK: "proj", LATER: "later"}
    for stake in found.stakes:
        width = stake.amount * HUNDRED / total
        name = stake.name.split(" ")[0] if width >= NAMED else ""
        amount = money_short(stake.amount, found.currency) if name else ""
        kind = css.get(stake.group, "later")
        slices.append(Slice(float(x), float(width), kind, name, amount, float(x + width)))
        x += width
    stretches, said, x = [], [], ZERO
    for group, words in ((TODAY, "today"), (WEEK, "this week"), (LATER, "later")):
        own = sum((stake.amount for stake in found.stakes if stake.group == group), ZERO)
        if own > 0:
            share = own / total
            end = x + share * 100
            at_end = end >= 99 and x > 80
            stretches.append(
                Stretch(
                    100.0 if at_end else float(x),
                    money_text(own, found.currency, places=0),
                    f" {words}, {percent_text(share, places=0)}",
                    "end" if at_end else "start",
                )
            )
            said.append(f"{money_text(own, found.currency, places=0)} {words}")
            x = end
    return slices, stretches, f"{money_text(total, found.currency, places=0)} at risk: {', '.join(said)}."

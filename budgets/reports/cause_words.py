"""The cause card in words: its parts, its signs and its verdict."""

from dataclasses import fields
from decimal import Decimal

from budgets.calc.cause import Causes, Split
from budgets.calc.verdict import Sign, Verdict, Window
from consumption_cs.lib.display import counted, percent_text, quantity_text

PARTS = {
    "price": ("Price", "Paid for each unit, tiers included"),
    "volume": ("Volume", "More or fewer different tasks"),
    "efficiency": ("Efficiency", "Units used by each attempt"),
    "reliability": ("Reliability", "Attempts needed for each task: repeats and failures"),
    "mix": ("Mix", "Dearer or cheaper work of the whole"),
    "started": ("Started", "Work that was not there before"),
    "stopped": ("Stopped", "Work that is not there any more"),
    "other": ("Corrections", "Booked without use: refunds, and what was found late"),
}
UNCHANGED = {
    "price": "Unchanged: each unit cost what it usually does",
    "volume": "As much different work as usual",
    "efficiency": "As many units for each attempt as usual",
    "reliability": "As many attempts for each task as usual",
    "mix": "The same blend of work as usual",
}
ALWAYS = ("price", "volume", "efficiency", "reliability", "mix")
SIGNS = {
    "attempts_per_task": "Attempts per task",
    "success_rate": "Success rate",
    "tasks": "Different tasks",
    "source_share": "Of the extra, by one key or version",
    "workflow_share": "Of the extra, by one workflow",
    "first_hour": "First hour, times the usual",
    "sources": "Keys and versions in use",
    "quiet_hours": "Of the extra, in the quieter hours",
    "ramp": "First hours’ extra to the last hours’",
}
VERDICTS = {
    "loop": "A loop, not growth",
    "growth": "Growth, not a loop",
    "unclear": "Signs of both growth and a loop",
    "too_little": "Too little data to tell growth from a loop",
}


def part_lines(split: Split, currency: str, usual: Window, now: Window) -> list[dict[str, str]]:
    """Return the parts that are shown, with what stands behind them in figures where there are some."""
    found = {part.name: getattr(split.parts, part.name) for part in fields(Causes)}
    behind = {"volume": _tasks(usual, now), "reliability": _repeats(usual, now)}
    return [
        {
            "name": name,
            "label": PARTS[name][0],
            "words": behind.get(name) or (PARTS[name][1] if amount else UNCHANGED.get(name, PARTS[name][1])),
            "amount": f"{amount:f}",
        }
        for name, amount in found.items()
        if amount or name in ALWAYS
    ]


def _tasks(usual: Window, now: Window) -> str:
    more = now.tasks - usual.tasks
    if not usual.tasks or abs(more) < 1:
        return ""
    return f"{quantity_text(abs(more), places=0)} {'more' if more > 0 else 'fewer'} different tasks than usual"


def _repeats(usual: Window, now: Window) -> str:
    repeats, before = (max(window.attempts - window.tasks, Decimal(0)) for window in (now, usual))
    if repeats < 1 and before < 1:
        return ""
    words = f"{quantity_text(repeats, places=0)} repeat attempts, usually {quantity_text(before, places=0)}"
    if now.finished <= 0:
        return words
    return f"{words}; {quantity_text(now.successes)} of {quantity_text(now.finished)} succeeded"


def sign_lines(found: Verdict) -> list[dict[str, str | None]]:
    """Return what was seen, now and as usual, and what it speaks for."""
    return [
        {
            "label": SIGNS[sign.name],
            "now": _figure(sign, sign.now),
            "usual": _figure(sign, sign.usual),
            "says": sign.says,
        }
        for sign in found.signs
    ]


def _figure(sign: Sign, value: Decimal | None) -> str | None:
    if value is None:
        return None
    if sign.name in ("success_rate", "source_share", "workflow_share", "quiet_hours"):
        return percent_text(value)
    return quantity_text(value, places=1 if sign.name not in ("tasks", "sources") else 0)


def verdict_words(found: Verdict) -> str:
    """Return the verdict, and how many of the signs say so."""
    words = VERDICTS[found.kind]
    if found.kind in ("loop", "growth"):
        return f"{words}: {found.agreeing} of {counted(len(found.signs), 'sign')} say so"
    return words

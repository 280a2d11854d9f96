"""The cause card in words: its parts, its signs and its verdict."""

from dataclasses import fields
from decimal import Decimal

from budgets.calc.cause import Causes, Sign, Split, Verdict
from consumption_cs.lib.display import counted, percent_text, quantity_text

PARTS = {
    "price": ("Price", "Paid for each unit, tiers included"),
    "volume": ("Volume", "More or fewer different tasks"),
    "efficiency": ("Efficiency", "Units used by each attempt"),
    "reliability": ("Reliability", "Attempts needed for each task: repeats and failures"),
    "mix": ("Mix", "Dearer or cheaper work of the whole"),
    "started": ("Started", "Work that was not there before"),
    "stopped": ("Stopped", "Work that is not there any more"),
    "other": ("Corrections", "Lines whose corrections outweigh what they used"),
}
ALWAYS = ("price", "volume", "efficiency", "reliability", "mix")
SIGNS = {
    "attempts_per_task": "Attempts per task",
    "success_rate": "Success rate",
    "tasks": "Different tasks",
    "source_share": "Of the extra, by one key or version",
    "workflow_share": "Of the extra, by one workflow",
    "first_hour": "First hour, times the usual",
}
VERDICTS = {
    "loop": "A loop, not growth",
    "growth": "Growth, not a loop",
    "unclear": "Signs of both growth and a loop",
    "too_little": "Too little data to tell growth from a loop",
}


def part_lines(split: Split, currency: str) -> list[dict[str, str]]:
    """Return the parts that are shown, each with its share of the largest for a bar."""
    found = {part.name: getattr(split.parts, part.name) for part in fields(Causes)}
    most = max((abs(amount) for amount in found.values()), default=Decimal(0))
    return [
        {
            "name": name,
            "label": PARTS[name][0],
            "words": PARTS[name][1],
            "amount": f"{amount:f}",
            "share": f"{abs(amount) / most:.4f}" if most else "0",
        }
        for name, amount in found.items()
        if amount or name in ALWAYS
    ]


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
    if sign.name in ("success_rate", "source_share", "workflow_share"):
        return percent_text(value)
    return quantity_text(value, places=1 if sign.name != "tasks" else 0)


def verdict_words(found: Verdict) -> str:
    """Return the verdict, and how many of the signs say so."""
    words = VERDICTS[found.kind]
    if found.kind in ("loop", "growth"):
        return f"{words}: {found.agreeing} of {counted(len(found.signs), 'sign')} say so"
    return words

"""A frozen cause card as it is drawn: bars on one scale, a heading that says what was found, and what to compare."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from budgets.models import Alert
from consumption_cs.lib.display import listed, money_text, percent_text

ZERO, HUNDRED = Decimal(0), Decimal(100)
_PAID_FOR = {
    "price": "is price",
    "volume": "is more work",
    "efficiency": "is more units for each attempt",
    "reliability": "paid for repeat attempts",
    "mix": "is dearer work",
    "started": "is work that is new",
    "other": "is corrections",
}
_SAVED_BY = {
    "price": "lower prices",
    "volume": "less work",
    "efficiency": "fewer units for each attempt",
    "reliability": "fewer repeat attempts",
    "mix": "cheaper work",
    "stopped": "work that stopped",
    "other": "corrections",
}
ENOUGH = Decimal("0.8")


def cause_shown(card: Mapping[str, Any], alert: Alert | None = None) -> dict[str, Any]:
    """Return the card with `bridge` (its rows with bars), `finding`, `carriers`, `story` and `others`."""
    return {
        **card,
        "bridge": bridge_rows(card),
        "finding": finding(card),
        "carriers": carriers(card),
        "story": story(card, alert) if alert else "",
        "others": [one for one in card.get("by", []) if one["name"] != "workflow" and len(one["values"]) > 1],
    }


def bridge_rows(card: Mapping[str, Any], opening: str = "Usual", closing: str = "Spent") -> list[dict[str, Any]]:
    """Return the rows of the bridge: each bar begins where the one before ended, in percent of one scale."""
    at, lines = Decimal(card["opening"]), []
    spans = [(ZERO, at)]
    for part in card["parts"]:
        amount = Decimal(part["amount"])
        spans.append((at, at + amount))
        at += amount
    spans.append((ZERO, Decimal(card["closing"])))
    low, high = min(min(span) for span in spans), max(max(span) for span in spans)
    scale = (high - low) or Decimal(1)
    parts = [
        {"label": opening, "words": "", "amount": card["opening"], "bar": "base", "is_total": True},
        *({**part, "bar": "up" if Decimal(part["amount"]) > 0 else "dn", "is_total": False} for part in card["parts"]),
        {"label": closing, "words": times_words(card), "amount": card["closing"], "bar": "tot", "is_total": True},
    ]
    for part, (start, end) in zip(parts, spans, strict=True):
        width = abs(end - start) * HUNDRED / scale
        place = min((min(start, end) - low) * HUNDRED / scale, Decimal("99.6"))
        bar = "zero" if start == end else part["bar"]
        lines.append({**part, "bar": bar, "x": f"{place:.2f}%", "width": f"{max(width, Decimal('0.4')):.2f}%"})
    return lines


def times_words(card: Mapping[str, Any]) -> str:
    """Return how many times the usual it is."""
    opening, closing = Decimal(card["opening"]), Decimal(card["closing"])
    if opening <= 0 or closing < 0:
        return ""
    ratio = closing / opening
    return "As much as usual" if ratio == 1 else f"{ratio:.1f} times the usual" if ratio >= 2 else _percent(ratio)


def _percent(ratio: Decimal) -> str:
    return f"{percent_text(abs(ratio - 1), places=0)} {'more' if ratio > 1 else 'less'} than usual"


def finding(card: Mapping[str, Any]) -> str:
    """Return the card's heading: "$121.40 of the extra $127.00 paid for repeat attempts"."""
    difference, currency = Decimal(card["difference"]), card["currency"]
    if not difference:
        return "It cost what is usual"
    sign = 1 if difference > 0 else -1
    words = _PAID_FOR if sign > 0 else _SAVED_BY
    parts = {part["name"]: sign * Decimal(part["amount"]) for part in card["parts"] if part["name"] in words}
    name = max(parts, key=lambda one: parts[one])
    whole, most = (money_text(abs(amount), currency) for amount in (difference, parts[name]))
    if sign > 0:
        if parts[name] > difference:
            return f"{most} {words[name]}, and other things saved a part: {whole} extra"
        return f"{most} of the extra {whole} {words[name]}"
    return f"{whole} less than usual, most of it by {words[name]}"


def carriers(card: Mapping[str, Any]) -> str:
    """Return the heading of the table: who carries the difference."""
    difference = Decimal(card["difference"])
    if not difference or not card["rows"]:
        return "Who carries the difference"
    first = card["rows"][0]
    share = Decimal(first["difference"]) / difference
    name = listed([first["workflow"], first["group"]]) if first["group"] else first["workflow"]
    whose = "extra" if difference > 0 else "difference"
    if share > 1:
        return f"{name} carries all of the {whose}"
    if share >= ENOUGH:
        return f"{name} carries {percent_text(share, places=0)} of the {whose}"
    return f"The {whose} is spread; most is carried by {first['workflow']} ({percent_text(share, places=0)})"


def story(card: Mapping[str, Any], alert: Alert) -> str:
    """Return why the card's difference is not the one the alert was raised on; nothing when it is, to the cent."""
    told = alert.numbers.get("impact")
    if told is None:
        return ""
    places = Decimal(card["difference"]).as_tuple().exponent
    impact = Decimal(str(told)).quantize(Decimal(1).scaleb(int(places)))
    if impact == Decimal(card["difference"]):
        return ""
    whose = "only " + alert.workflow.name if card.get("workflow_id") and alert.workflow else "the whole account"
    return (
        f"The alert was raised on {money_text(impact, card['currency'], signed=True)}: what the detector expected of"
        f" these hours, hour by hour. The split compares {whose} with one real week, the middle one, so that every"
        " cent can be followed."
    )

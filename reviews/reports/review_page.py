"""A value review's content as it is shown: every figure in words, every bar in percent of its scale.

The web page, the paper, the slides and the workbook read this one description, so that they cannot differ. It takes
the frozen content and nothing else: what it returns for a review never changes.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from consumption_cs.lib.display import (
    counted,
    money_text,
    percent_text,
    unit_price_text,
)
from consumption_cs.lib.periods import zone_of
from reviews.calc.production import LADDER
from reviews.reports.review_format import (
    ZERO,
    arrow,
    count,
    long_date,
    moment_of,
    money,
    number_word,
    percent_number,
    place_of,
    thousand_of,
    to_day,
    tone_of,
    width_of,
)
from reviews.reports.review_page_spend import spend_card
from usage.reports.overview_words import short_date

SHORT_HASH = 8
_HEADINGS = {
    "goals": "What you set out to do",
    "bridge": "What changed the cost of an outcome",
    "success": "Success of each workflow",
    "spend": "What was spent",
    "incidents": "What went wrong",
    "values": "What it was worth",
    "savings": "What can be saved",
    "next": "What comes next",
}
_VALUE_STATES = {
    "confirmed": ("Confirmed", "good"),
    "declined": ("Declined", "bad"),
    "proposed": ("Not confirmed", "warn"),
}


def shown(content: Mapping[str, Any], hash_: str = "") -> dict[str, Any]:
    """Return what a page of the content shows; `hash_` is empty for a draft."""
    figures = content["figures"]
    words = content["narrative"]
    account, period = figures["account"], figures["period"]
    zone = zone_of(account["timezone"])
    sections = {
        "goals": _goals(figures),
        "bridge": _bridge(figures, content),
        "success": _success(figures),
        "spend": spend_card(figures),
        "incidents": _incidents(figures),
        "values": _values(figures),
        "savings": _savings(figures),
        "next": _next(figures),
    }
    return {
        "name": f"Value review {content['number']}" if content.get("number") else "Draft",
        "number": content.get("number"),
        "before_number": content.get("before_number"),
        "account": account["name"],
        "organization": figures["organization"]["name"],
        "currency": account["currency"],
        "period": period["label"],
        "period_short": period["short"],
        "before_short": figures["before"]["short"],
        "as_of": moment_of(figures["as_of"], zone),
        "hash": hash_,
        "short_hash": hash_[:SHORT_HASH],
        "headline": words.get("headline", ""),
        "lead": words.get("lead", ""),
        "closing": words.get("closing", ""),
        "bars": _bars(figures),
        "facts": _facts(figures),
        "sections": {
            key: {"key": key, "heading": words.get(key) or _HEADINGS[key], **found}
            for key, found in sections.items()
            if found and key not in content.get("hidden", [])
        },
        "trust": figures["trust"]["words"],
        "published_by": content.get("published_by", ""),
        "published_at": moment_of(content["published_at"], zone) if content.get("published_at") else "",
        "signers": content.get("signers", []),
    }


def margin_text(content: Mapping[str, Any], hash_: str) -> str:
    """Return what stands at the foot of every printed page."""
    figures = content["figures"]
    as_of = datetime.fromisoformat(figures["as_of"]).astimezone(zone_of(figures["account"]["timezone"]))
    return (
        f"Value review {content['number']} · {figures['account']['name']} · "
        f"as of {long_date(as_of.date())} · hash {hash_[:SHORT_HASH]}"
    )


def _bars(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """The two bars under the headline: outcomes for each 1,000 of the currency, before and now, on one scale."""
    totals, thousand = figures["totals"], thousand_of(figures)
    now, before = totals["per_money"], totals["per_money_before"]
    if now is None or before is None:
        return None
    most = max(Decimal(now), Decimal(before), Decimal(1))
    return {
        "before_width": width_of(Decimal(before) / most), "now_width": width_of(Decimal(now) / most),
        "before": count(before), "now": count(now),
        "before_words": f"{count(before)} {figures['before']['short']}",
        "now_words": f"{count(now)} {totals['unit']} per {thousand}, {figures['period']['short']}",
        "words": f"{totals['unit'].capitalize()} per {thousand}: {count(before)} in {figures['before']['label']},"
        f" {count(now)} in {figures['period']['label']}.",
    }  # fmt: skip


def _facts(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    totals, currency, spend = figures["totals"], figures["account"]["currency"], figures["spend"]
    change, unit = totals["outcomes_change"], totals["unit"]
    cost, cost_before = totals["per_thousand"], totals["per_thousand_before"]
    moved = Decimal(cost) / Decimal(cost_before) - 1 if cost and cost_before and Decimal(cost_before) else None
    worth = totals["confirmed_value"]
    return [
        {
            "label": f"Successful {unit}",
            "value": count(totals["outcomes"]) if Decimal(totals["outcomes"]) else "None",
            "note": f"{arrow(Decimal(change))} on {figures['before']['short']}" if change else "",
            "tone": tone_of(Decimal(change), good_up=True) if change else "",
        },
        {
            "label": f"Cost per 1,000 {unit}",
            "value": money(cost, currency, cents=True) if cost else "No outcomes",
            "note": f"{arrow(moved)} from {money(cost_before, currency, cents=True)}" if moved is not None else "",
            "tone": tone_of(moved, good_up=False) if moved is not None else "",
        },
        {
            "label": "Spend",
            "value": money(totals["spend"], currency),
            "note": f"of {money(spend['budget'], currency)} budget" if spend["budget"] else "no budget of these days",
        },
        {
            "label": "Confirmed value",
            "value": money(worth, currency) if worth else "Not counted yet",
            "note": f"{money(totals['return'], currency, cents=True)} per {money('1', currency)}" if worth else "",
        },
    ]


def _goals(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    rows = figures["objectives"]
    if not rows:
        return None
    tones = {"reached": "good", "on_track": "info", "behind": "warn", "unknown": "none"}
    names = {"reached": "Reached", "on_track": "On track", "behind": "Behind", "unknown": "Not measured"}
    reached = sum(row["state"] == "reached" for row in rows)
    return {
        "sub": f"{reached} of {counted(len(rows), 'objective')} reached by {long_date(to_day(figures['as_of']))}.",
        "rows": [
            {
                "title": row["title"], "value": row["value"], "target": row["target"], "start": row.get("start") or "",
                "state": names[row["state"]], "tone": tones[row["state"]],
                "width": width_of(max(min(Decimal(row["share"] or 0), Decimal(1)), ZERO)),
                "share": percent_text(Decimal(row["share"]), places=0) if row["share"] is not None else "not measured",
            }
            for row in rows
        ],
    }  # fmt: skip


def _bridge(figures: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    bridge, currency, unit = figures["bridge"], figures["account"]["currency"], figures["totals"]["unit"]
    if bridge is None:
        return {"missing": figures["bridge_missing"], "rows": []}
    amounts = [Decimal(part["amount"]) for part in bridge["parts"]]
    opening, closing = Decimal(bridge["opening"]), Decimal(bridge["closing"])
    at, spans = opening, [(opening, opening)]
    for amount in amounts:
        spans.append((at, at + amount))
        at += amount
    spans.append((closing, closing))
    low, high = min(min(span) for span in spans), max(max(span) for span in spans)
    room = (high - low) * Decimal("0.08") or max(abs(high), Decimal(1)) / 10
    low, high = low - room, high + room
    moved = closing - opening
    share = f", {percent_text(moved / opening, signed=True)}" if opening else ""
    before = content.get("before_number")
    steps = [
        {"label": figures["before"]["short"], "amount": opening, "why": f"Value review {before}" if before else ""},
        *({**part, "amount": amount} for part, amount in zip(bridge["parts"], amounts, strict=True)),
        {"label": figures["period"]["short"], "amount": closing,
         "why": f"{money_text(moved, currency, signed=True)}{share}"},
    ]  # fmt: skip
    last = len(steps) - 1
    axis = place_of(opening, low, high)
    return {
        "missing": "",
        "sub": f"Cost per 1,000 {unit}, from {money_text(opening, currency)} to {money_text(closing, currency)}."
        f" The {number_word(len(amounts))} parts add up exactly.",
        "scale": f"{money_text(low, currency, places=0)} to {money_text(high, currency, places=0)} per 1,000",
        "axis": axis,
        "rows": [
            {
                "label": step["label"], "why": step["why"], "is_total": number in (0, last), "number": step["amount"],
                "amount": money_text(step["amount"], currency, signed=number not in (0, last)),
                "tone": "" if number in (0, last) else tone_of(step["amount"], good_up=False),
                "x": place_of(min(spans[number]), low, high), "mark": place_of(spans[number][1], low, high),
                "width": width_of(max(abs(spans[number][1] - spans[number][0]) / (high - low), Decimal("0.004"))),
            }
            for number, step in enumerate(steps)
        ],
        "columns": [part["label"] for part in bridge["parts"]],
        "workflows": [
            {
                "name": row["name"],
                "amounts": [money_text(Decimal(row["parts"][part["key"]]), currency, signed=True)
                            for part in bridge["parts"]],
                "numbers": [Decimal(row["parts"][part["key"]]) for part in bridge["parts"]],
                "total": money_text(Decimal(row["total"]), currency, signed=True), "number": Decimal(row["total"]),
            }
            for row in bridge["workflows"]
        ],
        "sums": [money_text(amount, currency, signed=True) for amount in amounts],
        "total": money_text(moved, currency, signed=True),
    }  # fmt: skip


def _success(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    rows = figures["success"]
    if not rows:
        return None
    known = [Decimal(row[key]) for row in rows for key in ("rate", "rate_before", "low", "target") if row[key]]
    low = max(min(known, default=ZERO) - Decimal("0.01"), ZERO)
    low = (low * 50).to_integral_value(rounding="ROUND_FLOOR") / 50
    high = Decimal(1)
    return {
        "sub": "Successful ÷ finished attempts, cancelled ones left out."
        f" Hollow: {figures['before']['short']}. Solid: {figures['period']['short']}.",
        "scale": f"{percent_text(low, places=0)} to 100%, tick at the target",
        "rows": [_success_row(row, low, high) for row in rows],
    }


def _success_row(row: Mapping[str, Any], low: Decimal, high: Decimal) -> dict[str, Any]:
    places = {
        key: place_of(Decimal(row[key]), low, high) if row[key] else ""
        for key in ("rate", "rate_before", "low", "high", "target")
    }
    return {
        "name": row["name"],
        "attempts": counted(row["attempts"], "attempt"),
        "before": percent_text(Decimal(row["rate_before"])) if row["rate_before"] else "",
        "rate": percent_text(Decimal(row["rate"])) if row["rate"] else "",
        "range": f"{percent_number(row['low'])} – {percent_number(row['high'])}" if row["low"] else "",
        "target": percent_text(Decimal(row["target"])) if row["target"] else "",
        "missing": row["missing"] or "",
        "why": row["why"],
        "at": places,
    }


def _side(row: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Whose side caused it. Reviews from before that was looked at say nothing of it."""
    if "side_why" not in row:
        return ""
    whose = {"vendor": f"On the side of {figures['organization']['name']}", "customer": "On your side"}
    said = whose.get(row["side"])
    return f"{said}: {row['side_why']}." if said else "Whose side caused it is not told apart."


def _incidents(figures: Mapping[str, Any]) -> dict[str, Any]:
    currency = figures["account"]["currency"]
    rows = [
        {
            "amount": money(row["cost"], currency), "title": f"{row['day']}, {row['title']}",
            "detail": " ".join(
                filter(None, [row["detail"], _side(row, figures), _credited(row["credited"], currency)])
            ),
        }
        for row in figures["incidents"]
    ]  # fmt: skip
    credit = Decimal(figures["incident_credit"])
    less = f", less {money(figures['incident_credit'], currency)} credited" if credit else ""
    return {
        "sub": f"{figures['period']['label']}, at your contract rate",
        "rows": rows,
        "missing": "" if rows else "No spike, leak or passed budget was told in this period.",
        "net_label": f"Cost {money(figures['incident_cost'], currency)}{less}",
        "net": money(figures["incident_net"], currency),
    }


def _credited(amount: str, currency: str) -> str:
    return f"{money(amount, currency)} was credited." if Decimal(amount) else ""


def _values(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    currency, totals = figures["account"]["currency"], figures["totals"]
    rows = figures["values"]
    if not rows:
        return None
    return {
        "sub": f"Only values confirmed by {figures['account']['name']} are counted. Spend includes all workflows.",
        "rows": [_value_row(row, currency) for row in rows],
        "total": money(totals["confirmed_value"], currency) if totals["confirmed_value"] else "Not counted yet",
        "return": money(totals["return"], currency, cents=True) if totals["return"] else "",
        "one": money("1", currency),
    }


def _value_row(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    each = f" × {unit_price_text(Decimal(row['value_each']), currency)}" if row["value_each"] else ""
    names = {
        "confirmed": ("Confirmed", "good"),
        "declined": ("Declined", "bad"),
        "proposed": ("Not confirmed", "warn"),
    }
    state, tone = names.get(row["state"], ("No value proposed", "none"))
    who = ", ".join(filter(None, [row["who"], short_date(to_day(row["on"])) if row["on"] else ""]))
    unit = row["unit"] if Decimal(row["outcomes"]) != 1 else row.get("unit_one", row["unit"])
    return {
        "name": row["name"],
        "detail": f"{count(row['outcomes'])} {unit}{each}",
        "value": money(row["value"], currency) if row["value"] else "",
        "state": state,
        "tone": tone,
        "who": who,
    }


def _savings(figures: Mapping[str, Any]) -> dict[str, Any]:
    currency = figures["account"]["currency"]
    rows = [
        {
            "amount": money(row["saving"], currency), "title": row["title"],
            "detail": f"{row['workflow'] + '. ' if row['workflow'] else ''}Effort: {row['effort'].lower()}."
            f" {row['trade_off'] or 'No trade-off.'}",
        }
        for row in figures["savings"]
    ]  # fmt: skip
    share = figures["savings_share"]
    return {
        "sub": f"A month, at the volume of {figures['period']['short']}",
        "rows": rows,
        "missing": "" if rows else "Nothing that was proposed to you is open.",
        "net": money(figures["savings_total"], currency)
        + (f" · {percent_text(Decimal(share))} of spend" if rows and share else ""),
    }


def _next(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    currency, rows = figures["account"]["currency"], figures["next"]
    if not rows:
        return None
    return {
        "sub": "Ordered by value for the effort. The next rung is chosen together.",
        "rows": [
            {
                "title": f"{number}. {row['title']}",
                "detail": " · ".join(filter(None, [_rung(row["rung"]), row["owners"]])),
                "value": money(row["value"], currency) if row["value"] else "Not stated",
                "effort": counted(Decimal(row["effort_weeks"]), "week") if row["effort_weeks"] else "Not estimated",
                "spend": money(row["spend"], currency) if row["spend"] else "Not estimated",
                "gate": row["next_gate"] or "",
                "why": row["why"] or "",
            }
            for number, row in enumerate(rows, 1)
        ],
    }


def _rung(rung: str) -> str:
    return rung.capitalize() if rung in LADDER else rung

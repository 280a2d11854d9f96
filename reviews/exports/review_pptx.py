"""A published value review as slides: the same figures, words and order as its page, with charts that stay charts."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pptx import Presentation
from pptx.util import Inches

from consumption_cs.lib.display import percent_text
from consumption_cs.lib.money import exponent
from reviews.exports.office_packing import steady
from reviews.exports.slide_parts import (
    EDGE,
    FLAG,
    HEIGHT,
    INK,
    INK2,
    MAIN,
    TONES,
    WEAK,
    WIDTH,
    Place,
    Series,
    Words,
    add_chart,
    add_panel,
    add_slide,
    add_table,
    add_text,
)
from reviews.models import ValueReview
from reviews.reports.review_page import margin_text, shown

MOST_ROWS = 8  # of a table on a slide; more than that nobody reads from the back of a room
_FULL = WIDTH - 2 * EDGE
_TOP = 1.95


def review_pptx(review: ValueReview) -> bytes:
    """Return the slides, up to eight. A section that is hidden has none; the same review gives the same bytes."""
    content, page = review.content, shown(review.content, review.hash)
    figures, sections = content["figures"], page["sections"]
    as_of = datetime.fromisoformat(figures["as_of"]).astimezone(UTC).replace(microsecond=0)
    deck: Any = Presentation()
    deck.slide_width, deck.slide_height = Inches(WIDTH), Inches(HEIGHT)
    _cover(deck, page, figures)
    if one := sections.get("goals"):
        _goals(deck, one)
    if one := sections.get("bridge"):
        _bridge(deck, one, figures)
    if one := sections.get("success"):
        _success(deck, one, figures)
    if one := sections.get("spend"):
        _spend(deck, one, figures)
    if sections.get("incidents") or sections.get("savings"):
        _lists(deck, sections.get("incidents"), sections.get("savings"))
    if one := sections.get("values"):
        _values(deck, one, page, figures)
    _next(deck, sections.get("next"), page)
    _feet(deck, margin_text(content, review.hash))
    told = deck.core_properties
    told.title, told.author, told.last_modified_by = f"{page['name']}, {page['account']}", page["organization"], ""
    told.created = told.modified = as_of.replace(tzinfo=None)
    told.comments, told.revision = f"Hash {review.hash}", 1
    out = io.BytesIO()
    deck.save(out)
    return steady(out.getvalue(), as_of)


def _cover(deck: Any, page: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    meta = f"{page['organization']} / {page['account']}  ·  {page['name']}  ·  {page['period']}"
    slide = add_slide(deck, page["headline"] or f"{page['account']}, {page['period']}", size=26)
    add_text(slide, Place(EDGE, 0.25, _FULL, 0.3), [[Words(meta, 12, INK2)]])
    if page["lead"]:
        add_text(slide, Place(EDGE, 1.45, _FULL, 0.9), [[Words(_cut(page["lead"], 320), 16, INK2)]])
    if bars := page["bars"]:
        totals = figures["totals"]
        add_chart(
            slide, Place(EDGE, 2.45, _FULL, 2.6), bars["words"], [page["before_short"], page["period_short"]],
            [Series(f"{totals['unit'].capitalize()} per 1,000 {page['currency']}",
                    _floats([totals["per_money_before"], totals["per_money"]]), MAIN,
                    [bars["before"], bars["now"]], [WEAK, MAIN])],
            kind="bars", low=0, gap=35,
        )  # fmt: skip
    for at, fact in enumerate(page["facts"]):
        place = Place(EDGE + at * _FULL / 4, 5.3, _FULL / 4 - 0.15, 1.25)
        tone = TONES.get(fact.get("tone", ""), INK2)
        lines = [
            [Words(fact["label"], 12, INK2)],
            [Words(fact["value"], 22, bold=True)],
            [Words(fact["note"], 12, tone)],
        ]
        add_text(slide, place, lines)


def _goals(deck: Any, one: Mapping[str, Any]) -> None:
    slide = add_slide(deck, one["heading"], one["sub"])
    rows = [
        [Words(row["title"], 13, bold=True), Words(row["start"], 12), Words(row["target"], 12),
         Words(row["value"], 12), Words(row["share"], 13, bold=True),
         Words(row["state"], 12, TONES.get(row["tone"], INK2), True)]
        for row in one["rows"][:MOST_ROWS]
    ]  # fmt: skip
    place = Place(EDGE, _TOP, _FULL, 0.6 * (len(rows) + 1))
    head = ("Objective", "Start", "Target", "Now", "Of the way", "State")
    add_table(slide, place, head, rows, (5, 1.6, 1.6, 1.8, 1.4, 1.4), right=(1, 2, 3, 4))
    _more(slide, one["rows"])


def _bridge(deck: Any, one: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    slide = add_slide(deck, one["heading"], one.get("sub", ""))
    if not one["rows"]:
        add_panel(slide, Place(EDGE, _TOP, _FULL, 1), [[Words(one["missing"])]])
        return
    rows = one["rows"]
    _waterfall(slide, Place(EDGE, _TOP, 6.6, 4.75), rows, one["sub"], figures["account"]["currency"])
    told = [
        [Words(row["label"], 12, bold=True), Words(row["amount"], 12, TONES.get(row["tone"], INK), row["is_total"]),
         Words(_cut(row["why"], 150), 11, INK2)]
        for row in rows
    ]  # fmt: skip
    place = Place(7.4, _TOP, WIDTH - EDGE - 7.4, 0.62 * (len(told) + 1))
    add_table(slide, place, ("Step", "Amount", "What happened"), told, (1.25, 1.05, 3.3), right=(1,))


def _waterfall(slide: Any, place: Place, rows: Sequence[Mapping[str, Any]], told: str, currency: str) -> None:
    """Steps that hang between the totals: a series without a color lifts each. Below zero they stand for
    themselves."""
    at, lifts, heights = Decimal(0), [], []
    for row in rows:
        start = Decimal(0) if row["is_total"] else at
        at = row["number"] if row["is_total"] else at + row["number"]
        lifts.append(min(start, at))
        heights.append(abs(at - start))
    colors = [INK if row["is_total"] else FLAG if row["tone"] == "warn" else MAIN for row in rows]
    names = [f"{row['label']}\n{row['amount']}" for row in rows]
    form = "#,##0.00" if exponent(currency) else "#,##0"
    if min(lifts) < 0:
        amounts = [float(row["number"]) for row in rows]
        add_chart(slide, place, told, names, [Series("Amount", amounts, MAIN, colors=colors)], form=form)
        return
    series = [
        Series("Up to here", [float(lift) for lift in lifts]),
        Series("Amount", [float(height) for height in heights], MAIN, colors=colors),
    ]
    low = _foot(rows, lifts)
    add_chart(slide, place, told, names, series, kind="stack", low=low, form=form, gap=45)
    if low:
        note = Place(place.x, place.y + place.high, place.wide, 0.3)
        add_text(slide, note, [[Words("The scale does not begin at zero, so that the steps can be seen.", 10, INK2)]])


def _foot(rows: Sequence[Mapping[str, Any]], lifts: Sequence[Decimal]) -> float:
    """Where the scale begins: a round number under the lowest step."""
    hanging = [float(lift) for lift, row in zip(lifts, rows, strict=True) if not row["is_total"]]
    return _rounded(max(min(hanging, default=0.0) * 0.96, 0.0))


def _rounded(value: float) -> float:
    """Down to a number that reads well at the foot of an axis."""
    step = 10 ** (len(str(int(value))) - 1) / 2 if value >= 1 else 1
    return value // step * step


def _success(deck: Any, one: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    slide = add_slide(deck, one["heading"], one["sub"].split(" Hollow")[0])
    known = [
        (row, told) for row, told in zip(figures["success"], one["rows"], strict=True) if row["rate"] is not None
    ][:MOST_ROWS]
    if known:
        before = [float(row["rate_before"]) if row["rate_before"] else None for row, _ in known]
        now = [float(row["rate"]) for row, _ in known]
        low = max(min([*now, *(rate for rate in before if rate is not None)]) - 0.005, 0) // 0.05 * 0.05
        add_chart(
            slide, Place(EDGE, _TOP, 5.6, 4.75), "Success rate of each workflow, before and now",
            [row["name"] for row, _ in known],
            [Series(figures["before"]["short"], before, WEAK), Series(figures["period"]["short"], now, MAIN)],
            kind="bars", low=round(low, 2), high=1, form="0%",
        )  # fmt: skip
        if low:
            words = f"The scale begins at {percent_text(Decimal(str(round(low, 2))), places=0)}."
            add_text(slide, Place(EDGE, 6.7, 5.6, 0.3), [[Words(words, 10, INK2)]])
    rows = [
        [Words(row["name"], 12, bold=True), Words(row["attempts"], 11, INK2), Words(row["before"] or "–", 12),
         Words(row["rate"] or "–", 12, bold=True), Words(row["range"], 11, INK2),
         Words(_cut(row["why"] or row["missing"] or "No change was recorded", 90), 11, INK2)]
        for row in one["rows"][:MOST_ROWS]
    ]  # fmt: skip
    place = Place(6.4, _TOP, WIDTH - EDGE - 6.4, 0.55 * (len(rows) + 1))
    head = (
        "Workflow",
        "Attempts",
        figures["before"]["short"],
        figures["period"]["short"],
        "95% range",
        "What improved it",
    )
    add_table(slide, place, head, rows, (1.7, 1.35, 0.95, 0.95, 1.2, 2.1), right=(2, 3, 4))
    _more(slide, one["rows"])


def _spend(deck: Any, one: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    slide = add_slide(deck, one["heading"], one["sub"])
    months = figures["spend"]["months"]
    labels = [month["spend"] for month in one["months"]] if len(months) <= 6 else []
    series = [Series("Spend", _floats([month["spend"] for month in months]), MAIN, labels)]
    if any(month["budget"] for month in months):
        budgets = [float(month["budget"]) if month["budget"] else None for month in months]
        series.append(Series("Budget", budgets, WEAK))
    if months:
        add_chart(
            slide, Place(EDGE, _TOP, 6.4, 4.75 if not one["decide_by"] else 3.55), "Spend and budget by month",
            [month["label"] for month in months], series, low=0,
        )  # fmt: skip
    y = _TOP
    for row in one["rows"]:
        lines = [
            [Words(row["amount"], 20, TONES.get(row["tone"], INK), True)], [Words(row["title"], 13, bold=True)],
            [Words(row["detail"], 12, INK2)],
        ]  # fmt: skip
        add_text(slide, Place(7.4, y, WIDTH - EDGE - 7.4, 1.2), lines)
        y += 1.25
    if one["decide_by"]:
        lines = [
            [Words(f"Decide by {one['decide_by']}", 14, TONES["warn"], True)],
            [Words(_cut(one["decision"], 340), 12)],
        ]
        add_panel(slide, Place(EDGE, 5.75, _FULL, 1), lines, "FFF1D6")


def _lists(deck: Any, incidents: Mapping[str, Any] | None, savings: Mapping[str, Any] | None) -> None:
    both = [one for one in (incidents, savings) if one]
    slide = add_slide(deck, "; ".join(one["heading"] for one in both), size=24 if len(both) > 1 else 26)
    wide = _FULL if len(both) == 1 else _FULL / 2 - 0.2
    for number, one in enumerate(both):
        x = EDGE + number * (_FULL / 2 + 0.2)
        label = one.get("net_label", "Found, a month")
        add_text(slide, Place(x, 1.5, wide, 0.4), [[Words(one["sub"], 13, INK2)]])
        if not one["rows"]:
            add_panel(slide, Place(x, _TOP, wide, 0.9), [[Words(one["missing"], 13)]])
            continue
        rows = [
            [Words(row["amount"], 13, bold=True), Words(row["title"], 12, bold=True),
             Words(_cut(row["detail"], 130), 11, INK2)]
            for row in one["rows"][:5]
        ]  # fmt: skip
        place = Place(x, _TOP, wide, 0.62 * (len(rows) + 1))
        add_table(slide, place, ("Amount", "What", "In detail"), rows, (1, 2.2, 3), right=(0,))
        left = len(one["rows"]) - len(rows)
        more = f"  (with {left} more)" if left > 0 else ""
        lines = [[Words(f"{label}{more}:  ", 13, INK2), Words(one["net"], 15, bold=True)]]
        add_panel(slide, Place(x, 6.1, wide, 0.6), lines)


def _values(deck: Any, one: Mapping[str, Any], page: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    slide = add_slide(deck, one["heading"], one["sub"])
    counted = [
        (row, told) for row, told in zip(figures["values"], one["rows"], strict=True)
        if row["value"] is not None and row["state"] == "confirmed"
    ][:MOST_ROWS]  # fmt: skip
    x, wide = EDGE, _FULL
    if counted:
        x, wide = 5.3, WIDTH - EDGE - 5.3
        series = Series(
            f"Confirmed value in {page['currency']}", _floats([row["value"] for row, _ in counted]), MAIN,
            [told["value"] for _, told in counted],
        )  # fmt: skip
        place = Place(EDGE, _TOP, 4.4, min(0.75 * len(counted) + 0.4, 4.0))
        add_chart(slide, place, "Confirmed value of each workflow", [row["name"] for row, _ in counted], [series],
                  kind="bars", low=0, high=1.3 * max(float(row["value"]) for row, _ in counted) or 1,
                  gap=45)  # fmt: skip
    rows = [
        [Words(row["name"], 12, bold=True), Words(row["detail"], 11, INK2), Words(row["value"] or "Not counted", 12),
         Words(row["state"], 11, TONES.get(row["tone"], INK2), True), Words(row["who"], 11, INK2)]
        for row in one["rows"][:MOST_ROWS]
    ]  # fmt: skip
    head = ("Workflow", "Outcomes", f"Value, {page['period_short']}", "State", "Who")
    table = Place(x, _TOP, wide, 0.46 * (len(rows) + 1))
    add_table(slide, table, head, rows, (1.9, 2.2, 1.45, 1.3, 2), right=(2,))
    _more(slide, one["rows"])
    total = [Words("Confirmed value:  ", 14, INK2), Words(one["total"], 18, bold=True)]
    if one["return"]:
        total.append(Words(f"   {one['return']} for each {one['one']} spent", 14, INK2))
    add_panel(slide, Place(EDGE, 6.1, _FULL, 0.6), [total])


def _next(deck: Any, one: Mapping[str, Any] | None, page: Mapping[str, Any]) -> None:
    if one is None and not page["closing"]:
        return
    slide = add_slide(deck, one["heading"] if one else "In closing", one["sub"] if one else "")
    if one:
        rows = [
            [Words(row["title"], 13, bold=True), Words(row["detail"], 11, INK2), Words(row["value"], 12),
             Words(row["effort"], 12), Words(row["spend"], 12), Words(_cut(row["gate"], 70), 11, INK2),
             Words(_cut(row["why"], 110), 11, INK2)]
            for row in one["rows"][:5]
        ]  # fmt: skip
        head = ("Workflow", "Rung and owners", "Value a month", "Effort", "Spend a month", "Next gate", "Why")
        place = Place(EDGE, _TOP, _FULL, 0.62 * (len(rows) + 1))
        add_table(slide, place, head, rows, (2, 1.8, 1.15, 1.1, 1.2, 1.9, 2.7), right=(2, 3, 4))
    if page["closing"]:
        place = Place(EDGE, 5.75 if one else _TOP, _FULL, 1.0)
        add_panel(slide, place, [[Words(_cut(page["closing"], 420), 13)]])


def _more(slide: Any, rows: Sequence[Any]) -> None:
    if len(rows) > MOST_ROWS:
        text = f"{MOST_ROWS} of {len(rows)} are shown; the review and its workbook have all."
        add_text(slide, Place(EDGE, 6.75, _FULL, 0.3), [[Words(text, 10, INK2)]])


def _feet(deck: Any, text: str) -> None:
    for number, slide in enumerate(deck.slides, 1):
        add_text(slide, Place(EDGE, 7.05, _FULL - 2, 0.3), [[Words(text, 9, INK2)]])
        place = Place(WIDTH - EDGE - 1.8, 7.05, 1.8, 0.3)
        add_text(slide, place, [[Words(f"{number} of {len(deck.slides)}", 9, INK2)]], right=True)


def _cut(text: str, most: int) -> str:
    """What fits: whole words up to `most` characters."""
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0].rstrip(",;.") + " …"


def _floats(numbers: Sequence[str | None]) -> list[float | None]:
    return [None if number is None else float(number) for number in numbers]

"""What templates say numbers, moments and states with. Loaded everywhere as built-ins (no {% load %} needed)."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template import Context
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from consumption_cs.lib import display, graphics
from consumption_cs.lib.figures import Figure
from consumption_cs.lib.icons import ICONS

register = template.Library()

UNKNOWN = "not known yet"
_TONES = {"good", "warn", "bad", "info"}


# Numbers ------------------------------------------------------------------------------------------------------------


@register.filter
def money(value: Any, currency: str = "") -> str:
    """`{{ amount|money:account.currency }}` or `{{ money_object|money }}`: "$1,234.50"."""
    return _money(value, currency, None)


@register.filter
def money_whole(value: Any, currency: str = "") -> str:
    """As `money`, rounded to whole units: "$8,240"."""
    return _money(value, currency, 0)


@register.filter
def money_signed(value: Any, currency: str = "") -> str:
    """A difference in whole units: "+$190", "−$84"."""
    amount, code = _parts(value, currency)
    return UNKNOWN if amount is None else display.money_text(amount, code, places=0, signed=True)


@register.filter
def money_change(value: Any, currency: str = "") -> str:
    """A booking or a difference to the cent: "+$190.00", "−$84.25"."""
    amount, code = _parts(value, currency)
    return UNKNOWN if amount is None else display.money_text(amount, code, signed=True)


@register.filter
def money_short(value: Any, currency: str = "") -> str:
    """About three digits: "$412k", "$4.86M"."""
    amount, code = _parts(value, currency)
    return UNKNOWN if amount is None else display.money_short(amount, code)


@register.filter
def unit_price(value: Any, currency: str = "") -> str:
    """A price of one unit with every digit that matters: "$0.071", "$0.000125"."""
    amount, code = _parts(value, currency)
    return UNKNOWN if amount is None else display.unit_price_text(amount, code)


@register.filter
def quantity(value: Any, places: int | None = None) -> str:
    """`{{ count|quantity }}`: "48,160"; decimals only where there are any, or `places` of them."""
    return UNKNOWN if value in (None, "") else display.quantity_text(_decimal(value), places=places)


@register.filter
def unit_of(noun: str, amount: Any) -> str:
    """`{{ meter.unit|unit_of:quantity }}`: the noun, in the plural unless the amount is one."""
    return noun if amount == 1 else display.plural_of(noun)


@register.filter
def percent(ratio: Any, places: int = 1) -> str:
    """`{{ ratio|percent }}` of a ratio from 0 to 1: "98.1%"."""
    return UNKNOWN if ratio in (None, "") else display.percent_text(_decimal(ratio), places=int(places))


@register.filter
def percent_signed(ratio: Any, places: int = 0) -> str:
    """A change as a ratio: "+9%", "−12%"."""
    return UNKNOWN if ratio in (None, "") else display.percent_text(_decimal(ratio), places=int(places), signed=True)


@register.simple_tag
def delta(ratio: Any, note: str = "", *, good: str = "", points: bool = False, places: int = 0) -> SafeString:
    """`{% delta change "on October" good="down" %}`: an arrow with a change; `good` ("up", "down") colours it.

    `points` says the number is in percentage points already (0.2 is "0.2 pt").
    """
    if ratio in (None, ""):
        return format_html('<span class="delta unit">{}</span>', note or "nothing to compare with")
    number = _decimal(ratio)
    if points:
        size = f"{display.quantity_text(abs(number), places=places or 1)} pt"
    else:
        size = display.percent_text(abs(number), places=places)
    way = "up" if number > 0 else "down" if number < 0 else ""
    tone = "" if not way or not good else "good-t" if way == good else "bad-t"
    arrow = {"up": "▲ ", "down": "▼ ", "": ""}[way]
    tail = format_html(" <small>{}</small>", note) if note else ""
    spoken = format_html('<span class="sr">{} </span><span aria-hidden="true">{}</span>', way or "unchanged", arrow)
    return format_html('<span class="delta {}">{}{}{}</span>', tone, spoken, size, tail)


# States and signs ---------------------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, label: str = "", size: str = "") -> SafeString:
    """`{% icon "bell" %}`; with `label` it is read aloud. Sizes: "sm", "lg". An unknown name fails in tests."""
    role = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html('<svg class="i {}" viewBox="0 0 24 24" {}>{}</svg>', size, role, mark_safe(ICONS[name]))  # noqa: S308


@register.simple_tag
def pill(text: str, tone: str = "", *, soft: bool = False) -> SafeString:
    """`{% pill "On track" "good" %}`: a status. Tones: good, warn, bad, info, or none."""
    return format_html(
        '<span class="pill {} {}">{}</span>', tone if tone in _TONES else "", "soft" if soft else "", text
    )


@register.simple_tag
def sparkline(values: Sequence[Any], label: str = "") -> SafeString:
    """`{% sparkline row.last_days %}`: None leaves a gap; nothing is drawn below two values."""
    return mark_safe(graphics.sparkline_svg(values, label=label))  # noqa: S308


@register.simple_tag
def score_line(scores: Sequence[Any]) -> SafeString:
    """`{% score_line row.scores %}`: scores of 40 to 100 on a fixed scale, oldest first; None leaves one out."""
    return mark_safe(graphics.score_line_svg([None if one is None else float(one) for one in scores]))  # noqa: S308


@register.simple_tag
def points_bar(points: Any, weight: Any) -> SafeString:
    """`{% points_bar part.points part.weight %}`: points earned, on a track as long as the weight."""
    return mark_safe(graphics.points_svg(None if points is None else float(points), float(weight)))  # noqa: S308


@register.simple_tag
def rungs_bar(step: int) -> SafeString:
    """`{% rungs_bar rung.step %}`: six rungs, filled up to where a workflow stands."""
    return mark_safe(graphics.rungs_svg(step))  # noqa: S308


@register.simple_tag
def share(ratio: Any, label: str = "") -> SafeString:
    """`{% share row.share %}`: a thin bar filled to a ratio of 0 to 1."""
    return mark_safe(graphics.share_svg(float(ratio or 0), label=label))  # noqa: S308


@register.simple_tag
def pace(ratio: Any, mark: Any = None, label: str = "") -> SafeString:
    """`{% pace drawn planned "61% drawn, plan 77%" %}`: a bar with an upright mark."""
    return mark_safe(graphics.pace_svg(float(ratio or 0), None if mark is None else float(mark), label=label))  # noqa: S308


@register.simple_tag
def interval(low: Any, point: Any, high: Any, floor: Any = 0, label: str = "") -> SafeString:
    """`{% interval low rate high floor=0.8 %}`: a dot with its range, from `floor` to 1."""
    return mark_safe(  # noqa: S308
        graphics.interval_svg(float(low), float(point), float(high), floor=float(floor), label=label)
    )


# Moments ------------------------------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def ago(context: Context, moment: datetime | None, never: str = "never") -> SafeString | str:
    """`{% ago key.last_used_at "never used" %}`: "4 minutes ago", the exact moment in the title."""
    if moment is None:
        return escape(never)
    now = timezone.now()
    exact = display.moment_text(moment, _zone(context), now=now)
    return _time(moment, exact, display.ago_text(moment, now))


@register.simple_tag(takes_context=True)
def moment(context: Context, at: datetime | None, never: str = "never") -> SafeString | str:
    """`{% moment entry.created_at %}`: "Nov 22, 14:10 UTC" in the account's or reader's time zone."""
    if at is None:
        return escape(never)
    exact = display.moment_text(at, _zone(context), now=timezone.now())
    return _time(at, display.moment_text(at), exact)


@register.inclusion_tag("components/data_through.html", takes_context=True)
def data_through(context: Context, at: datetime | None, *, late: bool = False) -> dict[str, Any]:
    """`{% data_through freshness.through late=freshness.is_late %}`: the stamp that every page of numbers carries."""
    now = timezone.now()
    text = at and display.moment_text(at, _zone(context), now=now)
    return {"at": at, "text": text, "late": late, "ago": at and display.ago_text(at, now)}


# Pieces of pages ----------------------------------------------------------------------------------------------------


@register.inclusion_tag("components/figure.html")
def figure(chart: Figure, span: str = "c8") -> dict[str, Any]:
    """`{% figure daily_chart span="c8" %}`: a card with headline, legend, lazy chart, its numbers and CSV."""
    return {"figure": chart, "span": span, "spec_id": f"{chart.id}-spec"}


@register.inclusion_tag("components/hero_bar.html")
def hero_bar(used: Any, label: str, **amounts: Any) -> dict[str, Any]:
    """`{% hero_bar 8240 "what a screen reader says" total=12000 total_text="$12,000" %}`.

    Amounts are `projected`, `total`, `low`, `high` and `ticks`; `X_text` (bold) and `X_note` are written at used,
    projected and total. With `is_limit=False` the total is something to compare with, and beyond it nothing is red.
    """
    is_limit = amounts.pop("is_limit", True)
    names = [f"{place}_{part}" for place in ("used", "projected", "total") for part in ("text", "note")]
    texts = {name: amounts.pop(name, "") for name in names}
    ticks = amounts.pop("ticks", ())
    drawn = graphics.hero_bar(
        used or 0, ticks=ticks, **{name: value for name, value in amounts.items() if value not in ("", None)}
    )
    return {"bar": drawn, "label": label, "is_limit": is_limit, **texts}


@register.inclusion_tag("components/pagination.html", takes_context=True)
def pagination(context: Context, page: Any, noun: str = "rows") -> dict[str, Any]:
    """`{% pagination page_obj "accounts" %}`: counts and links that keep the rest of the query string."""
    return {"page": page, "noun": noun, "request": context.get("request")}


@register.inclusion_tag("components/sort_header.html", takes_context=True)
def sort_header(
    context: Context, label: str, field: str, *, css: str = "", first: str = "ascending"
) -> dict[str, Any]:
    """`{% sort_header "At risk" "risk" css="num" %}`: a heading that sorts by `?sort=risk` or `?sort=-risk`.

    The page starts at `sort` in the context when the address says nothing; `first` is the order of the first click.
    """
    request = context.get("request")
    current = (request.GET.get("sort") if request else None) or context.get("sort") or ""
    state = {field: "ascending", f"-{field}": "descending"}.get(current, "")
    rising = state == "descending" if state else first == "ascending"
    return {"label": label, "css": css, "state": state, "sort": field if rising else f"-{field}", "request": request}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, hint: str = "", css: str = "", label: str = "") -> dict[str, Any]:
    """`{% field form.email %}`: label, control, help and errors, tied together for screen readers."""
    widget = bound.field.widget
    shape = "plain"
    if bound.is_hidden:
        shape = "hidden"
    elif isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        shape = "options"
    elif isinstance(widget, CheckboxInput):
        shape = "check"
    return {
        "field": bound,
        "shape": shape,
        "label": label or bound.label,
        "hint": hint or bound.help_text,
        "css": css,
        "widget": _described(bound, hint),
    }


@register.inclusion_tag("components/form_errors.html")
def form_errors(form: Any) -> dict[str, Any]:
    """`{% form_errors form %}`: errors of the form as a whole, and a line that names how many fields are wrong."""
    wrong = [form[name] for name in form.errors if name in form.fields]
    return {"form": form, "wrong": wrong}


@register.inclusion_tag("components/copy.html")
def copy_block(text: str, label: str = "", *, id: str = "copy", wrap: bool = False) -> dict[str, Any]:
    """`{% copy_block curl "Send your first event" id="curl" %}`: code with a copy button."""
    return {"text": text, "label": label, "id": id, "wrap": wrap}


# Private ------------------------------------------------------------------------------------------------------------


def _money(value: Any, currency: str, places: int | None) -> str:
    amount, code = _parts(value, currency)
    return UNKNOWN if amount is None else display.money_text(amount, code, places=places)


def _parts(value: Any, currency: str) -> tuple[Decimal | None, str]:
    """Accept a Money (amount and currency) or a plain number with the currency beside it."""
    if value in (None, ""):
        return None, ""
    if hasattr(value, "amount") and hasattr(value, "currency"):
        return value.amount, str(value.currency)
    return _decimal(value), currency or "USD"


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _zone(context: Context) -> tzinfo:
    """The account's own zone inside an account, else the one that the request activated."""
    name = getattr(context.get("account"), "timezone", "")
    return ZoneInfo(str(name)) if name else timezone.get_current_timezone()


def _time(at: datetime, title: str, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(timespec="seconds"), title, text)


def _described(bound: BoundField, hint: str) -> SafeString:
    """Render the control with the ids of its help and errors, whatever Django itself would add."""
    described = [f"{bound.auto_id}_hint"] if hint or bound.help_text else []
    described += [f"{bound.auto_id}_error"] if bound.errors else []
    attributes: dict[str, str | bool] = {"aria-describedby": " ".join(described)} if described else {}
    return bound.as_widget(attrs=attributes | ({"aria-invalid": "true"} if bound.errors else {}))

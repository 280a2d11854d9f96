"""The account's overview: the page that a customer opens first, and its downloads."""

from datetime import date, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from consumption_cs.lib.display import listed
from usage.calc.pace import LAST_DAYS, Month, Wanted
from usage.charts import daily_spend
from usage.exports import daily_csv, workflows_csv
from usage.reports import overview_words as words
from usage.reports.overview import Overview, overview

MOST_MONTHS = 24


@require_safe
@requires("money.view")
def account_overview(request: HttpRequest, account_id: object) -> HttpResponse:
    """What the account used this month, what it cost and what came of it."""
    seen = read_overview(request, timezone.now())
    viewer = viewer_of(request)
    who = "You" if viewer.is_portal else seen.account.name
    tone_words, tone = words.status(seen)
    moves = words.moves(seen)
    context = {
        "seen": seen,
        "account": seen.account,
        "headline": words.headline(seen, who),
        "lead": words.lead(seen),
        "status": tone_words,
        "tone": tone,
        "facts": words.facts(seen),
        "moves": moves,
        "week_total": words.week_total(seen, moves),
        "month_name": words.month_name(seen.month),
        "before_name": words.month_name(seen.month.before),
        "daily": daily_spend(seen, address(seen, "overview_daily")),
        "bar": _bar(seen),
        "csv_url": address(seen, "overview_workflows_csv"),
        **choose_period(seen.month, seen.first_day),
        "may_see_events": can(viewer, "event.view"),
        "may_make_keys": can(viewer, "key.manage"),
        "may_edit_account": can(viewer, "account.edit"),
    }
    return render(request, "usage/overview.html", context)


@require_safe
@requires("money.view")
def overview_daily(request: HttpRequest, account_id: object) -> HttpResponse:
    seen = read_overview(request, timezone.now())
    return download(daily_csv(seen), f"{seen.account.key}-daily-{seen.month.key}.csv")


@require_safe
@requires("money.view")
def overview_workflows_csv(request: HttpRequest, account_id: object) -> HttpResponse:
    seen = read_overview(request, timezone.now())
    return download(workflows_csv(seen), f"{seen.account.key}-workflows-{seen.month.key}.csv")


def read_overview(request: HttpRequest, now: datetime) -> Overview:
    """Read the month that the address names (`?month=2026-10`); anything else means the running one."""
    return overview(viewer_of(request), account_of(request), read_month(request), now)


def read_month(request: HttpRequest) -> Wanted:
    """The period that the address names; None when it names none."""
    name = request.GET.get("month", "")
    if name == LAST_DAYS:
        return LAST_DAYS
    try:
        month = datetime.strptime(name, "%Y-%m").date()  # noqa: DTZ007  a local month has no zone
    except ValueError:
        return None
    return month if 2000 <= month.year < 2100 else None


def choose_period(month: Month, first_day: date | None) -> dict[str, object]:
    """What the period selector shows: the chosen one, the months with usage (two years at most), and the arrows."""
    running = Month.around(month.today, month.today)
    months = [running]
    while len(months) < MOST_MONTHS and first_day is not None and months[-1].first > first_day:
        months.append(months[-1].before)
    is_month = month.key != LAST_DAYS
    return {
        "period": month.key,
        "period_label": words.period_label(month),
        "periods": [(each.key, f"{each.first:%B %Y}") for each in months],
        "last_days": LAST_DAYS,
        "earlier": f"?month={month.before.key}" if is_month else "",
        "later": f"?month={month.after.key}" if is_month and not month.is_running else "",
    }


def address(seen: Overview, name: str) -> str:
    """A page or download of the same account and month."""
    return reverse(f"usage:{name}", args=[seen.account.pk]) + f"?month={seen.month.key}"


def download(content: bytes, name: str) -> HttpResponse:
    """Answer with a file. The name holds only what no header and no file system trips over."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    return HttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{safe}"'},
    )


def _bar(seen: Overview) -> dict[str, object]:
    """What the bar under the headline shows: spent, the straight line ahead, and the whole month before."""
    currency = seen.account.currency
    total, before = seen.total.spend, seen.whole_before.spend
    texts = {
        "used": words.whole(total, currency),
        "projected": "" if seen.projection is None else words.whole(seen.projection, currency),
        "total": words.whole(before, currency) if before else "",
    }
    ends = {"used": "used", "projected": "at this pace", "total": f"in {words.month_name(seen.month.before)}"}
    return {
        "label": listed([f"{text} {ends[place]}" for place, text in texts.items() if text]),
        "shown": bool(total) and (seen.projection is not None or before is not None),
        "used": total or 0,
        "projected": seen.projection,
        "total": before,
        **{f"{place}_text": text for place, text in texts.items()},
    }

"""The account's overview: the page that a customer opens first, and its downloads."""

from datetime import date, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from usage.charts import daily_spend
from usage.exports import daily_csv, workflows_csv
from usage.reports import overview_words as words
from usage.reports.overview import Overview, overview, spark_days


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
        "spark_days": spark_days(seen.month),
        "csv_url": address(seen, "overview_workflows_csv"),
        "earlier": month_query(seen.month.before.first),
        "later": "" if seen.month.is_running else month_query(seen.month.end),
        "may_see_events": can(viewer, "event.view"),
        "may_make_keys": can(viewer, "key.manage"),
    }
    return render(request, "usage/overview.html", context)


@require_safe
@requires("money.view")
def overview_daily(request: HttpRequest, account_id: object) -> HttpResponse:
    seen = read_overview(request, timezone.now())
    return download(daily_csv(seen), f"{seen.account.key}-daily-{seen.month.first:%Y-%m}.csv")


@require_safe
@requires("money.view")
def overview_workflows_csv(request: HttpRequest, account_id: object) -> HttpResponse:
    seen = read_overview(request, timezone.now())
    return download(workflows_csv(seen), f"{seen.account.key}-workflows-{seen.month.first:%Y-%m}.csv")


def read_overview(request: HttpRequest, now: datetime) -> Overview:
    """Read the month that the address names (`?month=2026-10`); anything else means the running one."""
    return overview(viewer_of(request), account_of(request), read_month(request), now)


def read_month(request: HttpRequest) -> date | None:
    """The month that the address names; None when it names none."""
    try:
        month = datetime.strptime(request.GET.get("month", ""), "%Y-%m").date()  # noqa: DTZ007  a local month has no zone
    except ValueError:
        return None
    return month if 2000 <= month.year < 2100 else None


def month_query(first: date) -> str:
    return f"?month={first:%Y-%m}"


def address(seen: Overview, name: str) -> str:
    """A page or download of the same account and month."""
    return reverse(f"usage:{name}", args=[seen.account.pk]) + month_query(seen.month.first)


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
    return {
        "shown": bool(total) and (seen.projection is not None or before is not None),
        "used": total or 0,
        "projected": seen.projection,
        "total": before,
        "used_text": words.whole(total, currency),
        "projected_text": words.whole(seen.projection, currency) if seen.projection is not None else "",
        "total_text": words.whole(before, currency) if before else "",
    }

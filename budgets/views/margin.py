"""The margin board: what is left of each account's revenue, and why. Never for a customer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.exports.finance import margin_csv
from budgets.views.finance import finance_page, organization_of
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer
from usage.reports.margin import AccountMargin, MarginLine, Months, account_detail, account_margins, total_of
from usage.reports.rate_cards import today_of

LINES_SHOWN = 50
MONTHS_BACK = 24
SHOWN = {"": "All accounts", "negative": "Negative margin", "missing": "Cost missing"}
_SORTS: dict[str, Callable[[MarginLine], Any]] = {
    "name": lambda line: line.name.lower(),
    "revenue": lambda line: line.now.revenue,
    "cost": lambda line: line.now.cost,
    "left": lambda line: line.now.left,
    "margin": lambda line: line.now.ratio,
    "change": lambda line: line.change,
    "coverage": lambda line: line.now.coverage,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader chose: months, words, currency, which accounts, and the order."""

    months: Months
    today: date
    words: str
    currency: str
    shown: str
    sort: str

    @property
    def last(self) -> date:
        return add_months(self.months.end, -1)

    @property
    def is_open(self) -> bool:
        """Whether the last of the months is still going on."""
        return self.today < self.months.end


@require_safe
@requires("margin.view", staff=True)
def margin(request: HttpRequest) -> HttpResponse:
    """Every account's margin in a range of months; those that cost more than they pay come first."""
    viewer = viewer_of(request)
    asked = _asked(request, viewer)
    everything = account_margins(viewer, asked.months)
    lines = _chosen(everything, asked)
    context = _frame(viewer, asked) | {
        "page": Paginator(lines, LINES_SHOWN).get_page(request.GET.get("page")),
        "lines": lines,
        "everything": everything,
        "negative": [line for line in everything if line.is_negative],
        "incomplete": [line for line in everything if line.missing],
        "totals": _totals(everything),
        "currencies": sorted({line.currency for line in everything}),
        "shown": SHOWN.items(),
        "sort": asked.sort,
    }
    return finance_page(request, "budgets/margin.html", context)


@require_safe
@requires("margin.view", staff=True)
def margin_list_csv(request: HttpRequest) -> HttpResponse:
    """The board as a file: the accounts and the order that the page shows, without pages."""
    viewer = viewer_of(request)
    asked = _asked(request, viewer)
    content = margin_csv(_chosen(account_margins(viewer, asked.months), asked), asked.months)
    name = f"margin-{asked.months.start:%Y-%m}-{asked.last:%Y-%m}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


@require_safe
@requires("margin.view", staff=True)
def margin_account(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """One account's margin by meter and by workflow, and which costs are missing."""
    viewer, account = viewer_of(request), account_of(request)
    asked = _asked(request, viewer)
    detail = account_detail(viewer, account, asked.months)
    tables = [("By meter", detail.meters, "meter"), ("By workflow", detail.workflows, "workflow")]
    context = _frame(viewer, asked) | {"whole": detail.whole, "of": account, "tables": tables}
    context["ledger_url"] = _ledger_url(account_id)
    return finance_page(request, "budgets/margin_account.html", context)


def _ledger_url(account_id: UUID) -> str:
    try:
        return reverse("budgets:ledger", args=[account_id])
    except NoReverseMatch:
        return ""


def _frame(viewer: Viewer, asked: Asked) -> dict[str, Any]:
    this_month = asked.today.replace(day=1)
    return {
        "asked": asked,
        "choices": [add_months(this_month, -back) for back in range(MONTHS_BACK)],
        "may_add_cost": can(viewer, "cost.manage"),
    }


def _asked(request: HttpRequest, viewer: Viewer) -> Asked:
    get = request.GET.get
    today = today_of(organization_of(viewer), timezone.now())
    start = _month(get("from")) or _month(get("to")) or today.replace(day=1)
    last = max(start, _month(get("to")) or start)
    last = min(last, add_months(start, MONTHS_BACK - 1))
    return Asked(
        Months(start, add_months(last, 1)),
        today,
        (get("q") or "").replace("\x00", "").strip()[:200],
        (get("currency") or "")[:3],
        _known(get("show"), SHOWN),
        _known(get("sort"), [*_SORTS, *(f"-{name}" for name in _SORTS)]),
    )


def _known(text: str | None, choices: Iterable[str]) -> str:
    return text if text and text in choices else ""


def _month(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(f"{text}-01")
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2098 else None


def _chosen(lines: Iterable[AccountMargin], asked: Asked) -> list[AccountMargin]:
    words = asked.words.lower().split()
    found = [
        line
        for line in lines
        if all(word in f"{line.name} {line.key}".lower() for word in words)
        and asked.currency in ("", line.currency)
        and (asked.shown != "negative" or line.is_negative)
        and (asked.shown != "missing" or line.missing)
    ]
    if not asked.sort:
        return found
    value = _SORTS[asked.sort.removeprefix("-")]
    known = [line for line in found if value(line) is not None]
    unknown = [line for line in found if value(line) is None]
    return sorted(known, key=value, reverse=asked.sort.startswith("-")) + unknown


def _totals(lines: Iterable[AccountMargin]) -> list[tuple[str, int, MarginLine]]:
    """One total for each currency: amounts of different currencies are never added up."""
    by_currency: dict[str, list[AccountMargin]] = {}
    for line in lines:
        by_currency.setdefault(line.currency, []).append(line)
    found = [(code, len(some), total_of(some, code)) for code, some in by_currency.items()]
    return sorted(found, key=lambda one: (-one[1], one[0]))

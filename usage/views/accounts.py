"""The staff's list of accounts, as a page and as a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.csv_files import write_rows
from usage.reports.account_lines import FEW_RUNS, SORTS, AccountLine, AccountQuery
from usage.reports.account_list import AccountList, account_list, add_sparklines
from usage.reports.freshness import data_through

PAGE_SIZE = 50
ACTIVITIES = {"active": "Active this week", "silent": "Silent for 7 days", "waiting": "Waiting for a first event"}
_CSV_HEADER = (
    "key", "name", "segment", "tier", "csm", "field_cto", "currency", "spend_this_month", "events_without_price",
    "spend_closed_days", "spend_same_days_last_month", "change_ratio", "success_ratio_30_days", "last_event_at",
    "contract_ends_on", "time_zone", "as_of",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading; no heading when there is nothing to tell apart."""

    heading: str
    lines: list[AccountLine]


@require_safe
@requires("account.list")
def accounts(request: HttpRequest) -> HttpResponse:
    """Search, filter, sort and page through the organization's accounts."""
    now = timezone.now()
    viewer = viewer_of(request)
    query = read_query(request)
    found = account_list(viewer, query, now)
    page = Paginator(found.lines, PAGE_SIZE).get_page(request.GET.get("page"))
    lines = list(page.object_list)
    add_sparklines(lines, viewer)
    context = {
        "query": query,
        "sort": query.sort,
        "found": found,
        "page": page,
        "groups": _grouped(lines, query, found),
        "views": _views(found, query),
        "segments": Account.Segment.choices,
        "tiers": Account.Tier.choices,
        "activities": ACTIVITIES.items(),
        "columns": 7,
        "few_runs": FEW_RUNS,
        "freshness": data_through(viewer, now),
        "may_import": can(viewer, "account.import"),
        "may_edit": can(viewer, "account.edit"),
    }
    return render(request, "usage/accounts.html", context)


@require_safe
@requires("account.list")
def accounts_csv(request: HttpRequest) -> HttpResponse:
    """Download all accounts that fit the filters, in the order of the page."""
    now = timezone.now()
    found = account_list(viewer_of(request), read_query(request), now)
    content = write_rows(_CSV_HEADER, _csv_rows(found.lines, now))
    name = f"accounts-{now:%Y-%m-%d}.csv"
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition})


def read_query(request: HttpRequest) -> AccountQuery:
    """Read the address; whatever is no known choice means "any"."""
    get = request.GET.get
    sort = get("sort") or "name"
    csm = get("csm") or ""
    return AccountQuery(
        words=(get("q") or "").strip()[:200],
        segment=_known(get("segment"), Account.Segment.values),
        tier=_known(get("tier"), Account.Tier.values),
        csm=csm if csm in ("me", "none") or _is_uuid(csm) else "",
        currency=(get("currency") or "")[:3],
        activity=_known(get("activity"), ACTIVITIES),
        sort=sort if sort.removeprefix("-") in SORTS else "name",
        mine_first=get("mine") != "no",
    )


def _known(value: str | None, choices: Iterable[str]) -> str:
    return value if value and value in choices else ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _views(found: AccountList, query: AccountQuery) -> list[dict[str, object]]:
    """The tabs over the table: everything, mine, and who needs a look."""
    now = {"csm": query.csm, "activity": query.activity}
    tabs = [
        ("All", "", found.everything, {"csm": "", "activity": ""}),
        ("Mine", "?csm=me", found.mine, {"csm": "me", "activity": ""}),
        ("Silent for 7 days", "?activity=silent", found.silent, {"csm": "", "activity": "silent"}),
        ("Waiting for a first event", "?activity=waiting", found.waiting, {"csm": "", "activity": "waiting"}),
    ]
    return [
        {"label": label, "query": address, "count": count, "current": now == is_}
        for label, address, count, is_ in tabs
    ]


def _grouped(lines: list[AccountLine], query: AccountQuery, found: AccountList) -> list[Group]:
    """Mine before the others, and one currency after the other when sorted by money."""
    groups: list[Group] = []
    by_currency = query.sort.endswith("spend") and len({line.currency for line in found.lines}) > 1
    by_owner = query.mine_first and query.csm != "me" and found.mine > 0
    for line in lines:
        words = ["Your accounts" if line.is_mine else "Other accounts"] if by_owner else []
        heading = " · ".join(words + ([f"in {line.currency}"] if by_currency else []))
        if not groups or groups[-1].heading != heading:
            groups.append(Group(heading, []))
        groups[-1].lines.append(line)
    return groups


def _csv_rows(lines: list[AccountLine], now: datetime) -> Iterator[list[object]]:
    for line in lines:
        yield [
            line.key, line.name, line.segment, line.tier, line.csm, line.field_cto, line.currency, line.spend,
            line.unpriced_events, line.closed_spend, line.before_spend, _ratio(line.change), _ratio(line.success_rate),
            line.last_event_at and line.last_event_at.isoformat(timespec="seconds"), line.contract_ends_on,
            line.timezone, now.isoformat(timespec="seconds"),
        ]  # fmt: skip


def _ratio(value: object) -> str | None:
    return None if value is None else f"{value:.4f}"

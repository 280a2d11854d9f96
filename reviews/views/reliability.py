"""The reliability board of an organization: which workflows fail or waste most, over all accounts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import viewer_of
from accounts.permissions import requires
from consumption_cs.lib.tenancy import Viewer
from reviews.charts.reliability import waste_figure
from reviews.exports.reliability import reliability_csv
from reviews.reports import reliability_words as words
from reviews.reports.reliability import Line, add_errors, by_currency, reliability_board
from reviews.views.headlines import pieces
from usage.reports.freshness import data_through
from usage.views.overview import download

PAGE_SIZE = 25
SHOWN = {"": "All workflows", "below": "Only below target", "credit": "Credit candidates"}
_MONEY = ("failed", "wasted")
_SORTS: dict[str, Callable[[Line], Any]] = {
    "account": lambda line: (line.account.name.lower(), line.name.lower()),
    "workflow": lambda line: line.name.lower(),
    "success": lambda line: line.rate,
    "change": lambda line: line.change_points,
    "failed": lambda line: line.waste.failed,
    "wasted": lambda line: line.waste.total,
    "share": lambda line: line.waste.percent,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader chose: words, whose accounts, one account, which workflows, the order ("": worst first)."""

    words: str
    owner: str
    account: str
    shown: str
    sort: str


@require_safe
@requires("book.view", staff=True)
def reliability(request: HttpRequest) -> HttpResponse:
    """All workflows of all accounts, the worst first, with what failed and what bought nothing."""
    viewer, now, asked = viewer_of(request), timezone.now(), _asked(request)
    board = reliability_board(viewer, now)
    lines = _chosen(board.lines, asked, viewer)
    page = Paginator(lines, PAGE_SIZE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    add_errors(shown, viewer, now)
    totals = by_currency(board.accounts)
    csv_url = reverse("reviews:reliability_csv")
    below = sum(line.state == "below" for line in board.lines)
    context = {
        "asked": asked,
        "sort": asked.sort,
        "board": board,
        "below": below,
        "headline": pieces(words.headline(board)),
        "lead": words.lead(board),
        "splits": totals,
        "kinds": words.kinds(totals, board.known),
        "chart": waste_figure(board.accounts, totals[0][0], csv_url) if totals else None,
        "page": page,
        "rows": [(line, words.errors_text(line)) for line in shown],
        "lines": lines,
        "choices": SHOWN.items(),
        "owners": _owners(board.lines),
        "accounts": sorted(
            {(str(line.account.pk), line.account.name) for line in board.lines}, key=lambda one: one[1]
        ),
        "freshness": data_through(viewer, now),
    }
    return render(request, "reviews/reliability.html", context)


@require_safe
@requires("book.view", staff=True)
def reliability_file(request: HttpRequest) -> HttpResponse:
    """The workflows and the order that the page shows, without pages, with their errors."""
    viewer, now, asked = viewer_of(request), timezone.now(), _asked(request)
    board = reliability_board(viewer, now)
    lines = _chosen(board.lines, asked, viewer)
    add_errors(lines, viewer, now)
    accounts = {line.account.pk for line in lines}
    minimums = [one for one in board.accounts if one.account.pk in accounts or not _is_narrowed(asked)]
    return download(reliability_csv(lines, minimums), f"reliability-{now:%Y-%m-%d}.csv")


def _asked(request: HttpRequest) -> Asked:
    get = request.GET.get
    owner, sort = get("owner") or "", get("sort") or ""
    account = get("account") or ""
    return Asked(
        (get("q") or "").replace("\x00", "").strip()[:200],
        owner if owner in ("me", "none") or _is_id(owner) else "",
        account if _is_id(account) else "",
        _known(get("show"), SHOWN),
        sort if sort.removeprefix("-") in _SORTS else "",
    )


def _is_narrowed(asked: Asked) -> bool:
    return any((asked.words, asked.owner, asked.account, asked.shown))


def _known(text: str | None, choices: Iterable[str]) -> str:
    return text if text and text in choices else ""


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _chosen(lines: Iterable[Line], asked: Asked, viewer: Viewer) -> list[Line]:
    wanted = asked.words.lower().split()
    found = [
        line
        for line in lines
        if all(word in f"{line.account.name} {line.account.key} {line.name}".lower() for word in wanted)
        and _is_owned(line, asked.owner, viewer)
        and asked.account in ("", str(line.account.pk))
        and (asked.shown != "below" or line.state in ("below", "perhaps"))
        and (asked.shown != "credit" or line.waste.credit_candidate > 0)
    ]
    return _ordered(found, asked.sort) if asked.sort else found


def _is_owned(line: Line, owner: str, viewer: Viewer) -> bool:
    owners = {one for one in (line.account.csm_id, line.account.field_cto_id) if one}
    if owner == "me":
        return viewer.user_id in owners
    if owner == "none":
        return not owners
    return not owner or owner in map(str, owners)


def _ordered(lines: list[Line], sort: str) -> list[Line]:
    """Amounts go currency by currency, the most used one first; what is not known comes last either way."""
    name, falling = sort.removeprefix("-"), sort.startswith("-")
    value = _SORTS[name]
    known = sorted((line for line in lines if value(line) is not None), key=value, reverse=falling)
    if name in _MONEY:
        used = Counter(line.currency for line in lines)
        known.sort(key=lambda line: (-used[line.currency], line.currency))
    return known + [line for line in lines if value(line) is None]


def _owners(lines: Iterable[Line]) -> list[tuple[str, str]]:
    people = {one for line in lines for one in (line.account.csm, line.account.field_cto) if one}
    return sorted(((str(one.pk), one.name or one.email) for one in people), key=lambda one: one[1].lower())

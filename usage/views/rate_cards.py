"""Rate cards: the list, one card with its history, one version of it; and what one account pays."""

from datetime import date
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account, Organization
from accounts.permissions import can, requires
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.rate_cards import open_card, start_draft
from usage.forms import WhoseForm
from usage.models import RateCard, RateCardVersion
from usage.reports.rate_cards import (
    CardLine,
    card_lines,
    cards,
    effective_prices,
    history,
    meters_shown,
    own_cards,
    today_of,
    unpriced_meters,
)

LINES_SHOWN = 100
CARDS_SHOWN = 50
VERSIONS_SHOWN = 20
MOST_CHOICES = 500
TABS = (("lists", "Price lists"), ("own", "Own prices"), ("drafts", "Drafts"))


@require_safe
@requires("price.view", staff=True)
def rate_cards(request: HttpRequest) -> HttpResponse:
    """What everybody pays, who has own prices, and the drafts; `show` is the tab, `q` searches it."""
    viewer, today = viewer_of(request), _today(viewer_of(request))
    shown, words = request.GET.get("show", "lists"), request.GET.get("q", "").strip()[:100]
    shown = shown if shown in dict(TABS) else "lists"
    drafts = RateCardVersion.objects.visible_to(viewer).filter(status=RateCardVersion.Status.DRAFT)
    own = cards(viewer).exclude(account=None)
    counts = {"lists": cards(viewer).filter(account=None).count(), "own": own.count(), "drafts": drafts.count()}
    context = {
        "tabs": [(name, label, counts[name]) for name, label in TABS],
        "show": shown,
        "words": words,
        "today": today,
        "page": _page(request, viewer, shown, words, today),
        "unpriced": unpriced_meters(viewer, today),
        "may_manage": can(viewer, "price.manage"),
        "has_meters": bool(meters_shown(viewer)),
    }
    return render(request, "usage/rate_cards.html", context)


@require_safe
@requires("price.view", staff=True)
def rate_card(request: HttpRequest, card_id: UUID) -> HttpResponse:
    """One card: its prices on a day, today by default, and its versions."""
    viewer, today = viewer_of(request), _today(viewer_of(request))
    card = card_in_url(viewer, card_id)
    day = _day_asked(request, today)
    words = request.GET.get("q", "").strip()[:100]
    lines = card_lines(viewer, [card], meters_shown(viewer, words), day, all_meters=card.account_id is None)
    versions = history(viewer, card)
    context = {
        "card": card,
        "day": day,
        "today": today,
        "words": words,
        "page": Paginator(lines, LINES_SHOWN).get_page(request.GET.get("page")),
        "versions": versions if request.GET.get("history") == "all" else versions[:VERSIONS_SHOWN],
        "version_count": len(versions),
        "drafts": [one.version for one in versions if one.version.status == RateCardVersion.Status.DRAFT],
        "may_manage": can(viewer, "price.manage"),
    }
    return render(request, "usage/rate_card.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("price.manage", staff=True)
def rate_card_new(request: HttpRequest) -> HttpResponse:
    """Begin a draft: for a currency, or for one account; with a copy of the prices that hold then."""
    viewer, today = viewer_of(request), _today(viewer_of(request))
    organization = Organization.objects.get(pk=viewer.organization_id)
    data = request.POST if request.method == "POST" else None
    start = {"account": request.GET.get("account"), "effective_on": today}
    form = WhoseForm(data, viewer=viewer, organization=organization, initial=start)
    if data is not None and form.is_valid():
        asked = form.cleaned_data
        card = open_card(viewer, asked["account"], asked["currency"])
        draft = start_draft(viewer, card, asked["effective_on"], with_current="copy" in data)
        return redirect("usage:rate_card_version", draft.pk)
    choices = Account.objects.visible_to(viewer).order_by("name")[:MOST_CHOICES]
    context = {"form": form, "accounts": choices}
    return render(request, "usage/rate_card_new.html", context, status=422 if form.errors else 200)


@require_safe
@requires("money.view")
def account_prices(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """What each meter costs this account, for the customer too: no drafts, no notes."""
    viewer, account = viewer_of(request), account_of(request)
    today = day_of(timezone.now(), zone_of(account.timezone))
    lines = effective_prices(viewer, account, today)
    own = cards(viewer).filter(account=account, currency=account.currency).first()
    context = {
        "page": Paginator(lines, LINES_SHOWN).get_page(request.GET.get("page")),
        "today": today,
        "own_card": own if can(viewer, "price.view") and viewer.is_staff else None,
        "may_manage": can(viewer, "price.manage"),
        "has_own": any(line.is_own for line in lines),
        "ahead": sum(1 for line in lines if line.following),
    }
    return render(request, "usage/account_prices.html", context)


def card_in_url(viewer: Viewer, card_id: UUID) -> RateCard:
    """Return the card; raises Http404 alike for one that does not exist and one that others own."""
    card = cards(viewer).filter(pk=card_id).first()
    if card is None:
        raise Http404
    return card


def _page(request: HttpRequest, viewer: Viewer, shown: str, words: str, today: date) -> Any:
    number = request.GET.get("page")
    if shown == "lists":
        lists = list(cards(viewer).filter(account=None))
        lines: list[CardLine] = card_lines(viewer, lists, meters_shown(viewer, words), today)
        return Paginator(lines, LINES_SHOWN).get_page(number)
    if shown == "own":
        own = [card for card in cards(viewer).exclude(account=None) if _fits(card, words)]
        page: Any = Paginator(own, CARDS_SHOWN).get_page(number)
        page.object_list = own_cards(viewer, list(page.object_list), today)
        return page
    rows = RateCardVersion.objects.visible_to(viewer).filter(status=RateCardVersion.Status.DRAFT)
    rows = rows.select_related("card__account", "created_by").prefetch_related("prices").order_by("-created_at")
    return Paginator([row for row in rows if _fits(row.card, words)], CARDS_SHOWN).get_page(number)


def _fits(card: RateCard, words: str) -> bool:
    account = card.account
    text = f"{card.name} {card.currency} {account.name if account else ''} {account.key if account else ''}".lower()
    return all(word in text for word in words.lower().split())


def _day_asked(request: HttpRequest, today: date) -> date:
    try:
        day = parse_date(request.GET.get("on", ""))
    except ValueError:
        day = None
    return day or today


def _today(viewer: Viewer) -> date:
    return today_of(Organization.objects.get(pk=viewer.organization_id), timezone.now())

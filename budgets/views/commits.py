"""The commits and contracts of an account: what is left, in which order it is drawn, and how it changed."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import can, requires
from budgets.charts.commits import timeline
from budgets.exports.commits import commits_csv
from budgets.models import Contract
from budgets.reports import commit_words as words
from budgets.reports.balances import commits_of
from consumption_cs.lib.periods import day_of, zone_of
from usage.models import Meter
from usage.reports.freshness import data_through
from usage.views.overview import download


@require_safe
@requires("money.view")
def account_commits(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Contract, commits in the order they are drawn, and their timeline."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    balance = commits_of(viewer, account, now)
    contracts = list(Contract.objects.visible_to(viewer).filter(account=account).order_by("-starts_on"))
    today = day_of(now, zone_of(account.timezone))
    meters = {meter.pk: meter.name for meter in Meter.objects.visible_to(viewer)}
    context = {
        "account": account,
        "balance": balance,
        "rows": [
            (row, words.meters_text(row.commit, meters), words.terms_text(row.commit)) for row in balance.commits
        ],
        "contracts": contracts,
        "contract": next((one for one in contracts if one.starts_on <= today), contracts[0] if contracts else None),
        "headline": words.headline(balance, today),
        "facts": words.facts(balance, today),
        "chart": timeline(account, contracts, balance, today),
        "may_change": can(viewer, "commit.manage"),
        "freshness": data_through(viewer, now),
        "today": today,
    }
    return render(request, "budgets/commits.html", context)


@require_safe
@requires("money.view")
def account_commits_csv(request: HttpRequest, account_id: UUID) -> HttpResponse:
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    return download(commits_csv(account, commits_of(viewer, account, now)), f"{account.key}-commits.csv")

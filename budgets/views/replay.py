"""The limit simulator: what a budget that is being edited would have done, as a part of its page and as a file."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import account_of, viewer_of
from accounts.permissions import requires
from budgets.charts.replay import shown_replay
from budgets.exports.replay import replay_csv
from budgets.forms.replay import first_fields, proposal_from
from budgets.models import Budget
from budgets.reports.budget_use import BudgetUse, budget_uses
from budgets.reports.replay import Replay, replay
from budgets.reports.scope_days import suggested_amount
from usage.views.overview import download

TOKEN = "csrfmiddlewaretoken"  # noqa: S105 - the name of a field


@require_http_methods(["GET", "HEAD", "POST"])
@requires("budget.view")
def budget_replay(request: HttpRequest, account_id: UUID, budget_id: UUID | None = None) -> HttpResponse:
    """A part of a page: the fields of the budget and of its limit replayed; nothing is saved."""
    found, wrong = _replayed(request, budget_id)
    if found is None:
        return render(request, "budgets/_replay.html", {"wrong": wrong})  # a preview: nothing was refused
    context = {"account": account_of(request), "replay": shown_replay(found, _csv_url(request, budget_id))}
    return render(request, "budgets/_replay.html", context)


@require_safe
@requires("budget.view")
def budget_replay_csv(request: HttpRequest, account_id: UUID, budget_id: UUID | None = None) -> HttpResponse:
    """The same as a file."""
    found, wrong = _replayed(request, budget_id)
    if found is None:
        return HttpResponse("\n".join(wrong), content_type="text/plain; charset=utf-8", status=422)
    return download(replay_csv(found), f"replay-{found.account.key}-{found.after.isoformat()}.csv")


def _replayed(request: HttpRequest, budget_id: UUID | None) -> tuple[Replay | None, list[str]]:
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    given = _given(request)
    use = _use(request, budget_id) if budget_id is not None else None
    if use is None and "amount" not in given:
        given = given.copy()
        for name, value in first_fields(suggested_amount(viewer, account, now)).items():
            given.setdefault(name, str(value))
    proposal, wrong = proposal_from(viewer, account, given, use)
    return (None, wrong) if proposal is None else (replay(viewer, account, proposal, now), [])


def _given(request: HttpRequest) -> QueryDict:
    return request.POST if request.method == "POST" else request.GET


def _use(request: HttpRequest, budget_id: UUID) -> BudgetUse:
    viewer = viewer_of(request)
    found = get_object_or_404(Budget.objects.visible_to(viewer), account=account_of(request), pk=budget_id)
    uses = budget_uses(viewer.organization_id, timezone.now(), budget_ids=[found.pk])
    if not uses:
        raise Http404
    return uses[0]


def _csv_url(request: HttpRequest, budget_id: UUID | None) -> str:
    account = account_of(request)
    url = (
        reverse("budgets:replay_new_csv", args=[account.pk])
        if budget_id is None
        else reverse("budgets:replay_csv", args=[account.pk, budget_id])
    )
    given = _given(request).copy()
    given.pop(TOKEN, None)
    return f"{url}?{given.urlencode()}" if given else url

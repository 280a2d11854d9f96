"""The alert centre of staff, the alerts of one account, and one alert."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.http import account_of, viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from budgets.actions import alerts as acting
from budgets.charts.alerts import alert_figure
from budgets.exports.alerts import alerts_csv
from budgets.exports.cause import cause_csv
from budgets.forms.alerts import SNOOZES, AssignForm, CommentForm, JudgeForm, SnoozeForm
from budgets.models import Alert, Anomaly
from budgets.reports.alert_now import ahead, covering, facts_now, pace_now, stop_words, stops
from budgets.reports.alert_words import alert_lead, told_words
from budgets.reports.alerts import (
    FAMILIES,
    OPEN_STATES,
    AlertLine,
    AlertQuery,
    acknowledged_by,
    alert_lines,
    find_alerts,
    people_of,
    silent_siblings,
    timeline,
    view_counts,
    what_was_sent,
)
from budgets.reports.cause_shown import cause_shown
from budgets.reports.forgiveness import forgiveness_of
from usage.views.overview import download

PAGE_SIZE = 50
FORGIVABLE = (Anomaly.Kind.SPIKE, Anomaly.Kind.STEP, Anomaly.Kind.LEAK)

Asked = TypeVar("Asked", bound=forms.Form)


@require_safe
@requires("alert.view", staff=True)
def organization_alerts(request: HttpRequest) -> HttpResponse:
    """The alert centre: what is out of the ordinary at any account, the most urgent first."""
    return _list(request, None)


@require_safe
@requires("alert.view")
def account_alerts(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """The alerts of one account."""
    return _list(request, account_of(request))


@require_safe
@requires("alert.view", staff=True)
def organization_alerts_csv(request: HttpRequest) -> HttpResponse:
    found = find_alerts(viewer_of(request), AlertQuery.read(request.GET))
    return download(alerts_csv(found.iterator()), "alerts.csv")


@require_safe
@requires("alert.view")
def account_alerts_csv(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = account_of(request)
    found = find_alerts(viewer_of(request), AlertQuery.read(request.GET), account)
    return download(alerts_csv(found.iterator()), f"alerts-{account.key}.csv")


def _list(request: HttpRequest, account: Account | None) -> HttpResponse:
    viewer, now = viewer_of(request), timezone.now()
    query = AlertQuery.read(request.GET)
    page = Paginator(find_alerts(viewer, query, account), PAGE_SIZE).get_page(request.GET.get("page"))
    counts = view_counts(viewer, account)
    context = {
        "account": account,
        "query": query,
        "page": page,
        "lines": alert_lines(page.object_list, now),
        "counts": counts,
        "open_count": counts[0][2],
        "families": [(name, words) for name, (words, _) in FAMILIES.items()],
        "severities": Alert.Severity.choices,
        "may_judge": can(viewer, "quality.view"),
        "may_tell": can(viewer, "destination.manage"),
        "may_budget": account is not None and can(viewer, "budget.view"),
        "now": now,
    }
    return render(request, "budgets/alerts.html", context)


@require_safe
@requires("alert.view")
def alert(request: HttpRequest, account_id: UUID, alert_id: UUID) -> HttpResponse:
    """One alert: what happened, why, who knows and what can be done. Open ones refresh themselves."""
    return _page(request, _find(request, alert_id))


@require_POST
@requires("alert.handle")
def alert_step(request: HttpRequest, account_id: UUID, alert_id: UUID, step: str) -> HttpResponse:
    """Acknowledge, snooze, assign, comment, judge or resolve."""
    found = _find(request, alert_id)
    act = _STEPS.get(step)
    if act is None:
        raise Http404
    try:
        said = act(request, found, timezone.now())
    except (ValidationError, ValueError) as error:
        words = error.messages[0] if isinstance(error, ValidationError) else str(error)
        messages.error(request, words)
    else:
        messages.success(request, said)
    return redirect("budgets:alert", found.account_id, found.pk)


def _find(request: HttpRequest, alert_id: UUID) -> Alert:
    rows = Alert.objects.visible_to(viewer_of(request)).filter(account=account_of(request), pk=alert_id)
    found: Alert | None = rows.select_related(
        "account__organization", "budget", "version", "anomaly", "workflow", "assigned_to", "acknowledged_by"
    ).first()
    if found is None:
        raise Http404
    return found


def _page(request: HttpRequest, found: Alert) -> HttpResponse:
    if request.GET.get("live"):
        return render(request, "budgets/_alert_live.html", _now(request, found))
    return render(request, "budgets/alert.html", _now(request, found) | _rest(request, found))


def _now(request: HttpRequest, found: Alert) -> dict[str, Any]:
    """What changes while one looks: the state, the figures, the chart and the log."""
    viewer, account, now = viewer_of(request), account_of(request), timezone.now()
    is_open = found.state in OPEN_STATES
    uses = covering(viewer, account, found, now) if is_open else []
    anomaly = found.anomaly
    pace = pace_now(viewer, account, anomaly) if is_open and anomaly else Decimal(0)
    acting = stops(viewer, account, found, uses, pace, now)
    steps = sorted(timeline(viewer, found, now) + ahead(account, found, acting, pace), key=lambda step: step.at)
    return {
        "account": account,
        "alert": found,
        "line": AlertLine(found, now),
        "is_open": is_open,
        "facts": facts_now(account, found, uses, acting, pace, now),
        "chart": alert_figure(viewer, account, found, now),
        "steps": steps,
        "has_next": any(step.tone == "next" for step in steps),
        "told_words": told_words(found),
        "stops": [(one.use, stop_words(one, account)) for one in acting],
        "card": cause_shown(found.cause, found) if found.cause else None,
    }


def _rest(request: HttpRequest, found: Alert) -> dict[str, Any]:
    viewer, account = viewer_of(request), account_of(request)
    may_forgive = found.kind in FORGIVABLE and can(viewer, "forgiveness.request")
    return {
        "lead": alert_lead(found, account),
        "sent": what_was_sent(viewer, found),
        "siblings": silent_siblings(viewer, found),
        "acknowledged_by": acknowledged_by(viewer, found),
        "credit": forgiveness_of(viewer, found),
        "forgive_url": reverse("budgets:forgive", args=[account.pk, found.pk]) if may_forgive else "",
        "may_handle": can(viewer, "alert.handle"),
        "may_plan": can(viewer, "planned.edit"),
        "may_budget": can(viewer, "budget.edit"),
        "may_limit": can(viewer, "limit.edit"),
        "people": people_of(viewer, account),
        "snoozes": SNOOZES,
        "judgements": Alert.Feedback.choices,
    }


@require_safe
@requires("alert.view")
def alert_cause_csv(request: HttpRequest, account_id: UUID, alert_id: UUID) -> HttpResponse:
    """Who carries the difference, as a file."""
    found = _find(request, alert_id)
    if not found.cause:
        raise Http404
    return download(cause_csv(found.cause), f"alert-{found.number}-cause.csv")


def _acknowledge(request: HttpRequest, found: Alert, now: datetime) -> str:
    acting.acknowledge(viewer_of(request), found, now)
    return "You have acknowledged it. It will not escalate."


def _snooze(request: HttpRequest, found: Alert, now: datetime) -> str:
    form = _checked(SnoozeForm(request.POST))
    until = form.moment(now, account_of(request).timezone)
    acting.snooze(viewer_of(request), found, until, now)
    return "No reminders until then. Limits stay as they are."


def _assign(request: HttpRequest, found: Alert, now: datetime) -> str:
    form = _checked(AssignForm(people_of(viewer_of(request), account_of(request)), request.POST))
    user = form.user()
    acting.assign(viewer_of(request), found, user, now)
    return f"{user} takes care of it." if user else "Nobody is assigned now."


def _comment(request: HttpRequest, found: Alert, now: datetime) -> str:
    form = _checked(CommentForm(request.POST))
    viewer = viewer_of(request)
    internal = form.cleaned_data["internal"] and not viewer.is_portal
    acting.comment(viewer, found, form.cleaned_data["text"], now, internal=internal)
    return "Your comment is in the log."


def _judge(request: HttpRequest, found: Alert, now: datetime) -> str:
    form = _checked(JudgeForm(request.POST))
    acting.judge(viewer_of(request), found, form.cleaned_data["feedback"], now)
    return "Thank you. It counts for what is told next."


def _resolve(request: HttpRequest, found: Alert, now: datetime) -> str:
    acting.resolve(viewer_of(request), found, now)
    return "It is resolved."


_STEPS: dict[str, Callable[[HttpRequest, Alert, datetime], str]] = {
    "acknowledge": _acknowledge,
    "snooze": _snooze,
    "assign": _assign,
    "comment": _comment,
    "judge": _judge,
    "resolve": _resolve,
}


def _checked(form: Asked) -> Asked:
    if not form.is_valid():
        first = next(iter(form.errors.values()))
        raise ValidationError(list(first))
    return form

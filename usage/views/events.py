"""The event log: what arrived, what waits and can be replayed, what was refused, and how to send the first event."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.actions.audit import audit
from accounts.http import viewer_of
from accounts.models import Account
from accounts.permissions import can, requires
from consumption_cs.lib.periods import Period, day_start, local_day, zone_of
from consumption_cs.lib.tenancy import Viewer
from usage.actions.quarantine import Replayed, replay, retry_failed_batches
from usage.calc.event_reasons import quarantine_reason, rejection_reason
from usage.models import BillingPeriod, Meter, Workflow
from usage.reports import event_log
from usage.reports.event_log import EventFilter, read_cursor, write_cursor
from usage.reports.first_event import first_event
from usage.reports.freshness import data_through, events_set_aside

TABS = ("accepted", "quarantined", "rejected")
RANGES = {"": "Any time", "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "31d": "Last 31 days"}
ENVIRONMENTS = {"": "Any environment", "production": "Production", "other": "Not production"}
MOST_CHOICES = 200
_ROUNDS = 20  # of a thousand events each: what one press of "replay" does at most


@require_safe
@requires("event.view")
def events(request: HttpRequest) -> HttpResponse:
    """The organization's events; a customer's engineer is shown those of the account."""
    viewer = viewer_of(request)
    return redirect("usage:account_events", viewer.account_id) if viewer.is_portal else _log(request, None)


@require_safe
@requires("event.view")
def account_events(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """One account's events; its own engineers see those that were accepted."""
    return _log(request, request.account)  # type: ignore[attr-defined]


def _log(request: HttpRequest, account: Account | None) -> HttpResponse:
    now = timezone.now()
    viewer = viewer_of(request)
    context = _frame(request, viewer, account, now)
    context["may_see_keys"] = can(viewer, "key.view") and not viewer.is_portal
    if not context["counts"].accepted and not event_log.has_events(viewer, account.pk if account else None):
        # The page of keys shows the same command with a key in it, in the one answer that has the secret.
        context["first"] = first_event(viewer, account, settings.SITE_URL, "")
        # What cannot be read belongs to no account.
        context["has_only_rejected"] = account is None and bool(context["counts"].rejected)
    if context["tab"] == "accepted":
        context |= _accepted(request, viewer, account, now, context["freshness"].last_event_at)
    elif context["tab"] == "quarantined":
        context |= _quarantined(request, viewer, account, now)
    else:
        context |= _rejected(request, viewer, account, now)
    return render(request, "usage/events.html", context)


@require_safe
@requires("event.view")
def waiting(request: HttpRequest, account_id: UUID | None = None) -> HttpResponse:
    """Asked every two seconds until the first event is there; then the page loads itself anew."""
    arrived = event_log.has_events(viewer_of(request), account_id)
    return HttpResponse(status=200, headers={"HX-Refresh": "true"}) if arrived else HttpResponse(status=204)


@require_safe
@requires("event.view")
def event(request: HttpRequest, key: UUID, account_id: UUID | None = None) -> HttpResponse:
    """One accepted event, as it came and as its meter read it."""
    found = event_log.find_event(viewer_of(request), key)
    if found is None or (account_id and found.account_id != account_id):
        raise Http404
    context = {"event": found, "back": _address(account_id), "shown_account_id": account_id}
    return render(request, "usage/event.html", context)


@require_safe
@requires("event.replay")
def quarantined_event(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One event that waits, as it came."""
    found = event_log.find_quarantined(viewer_of(request), event_id)
    if found is None:
        raise Http404
    reason = quarantine_reason(found.reason)
    return render(request, "usage/quarantined_event.html", {"event": found, "reason": reason})


@require_POST
@requires("event.replay")
def retry_batches(request: HttpRequest) -> HttpResponse:
    """Count again what could not be counted before."""
    viewer = viewer_of(request)
    count = retry_failed_batches(viewer)
    if count:
        audit(viewer, "event.retried", request.membership.organization, f"{count} batches")  # type: ignore[attr-defined]
    messages.info(request, "They are tried again now." if count else "Nothing was set aside any more.")
    return redirect(_address(None))


@require_POST
@requires("event.replay")
def replay_events(request: HttpRequest) -> HttpResponse:
    """Count what waits: one event (`event`), all with one cause (`reason` and `name`), or all."""
    done = _replay(request, viewer_of(request), timezone.now())
    if done.replayed:
        organization = request.membership.organization  # type: ignore[attr-defined]
        audit(viewer_of(request), "event.replayed", organization, f"{done.replayed} {_events(done.replayed)}")
        messages.success(request, f"{done.replayed:,} {_events(done.replayed)} replayed; spend follows in seconds.")
    if done.waiting:
        messages.warning(request, f"{done.waiting:,} {_events(done.waiting)} still wait: the cause is not fixed yet.")
    if not done.replayed and not done.waiting:
        messages.info(request, "Nothing was left to replay.")
    return redirect(f"{_address(None)}?tab=quarantined")


def _replay(request: HttpRequest, viewer: Viewer, now: datetime) -> Replayed:
    event_id = _uuid(request.POST.get("event"))
    if request.POST.get("event"):
        return replay(viewer, [event_id] if event_id else [], now)
    rows = event_log.waiting(viewer)
    if request.POST.get("reason"):
        rows = event_log.with_cause(rows, request.POST["reason"], request.POST.get("name", ""))
    replayed, ids = 0, list(rows.order_by("received_at", "pk").values_list("pk", flat=True)[: _ROUNDS * 1000])
    for start in range(0, len(ids), 1000):
        replayed += replay(viewer, ids[start : start + 1000], now).replayed
    return Replayed(replayed, len(ids) - replayed)


def _frame(request: HttpRequest, viewer: Viewer, account: Account | None, now: datetime) -> dict[str, Any]:
    asked = request.GET.get("tab", "")
    tab = asked if asked in TABS and not viewer.is_portal else "accepted"
    counts = event_log.count_events(viewer, account)
    here = request.path
    shown = {"accepted": counts.accepted, "quarantined": counts.quarantined, "rejected": counts.rejected}
    return {
        "tab": tab,
        "counts": counts,
        "tabs": [
            {"label": name.capitalize(), "url": f"{here}?tab={name}", "count": _count(count), "current": name == tab}
            for name, count in shown.items()
            if count is not None
        ],
        "shown_account": account,
        "set_aside": events_set_aside(viewer),
        "may_retry": can(viewer, "event.replay"),
        "freshness": data_through(replace(viewer, account_id=account.pk) if account else viewer, now),
        "wanted": _filter(request, viewer, account),
        "ranges": RANGES.items(),
        "may_replay": can(viewer, "event.replay"),
        "may_manage_meters": can(viewer, "meter.manage"),
        "may_edit_accounts": can(viewer, "account.edit"),
        "may_make_keys": can(viewer, "key.manage"),
        "log_url": here,
    }


def _accepted(
    request: HttpRequest, viewer: Viewer, account: Account | None, now: datetime, newest: datetime | None
) -> dict[str, Any]:
    wanted, cursor = _filter(request, viewer, account), read_cursor(request.GET.get("before"))
    page = event_log.accepted_events(viewer, wanted, cursor, now, newest)
    return {
        "page": page,
        "older": write_cursor(page.older),
        "is_newest": cursor is None,
        "meters": list(Meter.objects.visible_to(viewer).order_by("name")[:MOST_CHOICES]),
        "workflows": _workflows(viewer, account),
        "account_choices": [] if account else _account_choices(viewer, wanted.account_id),
        "environments": ENVIRONMENTS.items(),
        "day": request.GET["day"] if wanted.day else "",
        "late_period": wanted.late and _closed_period(viewer, account, request.GET.get("late")),
    }


def _quarantined(request: HttpRequest, viewer: Viewer, account: Account | None, now: datetime) -> dict[str, Any]:
    cursor = read_cursor(request.GET.get("before"))
    page = event_log.quarantined_events(viewer, account, _filter(request, viewer, account), cursor, now)
    return {
        "page": page,
        "older": write_cursor(page.older),
        "is_newest": cursor is None,
        "causes": event_log.causes(viewer, account),
    }


def _rejected(request: HttpRequest, viewer: Viewer, account: Account | None, now: datetime) -> dict[str, Any]:
    cursor = read_cursor(request.GET.get("before"))
    page = event_log.rejected_events(viewer, _filter(request, viewer, account), cursor, now)
    for row in page.rows:
        row.words = rejection_reason(row.code)
    return {"page": page, "older": write_cursor(page.older), "is_newest": cursor is None}


def _filter(request: HttpRequest, viewer: Viewer, account: Account | None) -> EventFilter:
    get = request.GET.get
    return EventFilter(
        account_id=account.pk if account else _uuid(get("account")),
        meter_id=_uuid(get("meter")),
        workflow_id=_uuid(get("workflow")),
        environment=_known(get("environment"), ENVIRONMENTS),
        words=(get("q") or "").replace("\x00", "").strip()[:200],
        since=_known(get("since"), RANGES),
        day=_local_day(account, get("day")),
        late=_late(account, _closed_period(viewer, account, get("late"))),
    )


def _closed_period(viewer: Viewer, account: Account | None, text: str | None) -> BillingPeriod | None:
    """The account's closed billing period of whose late events an address asks."""
    found = _uuid(text)
    if account is None or found is None:
        return None
    period: BillingPeriod | None = BillingPeriod.objects.visible_to(viewer).filter(account=account, pk=found).first()
    return period


def _late(account: Account | None, period: BillingPeriod | None) -> tuple[Period, datetime] | None:
    if account is None or period is None:
        return None
    zone = zone_of(account.timezone)
    return Period(day_start(period.starts_on, zone), day_start(period.ends_on, zone)), period.closed_at


def _local_day(account: Account | None, text: str | None) -> Period | None:
    """The day of the account's calendar that an address names; a whole organization has no calendar of its own."""
    try:
        return local_day(date.fromisoformat(text or ""), zone_of(account.timezone)) if account else None
    except (ValueError, OverflowError):
        return None


def _workflows(viewer: Viewer, account: Account | None) -> list[Workflow]:
    """Choices of one account; across accounts the same names would stand there many times."""
    if account is None:
        return []
    return list(Workflow.objects.visible_to(viewer).filter(account=account).order_by("name")[:MOST_CHOICES])


def _account_choices(viewer: Viewer, chosen: UUID | None) -> list[Account]:
    accounts = Account.objects.visible_to(viewer).order_by("name")
    choices = list(accounts[:MOST_CHOICES])
    if chosen and all(account.pk != chosen for account in choices):
        choices += accounts.filter(pk=chosen)
    return choices


def _address(account_id: UUID | None) -> str:
    return f"/accounts/{account_id}/events/" if account_id else "/events/"


def _count(count: int) -> str:
    return f"{event_log.MOST_COUNTED:,}+" if count > event_log.MOST_COUNTED else f"{count:,}"


def _events(count: int) -> str:
    return "event" if count == 1 else "events"


def _known(value: str | None, choices: Iterable[str]) -> str:
    return value if value and value in choices else ""


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None

"""Monthly reports are subscribed to, rested, ended; and made when they are due, each once a month."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from accounts.actions.audit import audit
from accounts.models import Account, Organization
from budgets.actions.reports import ReportError, check_kind
from budgets.calc.monthly import last_due, month_end, next_due
from budgets.models import Report, ReportSubscription
from budgets.reports.report_subscriptions import may_get
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer, act_as

MOST = 100  # reports of one organization in one tick; the others follow in the next
_MOVED = timedelta(days=2)  # further from the stored moment than a time zone can be: it was due in an earlier month


def subscribe(
    viewer: Viewer, account: Account | None, kind: str, format: str, day: int, now: datetime
) -> ReportSubscription:
    """Have a report sent to the viewer every month, from the next `day` on. Raises ReportError in words."""
    if viewer.user_id is None:
        raise ReportError("A monthly report goes to a person: sign in to subscribe.")
    check_kind(viewer, account, kind)
    if not 1 <= day <= 31:
        raise ReportError("Choose a day of the month: 1 to 31.")
    made = ReportSubscription(
        organization_id=viewer.organization_id, account=account, kind=kind, format=format, day_of_month=day,
        user_id=viewer.user_id,
    )  # fmt: skip
    made.next_at = next_due(now, day, _zone(made))
    try:
        with transaction.atomic():
            made.save()
            audit(viewer, "report_subscription.created", made, _name(made), {"day_of_month": day})
    except IntegrityError as error:
        if "report_subscription_once" not in str(error):
            raise
        raise ReportError("You get this report every month already. End it first to choose another day.") from error
    return made


def pause(viewer: Viewer, subscription: ReportSubscription, now: datetime) -> None:
    """Send nothing until it is resumed."""
    _change(viewer, subscription, "paused", paused_at=subscription.paused_at or now)


def resume(viewer: Viewer, subscription: ReportSubscription, now: datetime) -> None:
    """Go on with the next day; what was due meanwhile is not sent."""
    following = next_due(now, subscription.day_of_month, _zone(subscription))
    _change(viewer, subscription, "resumed", paused_at=None, next_at=following)


def end(viewer: Viewer, subscription: ReportSubscription, now: datetime, why: str = "") -> None:
    """Stop it for good."""
    _change(viewer, subscription, "ended", why, ended_at=subscription.ended_at or now)


def _change(
    viewer: Viewer, subscription: ReportSubscription, act: str, why: str = "", **fields: datetime | None
) -> None:
    with transaction.atomic():
        for name, value in fields.items():
            setattr(subscription, name, value)
        subscription.save(update_fields=list(fields))
        details = {"why": why} if why else {}
        audit(viewer, f"report_subscription.{act}", subscription, _name(subscription), details)


def make_due(organization_id: UUID, now: datetime, most: int = MOST) -> list[UUID]:
    """Ask for the reports that are due; return their ids, for workers to make.

    Each subscription's next moment is moved on with the report it makes, under its lock: any number of ticks may run
    at once. After an outage of months only the last month is sent.
    """
    with act_as(Viewer(organization_id)) as viewer:
        due = ReportSubscription.objects.visible_to(viewer).filter(ended_at=None, paused_at=None, next_at__lte=now)
        rows = due.select_for_update(skip_locked=True, of=("self",)).select_related("account", "user", "organization")
        made = [_send(viewer, one, now) for one in rows.order_by("next_at", "pk")[:most]]
        return [report.pk for report in made if report is not None]


def _send(viewer: Viewer, subscription: ReportSubscription, now: datetime) -> Report | None:
    if not may_get(viewer, subscription):
        end(viewer, subscription, now, "The reader's seat was removed, or no longer includes reports.")
        return None
    zone = _zone(subscription)
    due = last_due(now, subscription.day_of_month, zone)
    is_due = due > subscription.next_at - _MOVED  # else the time zone was moved, and that month was sent
    subscription.next_at = next_due(now, subscription.day_of_month, zone)
    subscription.save(update_fields=["next_at"])
    if not is_due:
        return None
    report: Report = Report.objects.create(
        organization_id=subscription.organization_id,
        account=subscription.account,
        kind=subscription.kind,
        format=subscription.format,
        as_of=month_end(due, zone),
        requested_by=subscription.user,
        subscription=subscription,
    )
    return report


def _zone(subscription: ReportSubscription) -> ZoneInfo:
    if subscription.account is not None:
        return zone_of(subscription.account.timezone)
    return zone_of(Organization.objects.values_list("timezone", flat=True).get(pk=subscription.organization_id))


def _name(subscription: ReportSubscription) -> str:
    return f"{subscription.get_kind_display()} ({subscription.format}), monthly"

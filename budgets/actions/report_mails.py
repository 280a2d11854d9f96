"""The mail that a report is ready, or could not be made."""

import logging
from datetime import datetime, timedelta
from smtplib import SMTPException
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Organization
from budgets.actions.unsubscribing import token_of
from budgets.calc.monthly import month_told
from budgets.models import Report
from budgets.reports.report_subscriptions import may_get
from consumption_cs.lib.display import moment_text
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer, act_as

logger = logging.getLogger(__name__)

MOST = 20  # mails in one transaction
MAILED_WITHIN = timedelta(days=2)
State = Report.State


def mail_finished(organization_id: UUID, now: datetime) -> int:
    """Tell whoever asked or subscribed that a worker has made their file or could not; return how many were told.

    A mail that cannot be sent now is tried again by the next call, for two days. Any number of calls may run at once.
    """
    told = 0
    with act_as(Viewer(organization_id)) as viewer:
        done = Report.objects.visible_to(viewer).filter(
            state__in=[State.READY, State.FAILED], mailed_at=None, tries__gt=0, requested_by__isnull=False,
            created_at__gte=now - MAILED_WITHIN,
        )  # fmt: skip
        rows = done.defer("content").select_for_update(skip_locked=True, no_key=True, of=("self",))
        for report in rows.select_related("requested_by", "subscription", "account").order_by("pk")[:MOST]:
            try:
                told += _mail(report, Organization.objects.get(pk=organization_id), now)
            except (OSError, SMTPException):  # the mail server is away: the others would wait for it too
                logger.exception("report.not_mailed report=%s", report.pk)
                break
    return told


def _mail(report: Report, organization: Organization, now: datetime) -> bool:
    """Send the mail, in which a link leads behind the sign-in; False for who may not have it any more."""
    subscription = report.subscription
    if report.requested_by is None or not report.requested_by.is_active:
        return False
    if subscription and (subscription.ended_at or not may_get(Viewer(organization.pk), subscription)):
        return False
    template = "report_ready" if report.state == State.READY else "report_failed"
    account = report.account
    path = reverse("budgets:account_reports", args=[account.pk]) if account else reverse("budgets:reports")
    zone = zone_of(account.timezone if account else organization.timezone)
    stop = reverse("budgets:unsubscribe", args=[token_of(subscription)]) if subscription else ""
    context = {
        "organization_name": organization.name,
        "about": account.name if account else "all accounts",
        "kind_name": report.get_kind_display(),
        "format_name": report.get_format_display(),
        "as_of_text": moment_text(report.as_of, zone, now=now),
        "month": f"{month_told(report.as_of, zone):%B %Y}" if subscription else "",
        "check_code": report.sha256,
        "url": urljoin(settings.SITE_URL, path),
        "unsubscribe_url": urljoin(settings.SITE_URL, stop) if stop else "",
    }
    mail = EmailMultiAlternatives(
        " ".join(render_to_string(f"email/{template}_subject.txt", context).split()),
        render_to_string(f"email/{template}.txt", context),
        to=[report.requested_by.email],
        headers=_headers(context["unsubscribe_url"]),
    )
    mail.attach_alternative(render_to_string(f"email/{template}.html", context), "text/html")
    mail.send()
    report.mailed_at = now
    report.save(update_fields=["mailed_at"])
    return True


def _headers(unsubscribe_url: str) -> dict[str, str]:
    """Return what lets a mail program end the subscription with one click (RFC 8058)."""
    if not unsubscribe_url:
        return {}
    return {"List-Unsubscribe": f"<{unsubscribe_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}

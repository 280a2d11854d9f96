"""The mail that a report is ready."""

from datetime import datetime
from urllib.parse import urljoin

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Organization
from budgets.actions.unsubscribing import token_of
from budgets.calc.monthly import month_told
from budgets.models import Report
from budgets.reports.report_subscriptions import may_get
from consumption_cs.lib.display import moment_text
from consumption_cs.lib.periods import zone_of
from consumption_cs.lib.tenancy import Viewer


def mail_report(report: Report, organization: Organization, now: datetime) -> None:
    """Tell whoever asked or subscribed that the file is there. It is behind the sign-in, not in the mail."""
    _mail(report, organization, now, "report_ready")


def mail_failed(report: Report, organization: Organization, now: datetime) -> None:
    """Tell whoever asked that nothing came of it, and where to try again."""
    _mail(report, organization, now, "report_failed")


def _mail(report: Report, organization: Organization, now: datetime, template: str) -> None:
    subscription = report.subscription
    if report.requested_by is None:
        return
    if subscription and (subscription.ended_at or not may_get(Viewer(organization.pk), subscription)):
        return
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
    transaction.on_commit(mail.send, robust=True)
    report.mailed_at = now
    report.save(update_fields=["mailed_at"])


def _headers(unsubscribe_url: str) -> dict[str, str]:
    """Return what lets a mail program end the subscription with one click (RFC 8058)."""
    if not unsubscribe_url:
        return {}
    return {"List-Unsubscribe": f"<{unsubscribe_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}

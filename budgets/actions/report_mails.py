"""The mail that a report is ready."""

from datetime import datetime
from urllib.parse import urljoin

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Organization
from budgets.models import Report
from consumption_cs.lib.display import moment_text
from consumption_cs.lib.periods import zone_of


def mail_report(report: Report, organization: Organization, now: datetime) -> None:
    """Tell whoever asked that the file is there. It is behind the sign-in, not in the mail."""
    if report.requested_by is None:
        return
    account = report.account
    path = reverse("budgets:account_reports", args=[account.pk]) if account else reverse("budgets:reports")
    zone = zone_of(account.timezone if account else organization.timezone)
    context = {
        "organization_name": organization.name,
        "about": account.name if account else "all accounts",
        "kind_name": report.get_kind_display(),
        "format_name": report.get_format_display(),
        "as_of_text": moment_text(report.as_of, zone, now=now),
        "check_code": report.sha256,
        "url": urljoin(settings.SITE_URL, path),
    }
    subject = " ".join(render_to_string("email/report_ready_subject.txt", context).split())
    mail = EmailMultiAlternatives(
        subject,
        render_to_string("email/report_ready.txt", context),
        to=[report.requested_by.email],
    )
    mail.attach_alternative(render_to_string("email/report_ready.html", context), "text/html")
    transaction.on_commit(mail.send, robust=True)
    report.mailed_at = now
    report.save(update_fields=["mailed_at"])

"""Accounts, people, tasks and what was said, as CSV files that CRMs take in: stable ids, so that twice is once.

Columns are named as the CRM's own fields where it has them. `External_Id__c` and `ccs_id` are our ids, which never
change; a custom field of that name, marked unique, is what the CRM matches rows by.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.models import Account
from accounts.permissions import can
from consumption_cs.lib.csv_files import write_rows
from consumption_cs.lib.tenancy import Viewer
from reviews.calc.metrics import DEFINITIONS
from reviews.models import Contact, Task, TimelineEntry
from reviews.reports.health import HealthShown, shown_health
from reviews.reports.measured import Measured, latest_metrics
from reviews.reports.timeline import split_title

BACK = timedelta(days=365)  # of what is done and said
MOST_ROWS = 100_000
_CHUNK = 500
Line = Sequence[object]


@dataclass(frozen=True, slots=True)
class Export:
    """One file: what it is, its columns and how its lines are made."""

    label: str
    words: str
    header: Sequence[str]
    lines: Callable[[Viewer, datetime], Iterable[Line]]


def export_csv(viewer: Viewer, name: str, now: datetime) -> bytes:
    """Return the file `name` of EXPORTS. Formulas are defused; at most 100,000 lines."""
    export = EXPORTS[name]
    header = export.header or _metric_header(viewer)
    lines: list[Line] = []
    for line in export.lines(viewer, now):
        if len(lines) == MOST_ROWS:
            break
        lines.append(line)
    return write_rows(header, lines)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _millis(moment: datetime | None) -> str:
    return str(int(moment.timestamp() * 1000)) if moment else ""


def _accounts(viewer: Viewer, now: datetime) -> Iterable[tuple[Account, HealthShown | None, Measured]]:
    rows = Account.objects.visible_to(viewer).select_related("csm", "field_cto").order_by("key")
    accounts = list(rows[:MOST_ROWS])
    for at in range(0, len(accounts), _CHUNK):
        part = accounts[at : at + _CHUNK]
        ids = [one.pk for one in part]
        health = shown_health(viewer.organization_id, ids, now)
        metrics = latest_metrics(viewer.organization_id, ids, numbers_only=True)
        for one in part:
            yield one, health.get(one.pk), metrics[one.pk]


def _facts(account: Account, health: HealthShown | None, found: Measured, now: datetime) -> list[object]:
    """Return what both CRMs get of an account, in the same order."""
    run_out = found.number("run_out_p50")
    measured_on = found.day
    return [
        account.pk,
        account.name,
        account.key,
        account.currency,
        account.csm.email if account.csm else "",
        account.get_segment_display(),
        account.get_tier_display(),
        "" if health is None or health.score is None else f"{health.score:.0f}",
        "" if health is None else health.band,
        _plain(found.number("at_risk")),
        _plain(found.number("spend_28")),
        _plain(found.number("commit_left")),
        measured_on + timedelta(days=int(run_out)) if run_out is not None and measured_on else "",
        account.contract_starts_on or "",
        account.contract_ends_on - timedelta(days=1) if account.contract_ends_on else "",
        measured_on or "",
    ]


def _plain(number: Any) -> str:
    return "" if number is None else f"{number:f}"


def _account_lines(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for account, health, found in _accounts(viewer, now):
        yield _facts(account, health, found, now)


def _metric_header(viewer: Viewer) -> list[str]:
    return ["account", "name", "currency", "day", "data_through", "health", "band", *_metric_names(viewer)]


def _metric_names(viewer: Viewer) -> list[str]:
    return [name for name in DEFINITIONS if not name.startswith("margin") or can(viewer, "margin.view")]


def _metric_lines(viewer: Viewer, now: datetime) -> Iterable[Line]:
    names = _metric_names(viewer)
    for account, health, found in _accounts(viewer, now):
        score = "" if health is None or health.score is None else f"{health.score:.0f}"
        band = health.band if health else "none"
        numbers = [_plain(found.number(name)) for name in names]
        through = _moment(found.data_through)
        yield [account.key, account.name, account.currency, found.day or "", through, score, band, *numbers]


def _contacts(viewer: Viewer) -> Iterable[Contact]:
    rows = Contact.objects.visible_to(viewer).select_related("account").order_by("account__key", "name", "pk")
    return rows.iterator(chunk_size=2000)


def _names(name: str) -> tuple[str, str]:
    """Return first and last name: CRMs want a last name, whatever there is."""
    first, _, last = name.strip().rpartition(" ")
    return first, last


def _salesforce_contacts(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for one in _contacts(viewer):
        role, left = one.get_role_display(), one.left_on or ""
        yield [one.pk, *_names(one.name), one.email, one.title, one.account_id, role, left, one.external_id]


def _hubspot_contacts(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for one in _contacts(viewer):
        role, left = one.get_role_display(), one.left_on or ""
        yield [one.pk, *_names(one.name), one.email, one.title, one.account_id, role, left, one.external_id]


def _tasks(viewer: Viewer, now: datetime) -> Iterable[Task]:
    rows = Task.objects.visible_to(viewer).filter(created_at__lte=now).select_related("account", "assigned_to")
    rows = rows.exclude(done_at__lt=now - BACK).exclude(dropped_at__lt=now - BACK)
    return rows.order_by("account__key", "due_on", "pk").iterator(chunk_size=2000)


def _state(task: Task, words: tuple[str, str, str]) -> str:
    return words[1] if task.done_at else words[2] if task.dropped_at else words[0]


def _salesforce_tasks(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for one in _tasks(viewer, now):
        state = _state(one, ("Not Started", "Completed", "Deferred"))
        owner = one.assigned_to.email if one.assigned_to else ""
        yield [one.pk, one.title, one.detail, one.due_on or "", state, "Normal", owner, one.account_id]


def _hubspot_tasks(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for one in _tasks(viewer, now):
        state = _state(one, ("NOT_STARTED", "COMPLETED", "DEFERRED"))
        owner = one.assigned_to.email if one.assigned_to else ""
        yield [one.pk, one.title, one.detail, one.due_on or "", state, "MEDIUM", owner, one.account_id]


def _entries(viewer: Viewer, now: datetime) -> Iterable[TimelineEntry]:
    rows = TimelineEntry.objects.visible_to(viewer).filter(removed_at=None, at__gt=now - BACK)
    return rows.select_related("account", "by").order_by("account__key", "at", "pk").iterator(chunk_size=2000)


def _salesforce_events(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for one in _entries(viewer, now):
        subject = split_title(one.text)[0] or one.get_kind_display()
        owner = one.by.email if one.by else ""
        yield [
            *(one.pk, subject, one.text, one.get_kind_display(), _moment(one.at), one.minutes or 30),
            *(one.get_sentiment_display() if one.sentiment else "", owner, one.account_id),
        ]


_HUBSPOT_KINDS = {"call": "CALL", "meeting": "MEETING", "email": "EMAIL", "note": "NOTE", "review": "MEETING",
                  "unpaid": "NOTE", "paid": "NOTE"}  # fmt: skip


def _hubspot_activities(viewer: Viewer, now: datetime) -> Iterable[Line]:
    for one in _entries(viewer, now):
        title = split_title(one.text)[0] or one.get_kind_display()
        length = one.minutes * 60_000 if one.minutes else ""
        owner = one.by.email if one.by else ""
        felt = one.get_sentiment_display() if one.sentiment else ""
        kind = _HUBSPOT_KINDS[one.kind]
        yield [one.pk, kind, _millis(one.at), title, one.text, length, felt, owner, one.account_id]


_SF_ACCOUNT = (
    *("External_Id__c", "Name", "AccountNumber", "CurrencyIsoCode", "Owner.Email", "Segment__c", "Service_Tier__c"),
    *("Health_Score__c", "Health_Band__c", "At_Risk__c", "Spend_28_Days__c", "Commit_Left__c", "Runs_Out_On__c"),
    *("Contract_Starts_On__c", "Contract_Ends_On__c", "Measured_On__c"),
)
_HS_COMPANY = (
    *("ccs_id", "name", "ccs_key", "ccs_currency", "hubspot_owner_email", "ccs_segment", "ccs_service_tier"),
    *("ccs_health_score", "ccs_health_band", "ccs_at_risk", "ccs_spend_28_days", "ccs_commit_left"),
    *("ccs_runs_out_on", "ccs_contract_starts_on", "ccs_contract_ends_on", "ccs_measured_on"),
)
EXPORTS: dict[str, Export] = {
    "salesforce-accounts": Export("Accounts", "with health, money at risk and run-out", _SF_ACCOUNT, _account_lines),
    "salesforce-contacts": Export(
        "Contacts", "with what they are to us",
        ("External_Id__c", "FirstName", "LastName", "Email", "Title", "Account.External_Id__c", "Role__c",
         "Left_On__c", "Source_Id__c"),
        _salesforce_contacts,
    ),
    "salesforce-tasks": Export(
        "Tasks", "open ones, and those done within a year",
        ("External_Id__c", "Subject", "Description", "ActivityDate", "Status", "Priority", "Owner.Email",
         "Account:What.External_Id__c"),
        _salesforce_tasks,
    ),
    "salesforce-events": Export(
        "Events", "calls, meetings, e-mails and notes of a year",
        ("External_Id__c", "Subject", "Description", "Type__c", "StartDateTime", "DurationInMinutes", "Sentiment__c",
         "Owner.Email", "Account:What.External_Id__c"),
        _salesforce_events,
    ),
    "hubspot-companies": Export("Companies", "with health, money at risk and run-out", _HS_COMPANY, _account_lines),
    "hubspot-contacts": Export(
        "Contacts", "with what they are to us",
        ("ccs_id", "firstname", "lastname", "email", "jobtitle", "company_ccs_id", "ccs_role", "ccs_left_on",
         "ccs_source_id"),
        _hubspot_contacts,
    ),
    "hubspot-tasks": Export(
        "Tasks", "open ones, and those done within a year",
        ("ccs_id", "hs_task_subject", "hs_task_body", "hs_timestamp", "hs_task_status", "hs_task_priority",
         "hubspot_owner_email", "company_ccs_id"),
        _hubspot_tasks,
    ),
    "hubspot-activities": Export(
        "Activities", "calls, meetings, e-mails and notes of a year",
        ("ccs_id", "activity_type", "hs_timestamp", "title", "body", "duration_ms", "ccs_sentiment",
         "hubspot_owner_email", "company_ccs_id"),
        _hubspot_activities,
    ),
    "metrics": Export("Metrics", "all metrics and health of each account as of last night", (), _metric_lines),
}  # fmt: skip

"""What happened in the demo after its months were closed: late and corrected events, invoices, prices, imports."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

from accounts.models import Organization
from budgets.actions.invoices import Invoice, enter_invoices
from budgets.reports.reconciliation import lines_of_month
from consumption_cs.lib.periods import add_months
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.demo.agreements import DRAFT, NEXT_VERSION
from reviews.demo.load_agreements import load_second_chances, load_workflow_costs
from usage.actions.imports.create import NewImport, create_import, held, start_closing, start_validation
from usage.actions.imports.files import append
from usage.actions.imports.work import work
from usage.actions.publishing import publish
from usage.actions.rate_cards import open_card, save_lines, start_draft
from usage.actions.shadow import compute_shadow, start_shadow
from usage.models import BillingPeriod, Meter, RateCardVersion, UsageImport, VendorCost

Event = dict[str, Any]
SOURCE = "/prod/contract-search"
INVOICED_MONTHS = 3
OFF_INVOICE, OFF_BY = "vertex", Decimal("37.50")  # a fee that nobody agreed to


def corrected_events(told_from: date) -> Iterator[Event]:
    """Yield events of Northwind: one of a closed month, one sent twice and voided, one wrong by far and replaced."""
    call = {"quantity": 900, "workflow": "contract-search", "success": True, "outcome": 36, "region": "eu"}
    yield _event("late-export", told_from - timedelta(days=50), "api.call", call | {"quantity": 40_000})
    yesterday = told_from - timedelta(days=1)
    yield _event("sent-twice", yesterday, "api.call", call | {"quantity": 12_500})
    yield _event("wrong-unit", yesterday, "api.call", call | {"quantity": 900_000})
    void = {"id": "sent-twice", "reason": "The worker restarted and sent the same calls under a new id."}
    yield _event("void-sent-twice", told_from, "consumption.void", void)
    fixed = {"id": "wrong-unit", "reason": "Counted in thousandths by mistake.", "data": call}
    yield _event("replace-wrong-unit", told_from, "consumption.replace", fixed)


def _event(name: str, day: date, event_type: str, data: Event) -> Event:
    # Corrections happen when they are sent, so they carry no time.
    at = {} if event_type.startswith("consumption.") else {"time": f"{day.isoformat()}T15:00:00Z"}
    return {
        "specversion": "1.0",
        "id": name,
        "source": SOURCE,
        "type": event_type,
        "subject": "northwind",
        "data": data,
        **at,
    }


def load_later(viewer: Viewer, organization: Organization, told_from: date, now: datetime) -> None:
    """Roll over what expired, enter invoices, prepare prices, import two files. Once; what is there stays."""
    with act_as(viewer):
        meters = {meter.event_type: meter for meter in Meter.objects.filter(organization=organization)}
        load_second_chances(viewer, told_from, now)
        if not VendorCost.objects.filter(organization=organization, workflow__isnull=False).exists():
            load_workflow_costs(viewer, meters, told_from)
        if not BillingPeriod.objects.filter(organization=organization, invoiced__isnull=False).exists():
            _load_invoices(viewer, told_from, now)
        has_drafts = RateCardVersion.objects.filter(organization=organization).exclude(note="").exists()
    if set(NEXT_VERSION) <= set(meters):
        if not has_drafts:
            _load_next_prices(viewer, organization, meters, told_from, now)
        _load_imports(viewer, organization, told_from, now)


def _load_invoices(viewer: Viewer, told_from: date, now: datetime) -> None:
    """Enter what the invoices of the last months said, where anything was due; the latest of one account is off."""
    this_month = told_from.replace(day=1)
    new = []
    for months_ago in range(1, INVOICED_MONTHS + 1):
        for line in lines_of_month(viewer, add_months(this_month, -months_ago), now):
            key = line.account.key
            if line.row is not None and line.due:
                wrong = OFF_BY if key == OFF_INVOICE and months_ago == 1 else Decimal(0)
                new.append(Invoice(line.row, line.due + wrong, f"{key.upper()}-{line.last:%Y%m}"))
    enter_invoices(viewer, new)


def _load_next_prices(
    viewer: Viewer, organization: Organization, meters: dict[str, Meter], told_from: date, now: datetime
) -> None:
    """Publish a version for next month, its effect computed first as it must be, and leave a draft for later."""
    with act_as(viewer):
        card = open_card(viewer, None, organization.currency)
        following = add_months(told_from.replace(day=1), 1)
        version = start_draft(viewer, card, following, note="Larger volumes get cheaper.")
        save_lines(viewer, version, [(meters[event_type], terms) for event_type, terms in NEXT_VERSION.items()])
        run = start_shadow(viewer, version, now)
    compute_shadow(organization.pk, version.pk, run, now)
    with act_as(viewer):
        publish(viewer, RateCardVersion.objects.get(pk=version.pk), now)
        draft = start_draft(viewer, card, add_months(following, 1), note="To be discussed with Ines.")
        save_lines(viewer, draft, [(meters[event_type], terms) for event_type, terms in DRAFT.items()])


def _load_imports(viewer: Viewer, organization: Organization, told_from: date, now: datetime) -> None:
    with act_as(viewer):
        if UsageImport.objects.filter(organization=organization).exists():
            return
    good, bad = _rows(told_from), [*_rows(told_from, "b"), "b-x,yesterday,helios,doc.page,5,bill-of-lading,true"]
    bad.append(f"b-y,{told_from.isoformat()}T08:00:00Z,helios-freight,doc.page,7,bill-of-lading,true")
    closed = _import(viewer, organization, "scanner-outage.csv", good, now)
    with act_as(viewer):
        one = held(viewer, closed)
        if one is not None and one.state == UsageImport.State.READY:
            start_closing(viewer, one, now)
    work(organization.pk, closed, lambda: now)
    _import(viewer, organization, "scanner-outage-second-site.csv", bad, now)


def _rows(told_from: date, prefix: str = "a") -> list[str]:
    """Pages that a scanner held back for three days."""
    first = datetime.combine(told_from - timedelta(days=3), time(6), timezone.utc)
    moments = [first + timedelta(hours=2 * number) for number in range(36)]
    return [
        f"{prefix}-{number},{moment.isoformat()},helios,doc.page,{110 + number},bill-of-lading,true"
        for number, moment in enumerate(moments)
    ]


def _import(viewer: Viewer, organization: Organization, name: str, rows: list[str], now: datetime) -> UUID:
    """Upload and check a file; return the import, ready to close."""
    text = "\n".join(["id,time,account,type,quantity,workflow,success", *rows, ""])
    with act_as(viewer):
        made = create_import(viewer, NewImport("csv", name))
        append(made, 0, BytesIO(text.encode()).read, now, is_last=True)
        start_validation(viewer, made, now)
    work(organization.pk, made.pk, lambda: now)
    found: UUID = made.pk
    return found

"""Plain functions that build rows with sensible defaults. Those that take an owner enter its organization."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client

from accounts.credentials import new_key
from accounts.models import Account, ApiKey, Membership, Organization, Role, Scope, User
from consumption_cs.lib.tenancy import Viewer, enter
from usage.actions.publishing import card_of, published_version
from usage.actions.rate_cards import save_line, start_draft
from usage.models import AccountDay, IngestBatch, Meter, Price, RateCardVersion, UsageDay, VendorCost, Workflow

NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
PASSWORD = "correct horse battery"
_numbers = count(1)


def make_organization(name: str = "Acme AI", **fields: Any) -> Organization:
    return Organization.objects.create(key=fields.pop("key", f"org-{next(_numbers)}"), name=name, **fields)


def staff_of(owner: Organization | Account, role: str = Role.ADMIN) -> Viewer:
    """Return a staff viewer of the organization, or of the organization that owns the account."""
    return Viewer(owner.organization_id if isinstance(owner, Account) else owner.pk, None, role)


def portal_of(account: Account, role: str = Role.PORTAL_OWNER) -> Viewer:
    return Viewer(account.organization_id, account.pk, role)


def make_account(organization: Organization | None = None, name: str = "Northwind", **fields: Any) -> Account:
    organization = organization or make_organization()
    enter(staff_of(organization))
    return Account.objects.create(
        organization=organization, name=name, key=fields.pop("key", f"cust-{next(_numbers)}"), **fields
    )


def make_user(email: str = "", **fields: Any) -> User:
    email = email or f"person-{next(_numbers)}@example.com"
    return User.objects.create(email=email, password=_hashed_password(), **fields)


@cache
def _hashed_password() -> str:
    """Hashed once: each time would cost the tests a quarter of a second a person."""
    return make_password(PASSWORD)


def make_member(owner: Organization | Account, role: str = "", user: User | None = None) -> Membership:
    """Seat a person: staff (admin by default) of an organization, or portal owner by default of an account."""
    account = owner if isinstance(owner, Account) else None
    organization = owner.organization if isinstance(owner, Account) else owner
    enter(staff_of(organization))
    return Membership.objects.create(
        organization=organization,
        account=account,
        user=user or make_user(),
        role=role or (Role.PORTAL_OWNER if account else Role.ADMIN),
    )


def signed_in(member: Membership) -> Client:
    """Return a test client in which the member is signed in."""
    client = Client()
    client.force_login(member.user)
    return client


def make_key(
    organization: Organization, scopes: tuple[str, ...] = (Scope.EVENTS_WRITE,), **fields: Any
) -> tuple[ApiKey, str]:
    """Return the key's row and its secret."""
    enter(staff_of(organization))
    secret, prefix, secret_hash = new_key()
    row = ApiKey.objects.create(
        organization=organization,
        name=fields.pop("name", "Production"),
        prefix=prefix,
        secret_hash=secret_hash,
        scopes=list(scopes),
        **fields,
    )
    return row, secret


def make_meter(organization: Organization, event_type: str = "api.call", **fields: Any) -> Meter:
    enter(staff_of(organization))
    defaults: dict[str, Any] = {"key": event_type, "name": event_type, "unit": "call"}
    return Meter.objects.create(organization=organization, event_type=event_type, **defaults | fields)


def make_price(
    meter: Meter,
    unit_price: str = "0.01",
    account: Account | None = None,
    terms: dict[str, Any] | None = None,
    **fields: Any,
) -> Price:
    """Publish a price of its own version of the rate card: `unit_price` per unit, or the `terms` given."""
    viewer = Viewer(meter.organization_id)
    enter(viewer)
    made: dict[str, Any] = {"currency": "USD", "effective_on": date(2020, 1, 1)} | fields
    return Price.objects.create(
        organization_id=meter.organization_id,
        version=published_version(viewer, account, made["currency"], made["effective_on"]),
        meter=meter,
        account=account,
        terms=terms or {"model": "unit", "params": {"unit": unit_price}},
        in_force=True,
        **made,
    )


def make_workflow(account: Account, name: str = "Invoice OCR", **fields: Any) -> Workflow:
    enter(staff_of(account))
    defaults: dict[str, Any] = {"key": name.lower().replace(" ", "-"), "stage": Workflow.Stage.PRODUCTION}
    return Workflow.objects.create(
        organization_id=account.organization_id, account=account, name=name, **defaults | fields
    )


def make_usage_day(
    account: Account, meter: Meter, day: date, workflow: Workflow | None = None, **fields: Any
) -> UsageDay:
    """Write one rolled-up and settled row and add it to the account's day, as settlement would."""
    enter(staff_of(account))
    defaults: dict[str, Any] = {"quantity": Decimal(100), "events": 10, "finished": 10, "successes": 9}
    defaults |= {"outcomes": Decimal(9), "spend": Decimal(1)}
    defaults["last_event_at"] = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)
    row = UsageDay.objects.create(
        organization_id=account.organization_id,
        account=account,
        meter=meter,
        workflow=workflow,
        day=day,
        **defaults | fields,
    )
    total, _ = AccountDay.objects.get_or_create(
        organization_id=account.organization_id,
        account=account,
        day=day,
        defaults={
            "currency": account.currency,
            "spend": Decimal(0),
            "events": 0,
            "last_event_at": row.last_event_at,
        },
    )
    total.spend += row.spend or 0
    total.unpriced_events += row.events if row.spend is None else 0
    for name in ("events", "finished", "successes", "outcomes"):
        setattr(total, name, getattr(total, name) + getattr(row, name))
    total.save()
    return row


def make_partition(moment: datetime) -> None:
    """Make the month's partition of the event table, which the task makes ahead in production."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_make_partition(%s)", [moment.date()])


def days_before(moment: datetime, days: int) -> datetime:
    return moment - timedelta(days=days)


def usage_sum(account: Account, meter: Meter, hour: datetime, quantity: str = "1", **fields: Any) -> dict[str, Any]:
    """Return what a batch adds to one hour, as the ingest writes it; for the local day give `d`."""
    at = (hour + timedelta(minutes=30)).isoformat()
    made: dict[str, Any] = {"a": str(account.pk), "m": str(meter.pk), "w": None, "g": "", "h": hour.isoformat()}
    made["q"] = quantity
    made |= {"d": hour.date().isoformat(), "n": 1, "f": 1, "s": 1, "o": "0", "l": at}
    if meter.aggregation == Meter.Aggregation.LATEST:
        made["lt"] = fields.get("l", at)
    if meter.aggregation == Meter.Aggregation.UNIQUE:
        del made["q"]
    return made | fields


def make_batch(organization: Organization, *sums: dict[str, Any], **fields: Any) -> IngestBatch:
    """Accept a batch that waits for the tick."""
    enter(staff_of(organization))
    return IngestBatch.objects.create(
        organization=organization, events=sum(part["n"] for part in sums), sums=list(sums), **fields
    )


def make_cost(
    meter: Meter,
    unit_cost: str = "0.004",
    account: Account | None = None,
    workflow: Workflow | None = None,
    **fields: Any,
) -> VendorCost:
    """What a unit of the meter costs the vendor: everybody, an account, or one of its workflows."""
    enter(Viewer(meter.organization_id))
    return VendorCost.objects.create(
        organization_id=meter.organization_id,
        meter=meter,
        account=account,
        workflow=workflow,
        unit_cost=Decimal(unit_cost),
        **{"currency": "USD", "effective_on": date(2020, 1, 1)} | fields,
    )


def make_draft(
    meter: Meter, unit_price: str = "0.02", account: Account | None = None, **fields: Any
) -> RateCardVersion:
    """Begin a draft with one price, of the organization's card or the account's."""
    viewer = Viewer(meter.organization_id)
    enter(viewer)
    card = card_of(viewer, account, fields.pop("currency", "USD"))
    draft = start_draft(viewer, card, fields.pop("effective_on", date(2026, 7, 1)), **fields)
    save_line(viewer, draft, meter, {"model": "unit", "params": {"unit": unit_price}})
    return draft

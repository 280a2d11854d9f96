"""What a trial with a table of one's own needs: an organization, accounts, a meter, a price, a key, a seat."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.core.exceptions import ValidationError

from accounts.actions.audit import audit
from accounts.credentials import new_key
from accounts.models import Account, ApiKey, Membership, Organization, Role, Scope, User, plain_key
from consumption_cs.lib.tenancy import Viewer, act_as
from usage.actions.publishing import NewPrice, add_prices
from usage.models import Meter, Price

KEY_NAME = "send_events"


class BadSeries(ValueError):
    """A series whose name cannot be the key of an account."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was made or found. `secret` is the new key's, `password` that of a person who was made."""

    organization: Organization
    meter: Meter
    made: int
    secret: str
    password: str


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """What to make, unless it is there already."""

    organization_key: str
    series: Iterable[str]
    event_type: str
    unit: str
    unit_price: Decimal
    currency: str
    starts_on: date
    admin_email: str = ""


def make_trial(plan: TrialPlan) -> Trial:
    """Make all that is missing, in one transaction, and a new key that may send old events. Raises BadSeries."""
    for name in plan.series:
        try:
            plain_key(name)
        except ValidationError as error:
            raise BadSeries(f"The series “{name}” cannot be an account's key. {error.messages[0]}") from error
    organization, _ = Organization.objects.get_or_create(
        key=plan.organization_key,
        defaults={"name": plan.organization_key.replace("-", " ").title(), "currency": plan.currency},
    )
    viewer = Viewer(organization.pk)
    with act_as(viewer):
        meter = _meter(viewer, plan)
        _price(viewer, plan, meter)
        made = _accounts(viewer, plan)
        secret = _key(viewer)
        password = _seat(viewer, plan.admin_email) if plan.admin_email else ""
    return Trial(organization, meter, made, secret, password)


def _meter(viewer: Viewer, plan: TrialPlan) -> Meter:
    meter, is_new = Meter.objects.visible_to(viewer).get_or_create(
        organization_id=viewer.organization_id,
        event_type=plan.event_type,
        defaults={"key": plan.event_type, "name": plan.event_type.replace(".", " ").capitalize(), "unit": plan.unit},
    )
    if is_new:
        audit(viewer, "meter.created", meter, meter.name)
    found: Meter = meter
    return found


def _price(viewer: Viewer, plan: TrialPlan, meter: Meter) -> None:
    if Price.objects.visible_to(viewer).filter(meter=meter, account=None, currency=plan.currency).exists():
        return
    add_prices(viewer, [NewPrice(meter, None, plan.currency, plan.unit_price, plan.starts_on)])


def _accounts(viewer: Viewer, plan: TrialPlan) -> int:
    known = set(Account.objects.visible_to(viewer).values_list("key", flat=True))
    new = [
        Account(
            organization_id=viewer.organization_id,
            key=name,
            name=name.replace("_", " "),
            currency=plan.currency,
            contract_starts_on=plan.starts_on,
        )
        for name in sorted(set(plan.series) - known)
    ]
    for account in Account.objects.bulk_create(new):
        audit(viewer, "account.created", account, account.name)
    return len(new)


def _key(viewer: Viewer) -> str:
    secret, prefix, secret_hash = new_key()
    key = ApiKey.objects.create(
        organization_id=viewer.organization_id,
        name=KEY_NAME,
        prefix=prefix,
        secret_hash=secret_hash,
        scopes=[Scope.EVENTS_WRITE, Scope.EVENTS_BACKFILL, Scope.READ],
    )
    audit(viewer, "key.created", key, key.name, {"scopes": key.scopes})
    return secret


def _seat(viewer: Viewer, email: str) -> str:
    """Make the person, if there is none with this address, and seat them as admin. Returns a new person's password."""
    user, password = User.objects.filter(email=email.strip().lower()).first(), ""
    if user is None:
        password = secrets.token_urlsafe(12)
        user = User.objects.create_user(email, password)
    seat = {"organization_id": viewer.organization_id, "account": None, "user": user}
    if not Membership.objects.visible_to(viewer).filter(**seat).exists():
        member = Membership.objects.create(**seat, role=Role.ADMIN)
        audit(viewer, "member.added", member, user.email)
    return password

"""Puts the demo into the database. Whatever is there already is kept, and only what is missing is sent."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.hashers import make_password

from accounts.models import Account, Membership, Organization, Role, User
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.demo.agreements import BILLING_DAYS
from reviews.demo.load_agreements import load_agreements, load_costs
from reviews.demo.people import CSM_LOGINS, FIELD_CTO_LOGINS, FINANCE_LOGINS, PASSWORD, PEOPLE
from reviews.demo.simulation import events_of_day
from reviews.demo.stories import HISTORY_DAYS, Story, Terms, Vendor
from usage.actions.publishing import NewPrice, add_prices
from usage.models import AccountDay, Meter, Workflow

RAISED_DAYS_AGO = 200
Progress = Callable[[str, int, int], None]


def load_people() -> dict[str, User]:
    """Make every person of the demo; return them by login. All have one password, so it is hashed once."""
    people = {user.email: user for user in User.objects.filter(email__in=[person.email for person in PEOPLE])}
    missing = [person for person in PEOPLE if person.email not in people]
    hashed = make_password(PASSWORD) if missing else ""
    for person in missing:
        people[person.email] = User.objects.create(email=person.email, password=hashed, name=person.name)
    return {person.login: people[person.email] for person in PEOPLE}


def load_vendor(vendor: Vendor, people: dict[str, User], now: datetime) -> Organization:
    """Make the organization with its meters, prices, accounts, workflows and seats."""
    organization, _ = Organization.objects.get_or_create(
        key=vendor.key,
        defaults={
            "name": vendor.name,
            "timezone": vendor.timezone,
            "currency": vendor.currency,
            "brand_color": vendor.brand_color,
            "created_at": now,
        },
    )
    with act_as(Viewer(organization.pk)):
        told_from = story_day(organization)
        viewer = finance_of(organization, people)
        meters = _load_meters(viewer, organization, vendor, told_from)
        for story in vendor.stories:
            account = _load_account(organization, vendor, story, meters, people, told_from)
            if account is not None:
                load_agreements(viewer, account, meters, told_from, now)
        _load_seats(organization, people)
    return organization


def story_day(organization: Organization) -> date:
    """The day that the stories are told from: when the demo was first loaded."""
    return organization.created_at.astimezone(ZoneInfo(organization.timezone)).date()


def finance_of(organization: Organization, people: dict[str, User]) -> Viewer:
    """Who makes the agreements and prices of the demo's organization."""
    return Viewer(organization.pk, None, Role.FINANCE, people[FINANCE_LOGINS[organization.key]].pk)


def _load_meters(viewer: Viewer, organization: Organization, vendor: Vendor, told_from: date) -> dict[str, Meter]:
    meters, new = {}, []
    for plan in vendor.meters:
        meter, made = Meter.objects.get_or_create(
            organization=organization,
            event_type=plan.event_type,
            defaults={
                "key": plan.event_type,
                "name": plan.name,
                "unit": plan.unit,
                "dimensions": list(plan.dimensions),
            },
        )
        meters[plan.event_type] = meter
        if made:
            for days_ago, prices in ((HISTORY_DAYS + 60, plan.prices), (RAISED_DAYS_AGO, plan.raised)):
                day = told_from - timedelta(days=days_ago)
                new += [NewPrice(meter, None, currency, _terms(terms), day) for currency, terms in prices.items()]
    add_prices(viewer, new)
    if new:
        load_costs(viewer, meters, told_from)
    return meters


def _terms(terms: Terms) -> Decimal | dict[str, Any]:
    return Decimal(terms) if isinstance(terms, str) else terms


def _load_account(
    organization: Organization,
    vendor: Vendor,
    story: Story,
    meters: dict[str, Meter],
    people: dict[str, User],
    told_from: date,
) -> Account | None:
    """Return the account if it is new: what is there already stays as it is."""
    starts_on = told_from - timedelta(days=story.term_days_ago)
    account, made = Account.objects.get_or_create(
        organization=organization,
        key=story.key,
        defaults={
            "name": story.name,
            "segment": story.segment,
            "tier": story.tier,
            "currency": story.currency,
            "timezone": story.timezone,
            "contract_starts_on": starts_on,
            "contract_ends_on": starts_on + timedelta(days=story.term_days),
            "csm": people[CSM_LOGINS[story.csm]],
            "field_cto": people[FIELD_CTO_LOGINS[vendor.key]],
            "billing_day": BILLING_DAYS.get(story.key, 1),
        },
    )
    if not made:
        return None
    own = [
        NewPrice(meters[event_type], account, story.currency, Decimal(unit_price), starts_on)
        for event_type, unit_price in story.prices.items()
    ] + [
        NewPrice(
            meters[event_type], account, story.currency, Decimal(unit_price), told_from - timedelta(days=days_ago)
        )
        for event_type, (days_ago, unit_price) in story.raised.items()
    ]
    add_prices(Viewer(organization.pk), own)
    Workflow.objects.bulk_create(
        Workflow(
            organization=organization,
            account=account,
            key=plan.key,
            name=plan.name,
            stage=plan.stage,
            outcome_unit=plan.outcome_unit,
            success_target=plan.success_target,
        )
        for plan in story.workflows
    )
    return account


def _load_seats(organization: Organization, people: dict[str, User]) -> None:
    for person in PEOPLE:
        for vendor_key, account_key, role in person.seats:
            if vendor_key != organization.key:
                continue
            account = Account.objects.get(organization=organization, key=account_key) if account_key else None
            Membership.objects.get_or_create(
                organization=organization, account=account, user=people[person.login], defaults={"role": role}
            )


def missing_events(organization: Organization, story: Story, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the account's events from its last settled day to `now`, oldest day first."""
    told_from = story_day(organization)
    with act_as(Viewer(organization.pk)):
        last = (
            AccountDay.objects.filter(organization=organization, account__key=story.key)
            .order_by("-day")
            .values_list("day", flat=True)
            .first()
        )
    day = last or told_from - timedelta(days=HISTORY_DAYS)
    today = now.astimezone(ZoneInfo(story.timezone)).date()
    while day <= today:
        yield from events_of_day(story, day, told_from, now)
        day += timedelta(days=1)


def events_between(story: Story, told_from: date, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Yield the account's events in [since, until)."""
    zone, earliest = ZoneInfo(story.timezone), since.isoformat(timespec="milliseconds")[:23]
    day, last = since.astimezone(zone).date() - timedelta(days=1), until.astimezone(zone).date()
    while day <= last:  # retries run into the next day
        yield from (event for event in events_of_day(story, day, told_from, until) if event["time"] >= earliest)
        day += timedelta(days=1)


def in_batches(events: Iterator[dict[str, Any]], size: int = 1000) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(events, size)):
        yield batch

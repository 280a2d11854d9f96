"""What people know of the demo's customers, and the days of the last three months measured as they passed."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from accounts.models import Account, Membership, Organization, User
from budgets.models import Delivery
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions.contacts import Person, contact_left, save_contact
from reviews.actions.covers import add_cover
from reviews.actions.measure import measure_accounts
from reviews.actions.plays import finish_step
from reviews.actions.signals import judge
from reviews.actions.tasks import add_task, finish_task
from reviews.actions.timeline import log_entry
from reviews.demo.book import (
    AWAY,
    AWAY_DAYS,
    AWAY_IN,
    BOOK,
    COVERED_BY,
    HOURS,
    JUDGED,
    SEEN,
    TIER_HOURS,
    Known,
    Loss,
    Opinion,
    Proposal,
    Said,
)
from reviews.models import (
    BookTerms,
    Contact,
    CostProposal,
    LossEvidence,
    RenewalCall,
    Signal,
    StaffHours,
    Task,
    TimelineEntry,
)
from usage.models import Workflow

MEASURED_DAYS = 90
FEW_DAYS = 14  # of an organization whose stories nobody tells
NOON = time(12, tzinfo=timezone.utc)  # no account of the demo is at another date then
KNOWN_SINCE = timedelta(days=200)
DONE = time(14, 30, tzinfo=timezone.utc)
LEFT_TO_DO = 4  # days: steps due since then are open
TOLD_FOR = timedelta(days=3)  # mails of plays that began before: nobody reads them any more
OLD = "From before the demo was loaded."
People = Mapping[str, User]


def load_book(organization: Organization, people: People, told_from: date, now: datetime) -> None:
    """Write down what was said and agreed, then measure each day with its plays. Once; what is there stays."""
    with act_as(Viewer(organization.pk)):
        if TimelineEntry.objects.filter(organization=organization).exists():
            return
        accounts = {account.key: account for account in Account.objects.filter(organization=organization)}
    for key, known in BOOK.items():
        if key in accounts:
            _load_account(accounts[key], known, people, told_from, now)
    with act_as(Viewer(organization.pk)):
        _load_terms(organization)
        _load_visits(organization, people, now)
    _load_team(organization, people, told_from)
    is_worked = any(BOOK[key].tasks for key in accounts if key in BOOK)
    _measure(organization.pk, told_from, now, MEASURED_DAYS if is_worked else min(MEASURED_DAYS, FEW_DAYS))
    _judge_warnings(organization.pk, now)


def _load_account(account: Account, known: Known, people: People, told_from: date, now: datetime) -> None:
    csm = account.csm_id
    with act_as(Viewer(account.organization_id, None, "csm", csm)) as viewer:
        contacts = _load_people(viewer, account, known, told_from)
        for one in known.said:
            if not one.by:
                _log(viewer, account, one, contacts, told_from, now)
        for plan in known.tasks:
            task = add_task(
                viewer, account, title=plan.title, due_on=told_from + timedelta(days=plan.due_in), assigned_to=csm,
                detail=plan.detail, is_shared=plan.is_shared, now=now,
            )  # fmt: skip
            if plan.done is not None:
                finish_task(viewer, task, _at(told_from, plan.done))
        rows = Task.objects.filter(organization_id=account.organization_id, account=account, run=None)
        rows.update(created_at=_at(told_from, 22))
        RenewalCall.objects.bulk_create(_opinion(account, one, told_from) for one in known.opinions)
        LossEvidence.objects.bulk_create(_loss(account, one, people, told_from) for one in known.losses)
        CostProposal.objects.bulk_create(_proposal(account, one, told_from) for one in known.proposals)
    for one in known.said:
        if one.by:
            with act_as(Viewer(account.organization_id, None, "field_cto", people[one.by].pk)) as viewer:
                _log(viewer, account, one, contacts, told_from, now)


def _load_people(viewer: Viewer, account: Account, known: Known, told_from: date) -> list[Contact]:
    contacts = []
    for plan in known.people:
        person = Person(plan.name, plan.role, plan.email, plan.title)
        contact = save_contact(viewer, account, person)
        if plan.left is not None:
            contact_left(viewer, contact, told_from - timedelta(days=plan.left), told_from)
        contacts.append(contact)
    since = _at(told_from, 0) - KNOWN_SINCE
    Contact.objects.filter(pk__in=[contact.pk for contact in contacts]).update(created_at=since)
    return contacts


def _log(
    viewer: Viewer, account: Account, said: Said, contacts: list[Contact], told_from: date, now: datetime
) -> None:
    at = min(_at(told_from, said.days_ago), now)
    there = [contact for contact in contacts if contact.name.startswith(said.who)] if said.who else []
    entry = log_entry(
        viewer, account, kind=said.kind, at=at, text=said.text, sentiment=said.sentiment, minutes=said.minutes,
        attendees=there, now=now,
    )  # fmt: skip
    TimelineEntry.objects.filter(pk=entry.pk).update(created_at=at)


def _opinion(account: Account, plan: Opinion, told_from: date) -> RenewalCall:
    return RenewalCall(
        organization_id=account.organization_id, account=account, opinion=plan.opinion, automated=plan.automated,
        term_ends_on=account.contract_ends_on or told_from, is_final=plan.is_final, reason=plan.reason,
        by_id=account.csm_id, at=_at(told_from, plan.days_ago),
    )  # fmt: skip


def _loss(account: Account, plan: Loss, people: People, told_from: date) -> LossEvidence:
    approved = plan.approved is not None
    return LossEvidence(
        organization_id=account.organization_id, account=account, kind=plan.kind,
        starts_on=told_from - timedelta(days=plan.starts), amount_a_month=Decimal(plan.amount_a_month),
        currency=account.currency, note=plan.note, entered_by_id=account.csm_id,
        entered_at=_at(told_from, plan.starts), approved_by=people["leader@acme"] if approved else None,
        approved_at=_at(told_from, plan.approved or 0) if approved else None,
    )  # fmt: skip


def _proposal(account: Account, plan: Proposal, told_from: date) -> CostProposal:
    return CostProposal(
        organization_id=account.organization_id, account=account,
        workflow=Workflow.objects.get(account=account, key=plan.workflow), title=plan.title, detail=plan.detail,
        saving_a_month=Decimal(plan.saving_a_month), currency=account.currency, effort=plan.effort,
        trade_off=plan.trade_off, is_shared=plan.is_shared, state=plan.state,
        done_on=None if plan.done is None else told_from - timedelta(days=plan.done),
        created_by_id=account.field_cto_id, created_at=_at(told_from, plan.made),
    )  # fmt: skip


def _load_terms(organization: Organization) -> None:
    BookTerms.objects.get_or_create(organization=organization, defaults={"tier_hours": TIER_HOURS})


def _load_visits(organization: Organization, people: People, now: datetime) -> None:
    for login, days_ago in SEEN.items():
        seats = Membership.objects.filter(organization=organization, user=people[login], last_seen_at=None)
        seats.update(last_seen_at=now - timedelta(days=days_ago))


def _load_team(organization: Organization, people: People, told_from: date) -> None:
    """The hours that staff have for accounts, and who looks after Marco's while he is away."""
    with act_as(Viewer(organization.pk)):
        here = set(
            Membership.objects.filter(organization=organization, account=None)
            .exclude(role="analyst")
            .values_list("user_id", flat=True)
        )
        StaffHours.objects.bulk_create(
            StaffHours(organization=organization, user=people[login], hours_a_week=Decimal(hours))
            for login, hours in HOURS.items()
            if people[login].pk in here
        )
    absent, cover = people[AWAY].pk, people[COVERED_BY].pk
    if {absent, cover} <= here:
        starts_on = told_from + timedelta(days=AWAY_IN)
        with act_as(Viewer(organization.pk, None, "csm", absent)) as viewer:
            add_cover(viewer, absent, cover, starts_on, starts_on + timedelta(days=AWAY_DAYS))


def _measure(organization_id: UUID, told_from: date, now: datetime, days: int) -> None:
    """Look at each day as it passed, so that plays began when they would have, and once at now."""
    for days_ago in range(days - 1, 0, -1):
        day = told_from - timedelta(days=days_ago)
        measure_accounts(organization_id, datetime.combine(day, NOON), is_present=False)
        if days_ago > LEFT_TO_DO:
            _do_steps(organization_id, day)
    measure_accounts(organization_id, now)
    with act_as(Viewer(organization_id)):
        mails = Delivery.objects.filter(
            organization_id=organization_id, topic__startswith="play.", next_at__lt=now - TOLD_FOR
        )
        mails.filter(state=Delivery.State.WAITING).update(state=Delivery.State.CANCELLED, note=OLD)


def _judge_warnings(organization_id: UUID, now: datetime) -> None:
    """The first warning of some kinds was judged by who owns the account, a day after it was raised."""
    for kind, said in JUDGED.items():
        with act_as(Viewer(organization_id)):
            rows = Signal.objects.filter(organization_id=organization_id, kind=kind, account__csm__isnull=False)
            signal = rows.select_related("account").order_by("opened_at", "pk").first()
        if signal is not None:
            with act_as(Viewer(organization_id, None, "csm", signal.account.csm_id)) as viewer:
                judge(viewer, signal, said, min(signal.opened_at + timedelta(days=1), now))


def _do_steps(organization_id: UUID, day: date) -> None:
    """Who owned a play then did its steps in time."""
    with act_as(Viewer(organization_id)):
        due = Task.objects.filter(
            organization_id=organization_id, run__ended_at=None, run__owner__isnull=False, due_on__lte=day,
            done_at=None, dropped_at=None,
        )  # fmt: skip
        tasks = list(due.select_related("run").order_by("run", "step"))
    for task in tasks:
        with act_as(Viewer(organization_id, None, "csm", task.run.owner_id)) as viewer:
            finish_step(viewer, task, datetime.combine(day, DONE))


def _at(told_from: date, days_ago: int) -> datetime:
    """In the afternoon of the demo's people, so many days ago."""
    return datetime.combine(told_from - timedelta(days=days_ago), time(15, 20), timezone.utc)

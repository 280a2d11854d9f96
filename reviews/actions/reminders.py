"""Once a day each person hears what waits for them: steps of plans, values to confirm, reviews to sign.

A step is told three days before its day, on it, and every week that it is late; what waits for an answer on the third
day and then every week. All of a person's things of one account go into one mail, from eight o'clock of the account.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from accounts.models import Account, Membership
from accounts.permissions import CAPABILITIES
from budgets.actions.outbox import site_url
from budgets.models import Alert, Delivery, NotificationWishes
from budgets.reports.receivers import held_until, wants
from consumption_cs.lib.display import counted
from consumption_cs.lib.periods import day_of, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.models import AdoptionPlan, Milestone, OutcomeTerms, ReviewSignature, ValueReview
from usage.reports.overview_words import short_date
from usage.wakeup import wake_delivery

TOPIC = "value.reminder"
FROM_HOUR, UNTIL_HOUR = 8, 12  # a tick that was missed is made up for in the same morning
BEFORE, AFTER, WEEK = 3, 3, 7


@dataclass(frozen=True, slots=True)
class Waits:
    """One thing that waits for some people: the words of its line, when, and the page on which it is done."""

    title: str
    when: str
    page: str
    people: frozenset[UUID]


def remind(organization_id: UUID, now: datetime) -> int:
    """Put today's reminders into the outbox and return how many mails that are. The same day again adds none."""
    viewer = Viewer(organization_id)
    with act_as(viewer):
        accounts = [
            account
            for account in Account.objects.visible_to(viewer).filter(pk__in=_with_something(viewer))
            if FROM_HOUR <= now.astimezone(zone_of(account.timezone)).hour < UNTIL_HOUR
        ]
        seats = list(Membership.objects.visible_to(viewer).filter(user__is_active=True).select_related("user"))
        wishes = {one.membership_id: one for one in NotificationWishes.objects.visible_to(viewer)}
        rows = [row for account in accounts for row in _mails(viewer, account, seats, wishes, now)]
        known = set(
            Delivery.objects.filter(organization_id=organization_id, key__in=[row.key for row in rows]).values_list(
                "key", flat=True
            )
        )
        new = [row for row in rows if row.key not in known]
        if new:
            Delivery.objects.bulk_create(new, ignore_conflicts=True)
            transaction.on_commit(wake_delivery, robust=True)
    return len(new)


def _with_something(viewer: Viewer) -> set[UUID]:
    """Return the accounts of which anything could wait."""
    plans = AdoptionPlan.objects.visible_to(viewer).filter(state=AdoptionPlan.State.ACTIVE)
    terms = OutcomeTerms.objects.visible_to(viewer).filter(answers=None)
    reviews = ValueReview.objects.visible_to(viewer)
    return {pk for rows in (plans, terms, reviews) for pk in rows.values_list("account_id", flat=True)}


def _mails(
    viewer: Viewer,
    account: Account,
    seats: Iterable[Membership],
    wishes: dict[UUID, NotificationWishes],
    now: datetime,
) -> Iterator[Delivery]:
    today = day_of(now, zone_of(account.timezone))
    own = [seat for seat in seats if seat.account_id in (None, account.pk)]
    waiting = _waiting(viewer, account, own, today)
    for seat in own:
        wish = wishes.get(seat.pk)
        things = [one for one in waiting if seat.pk in one.people]
        if things and wants(wish, Alert.Severity.INFO):
            yield _mail(account, seat, things, today, held_until(wish, now, False) or now)


def _mail(account: Account, seat: Membership, things: list[Waits], today: date, at: datetime) -> Delivery:
    said = f"{counted(len(things), 'thing')} {'waits' if len(things) == 1 else 'wait'} for you"
    subject = said if seat.account_id else f"{account.name}: {said}"
    return Delivery(
        organization_id=account.organization_id,
        account_id=account.pk,
        membership=seat,
        email=seat.user.email,
        topic=TOPIC,
        key=f"{TOPIC}:{account.pk}:{today.isoformat()}:m:{seat.pk}",
        payload={
            "subject": subject,
            "heading": subject,
            "text": "This is what is yours to do; each opens on its page.",
            "facts": [[one.title, one.when] for one in things],
            "severity": Alert.Severity.INFO,
            "url": site_url(things[0].page, account.pk),
            "action": "Open it",
        },
        is_internal=seat.account_id is None,
        next_at=at,
    )


def _waiting(viewer: Viewer, account: Account, seats: list[Membership], today: date) -> list[Waits]:
    return [
        *_steps(viewer, account, seats, today),
        *_values(viewer, account, seats, today),
        *_signatures(viewer, account, seats, today),
    ]


def _steps(viewer: Viewer, account: Account, seats: list[Membership], today: date) -> Iterator[Waits]:
    rows = Milestone.objects.visible_to(viewer).filter(
        account=account, plan__state=AdoptionPlan.State.ACTIVE, removed_at=None, done_at=None, condition__isnull=True
    )
    theirs = _able(seats, "plan.finish", of_customer=True)
    for row in rows.order_by("due_on", "pk"):
        late = (today - row.due_on).days
        if late in (-BEFORE, 0) or (late > 0 and late % WEEK == 0):
            people = {seat.pk for seat in seats if seat.account_id is None and seat.user_id == row.our_owner_id}
            if row.is_shared and row.side != Milestone.Side.US:
                people |= theirs
            when = f"due {short_date(row.due_on)}" + (f", {counted(late, 'day')} late" if late > 0 else "")
            yield Waits(row.title, when, "reviews:plan", frozenset(people))


def _values(viewer: Viewer, account: Account, seats: list[Membership], today: date) -> Iterator[Waits]:
    rows = OutcomeTerms.objects.visible_to(viewer).filter(account=account).select_related("workflow")
    newest = {row.workflow_id: row for row in rows.prefetch_related("answers").order_by("proposed_at", "pk")}
    people = _able(seats, "outcome.confirm", of_customer=True)
    for row in newest.values():
        asked = day_of(row.proposed_at, zone_of(account.timezone))
        if not row.answers.all() and _is_day((today - asked).days):
            title = f"Confirm what one {row.workflow.outcome_unit} of {row.workflow.name} is worth"
            yield Waits(title, f"asked on {short_date(asked)}", "reviews:outcomes", frozenset(people))


def _signatures(viewer: Viewer, account: Account, seats: list[Membership], today: date) -> Iterator[Waits]:
    review = ValueReview.objects.visible_to(viewer).filter(account=account).order_by("-number").first()
    if review is None:
        return
    published = day_of(review.published_at, zone_of(account.timezone))
    if not _is_day((today - published).days):
        return
    signed = ReviewSignature.objects.visible_to(viewer).filter(review=review)
    done = {email.lower() for email in signed.values_list("by__email", flat=True)}
    asked = {one["email"] for one in review.content.get("signers", [])} - done
    able = _able(seats, "review.sign", of_customer=True)
    people = {seat.pk for seat in seats if seat.pk in able and seat.user.email.lower() in asked}
    title = f"Sign off value review {review.number}"
    yield Waits(title, f"published {short_date(published)}", "reviews:value_reviews", frozenset(people))


def _is_day(days: int) -> bool:
    """The third day, and every week from then on."""
    return days >= AFTER and (days - AFTER) % WEEK == 0


def _able(seats: Iterable[Membership], capability: str, *, of_customer: bool) -> set[UUID]:
    return {
        seat.pk
        for seat in seats
        if (seat.account_id is not None) == of_customer and capability in CAPABILITIES.get(seat.role, frozenset())
    }

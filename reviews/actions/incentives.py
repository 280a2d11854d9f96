"""A person disputes a line of what they are paid by; who leads accepts or declines it. Rows are only added."""

from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.actions.audit import audit
from accounts.models import Account, Membership, Role, User
from accounts.permissions import require
from budgets.actions.outbox import site_url
from consumption_cs.lib.tenancy import Viewer
from reviews.actions.telling import Mail, mail_people
from reviews.calc.quarters import Quarter
from reviews.models import IncentiveDispute
from reviews.reports.incentive_lines import LedgerLine, line_told
from reviews.reports.incentives import incentive_ledger

Step = IncentiveDispute.Step
LONGEST = 2000


def raise_dispute(viewer: Viewer, account_id: UUID, quarter: Quarter, reason: str, now: datetime) -> IncentiveDispute:
    """Dispute one's own line of a quarter; the line is kept as it stands. Needs book.edit.

    Raises ValidationError for somebody else's line, one that is disputed already, and without a reason;
    Account.DoesNotExist.
    """
    require(viewer, "book.edit")
    text = _text(reason, "Say why the line is wrong.")
    with transaction.atomic():
        account = Account.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=account_id)
        line = _own_line(viewer, account, quarter, now)
        if line.open_dispute is not None:
            raise ValidationError("It is disputed already and waits for an answer.")
        made = IncentiveDispute.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            quarter_starts_on=quarter.start,
            person=line.person,
            text=text,
            line=line_told(line),
            by=line.person,
            at=now,
        )
        audit(viewer, "incentive.disputed", made, account.name, {"quarter": quarter.name, "reason": text})
        mail_people(viewer.organization_id, now, _asked(viewer, made, line.person))
    return made


def _own_line(viewer: Viewer, account: Account, quarter: Quarter, now: datetime) -> LedgerLine:
    lines = incentive_ledger(viewer, now, quarter, account_id=account.pk)
    line = next((one for one in lines if one.person.pk == viewer.user_id), None)
    if line is None:
        raise ValidationError("Only who is paid by a line can dispute it.")
    return line


def answer_dispute(viewer: Viewer, dispute_id: UUID, note: str, now: datetime, *, accept: bool) -> IncentiveDispute:
    """Accept or decline what somebody disputes, with a note; once, and never one's own. Needs recipe.edit.

    Raises ValidationError, IncentiveDispute.DoesNotExist.
    """
    require(viewer, "recipe.edit")
    text = _text(note, "Say in a note what holds from now on." if accept else "Say why it stays as it is.")
    with transaction.atomic():
        raised = IncentiveDispute.objects.visible_to(viewer).get(pk=dispute_id, step=Step.RAISED)
        # Disputes are never changed, so the account is what answers wait for each other on.
        account = Account.objects.visible_to(viewer).select_for_update(of=("self",)).get(pk=raised.account_id)
        if viewer.user_id is None or viewer.user_id in (raised.by_id, raised.person_id):
            raise ValidationError("Somebody else must answer what you dispute.")
        if IncentiveDispute.objects.visible_to(viewer).filter(answers=raised).exists():
            raise ValidationError("It is answered already.")
        made = IncentiveDispute.objects.create(
            organization_id=viewer.organization_id,
            account=account,
            quarter_starts_on=raised.quarter_starts_on,
            person_id=raised.person_id,
            step=Step.ACCEPTED if accept else Step.DECLINED,
            text=text,
            answers=raised,
            by_id=viewer.user_id,
            at=now,
        )
        told = {"quarter": Quarter(raised.quarter_starts_on).name, "answer": made.get_step_display(), "note": text}
        audit(viewer, "incentive.answered", made, account.name, told)
        mail_people(viewer.organization_id, now, [_told(made)])
    return made


def _asked(viewer: Viewer, made: IncentiveDispute, person: User) -> list[Mail]:
    """Return a mail to each leader but the person, to administrators where there is no other leader."""
    seats = Membership.objects.filter(organization_id=viewer.organization_id, account=None, user__is_active=True)
    others = list(seats.exclude(user=person).filter(role__in=(Role.LEADER, Role.ADMIN)))
    who = [seat for seat in others if seat.role == Role.LEADER] or others
    subject = f"{made.account.name} in {Quarter(made.quarter_starts_on)}: {person} disputes what they are paid by"
    return [
        Mail(
            seat.user_id, str(made.pk), "incentive.disputed", subject, made.text, _page(made), "Answer",
            facts=[["As it stood", made.told]],
        )
        for seat in who
    ]  # fmt: skip


def _told(made: IncentiveDispute) -> Mail:
    subject = f"{made.account.name} in {Quarter(made.quarter_starts_on)}: your dispute is {made.step}"
    text = f"{made.by}: {made.text}"
    return Mail(made.person_id, str(made.pk), "incentive.answered", subject, text, _page(made), "Open the line")


def _page(made: IncentiveDispute) -> str:
    quarter = Quarter(made.quarter_starts_on)
    return site_url("reviews:incentive_line", str(made.account_id), quarter.name)


def _text(said: str, otherwise: str) -> str:
    text = said.strip()
    if not text:
        raise ValidationError(otherwise)
    if len(text) > LONGEST:
        raise ValidationError(f"Say it in up to {LONGEST:,} characters.")
    return text

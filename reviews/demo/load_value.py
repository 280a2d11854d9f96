"""Writes the demo's plans, outcomes, ladder, candidates and reviews, through the actions that people use."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

from accounts.models import Account, Membership, Organization, Role, User
from consumption_cs.lib.periods import day_start, zone_of
from consumption_cs.lib.tenancy import Viewer, act_as
from reviews.actions import expansion, ladder, outcomes, plans, value_reviews
from reviews.actions.ladder_checks import check_ladders
from reviews.calc.plan_templates import template_for
from reviews.demo import value as known
from reviews.models import AdoptionPlan, Candidate, Milestone
from reviews.reports.value_review_words import quarter_before
from usage.actions.workflows import save_workflow
from usage.models import Workflow

People = Mapping[str, User]
NOON = time(12, tzinfo=timezone.utc)
BEGAN = 142  # days ago: the plans
CONFIRMED = 145  # days ago: before the first review


def load_value(organization: Organization, people: People, told_from: date, now: datetime) -> None:
    """Write it down once; what is there stays."""
    with act_as(Viewer(organization.pk)) as viewer:
        if AdoptionPlan.objects.visible_to(viewer).exists():
            return
        accounts = list(Account.objects.visible_to(viewer).select_related("csm").order_by("key"))
    for account in accounts:
        story = known.VALUE.get(account.key, known.Account())
        with act_as(_staff(account)) as staff:
            flows = {flow.name: flow for flow in Workflow.objects.visible_to(staff).filter(account=account)}
            _propose(staff, account, story, flows, told_from)
            _plan(staff, account, story, flows, told_from, now)
            _ideas(staff, account, story, told_from)
        _confirm(account, story, told_from)
    check_ladders(organization.pk, now)
    plans.tick_plans(organization.pk, now)
    for account in accounts:
        _review(account, known.VALUE.get(account.key, known.Account()), people, told_from, now)


def _staff(account: Account) -> Viewer:
    return Viewer(account.organization_id, None, Role.ADMIN, account.csm_id)


def _at(told_from: date, days_ago: int) -> datetime:
    return datetime.combine(told_from - timedelta(days=days_ago), NOON)


def _propose(
    staff: Viewer, account: Account, story: known.Account, flows: Mapping[str, Workflow], told_from: date
) -> None:
    for worth in story.worths:
        if worth.workflow in flows:
            flow = flows[worth.workflow]
            flow.account = account
            wanted = outcomes.Proposal(worth.definition, worth.lag_days, Decimal(worth.value), worth.basis)
            outcomes.propose(staff, flow, wanted, _at(told_from, CONFIRMED if worth.is_confirmed else 12))


def _confirm(account: Account, story: known.Account, told_from: date) -> None:
    """The customer's owner confirms, as only the customer may."""
    wanted = {worth.workflow for worth in story.worths if worth.is_confirmed}
    with act_as(Viewer(account.organization_id)) as viewer:
        owner = Membership.objects.visible_to(viewer).filter(account=account, role=Role.PORTAL_OWNER).first()
    if owner is None or not wanted:
        return
    with act_as(Viewer(account.organization_id, account.pk, Role.PORTAL_OWNER, owner.user_id)) as theirs:
        rows = outcomes.OutcomeTerms.objects.visible_to(theirs).filter(account=account).select_related("workflow")
        for terms in rows:
            if terms.workflow.name in wanted:
                outcomes.answer(theirs, terms, "confirmed", _at(told_from, CONFIRMED - 2), title="operations")


def _plan(
    staff: Viewer, account: Account, story: known.Account, flows: Mapping[str, Workflow], told_from: date,
    now: datetime,
) -> None:  # fmt: skip
    outline = template_for(account.segment)
    starts_on = told_from - timedelta(days=BEGAN)
    plan = plans.make_plan(
        staff, account, f"Adoption plan {told_from.year}", starts_on, starts_on + timedelta(days=outline.days),
        _at(told_from, BEGAN), outline,
    )  # fmt: skip
    owners = dict(story.owners)
    for name, flow in sorted(flows.items()):
        if flow.stage == Workflow.Stage.PILOT:
            due_on = min(told_from + timedelta(days=17), plan.ends_on)
            step = plans.Step(
                f"{name}: production gate", due_on, workflow=flow, their_owner=owners.get(name, ""),
                our_owner_id=account.csm_id, condition={"kind": "rung", "need": "production"},
            )  # fmt: skip
            plans.save_milestone(staff, plan, step, _at(told_from, BEGAN))
    due = Milestone.objects.visible_to(staff).filter(plan=plan, condition__isnull=True, due_on__lt=told_from)
    rows = list(due.select_related("account").order_by("due_on"))
    for number, row in enumerate(rows):
        # The last of those due is late; the others were done within two days of their day.
        if number < len(rows) - 1:
            done = datetime.combine(row.due_on + timedelta(days=number % 3 - 1), NOON)
            plans.finish_milestone(staff, row, max(done, _at(told_from, BEGAN)))
    if account.key == "northwind":
        plans.save_milestone(
            staff, plan,
            plans.Step("Send ten warranty letters for review", told_from + timedelta(days=8), "customer",
                       their_owner="Dana", detail="Any mix of accepted and refused ones."),
            now,
        )  # fmt: skip


def _ideas(staff: Viewer, account: Account, story: known.Account, told_from: date) -> None:
    at = _at(told_from, 40)
    owners = dict(story.owners)
    for flow in Workflow.objects.visible_to(staff).filter(account=account).order_by("name"):
        if flow.name in owners:
            card = ladder.CardWanted(account.csm_id, owners[flow.name], None, "")
            ladder.edit_card(staff, account, flow, card, at)
            ladder.tick(staff, account, flow, "owner", owners[flow.name], at)
    for idea in story.ideas:
        key = idea.name.lower().replace(" ", "-")
        flow = save_workflow(
            staff, account, Workflow(key=key, name=idea.name, stage=idea.rung, outcome_unit=idea.unit)
        )
        next_gate = told_from + timedelta(days=30)
        ladder.edit_card(
            staff, account, flow, ladder.CardWanted(account.csm_id, idea.owner, next_gate, idea.remark), at
        )
        for gate, said in idea.ticks:
            ladder.tick(staff, account, flow, gate, said, at)
        wanted = expansion.Estimate(
            idea.name, Decimal(idea.value), Decimal(idea.evidence), Decimal(idea.weeks), list(idea.obstacles),
            Decimal(idea.spend), idea.known, "Every two weeks", _quarter_after(told_from), account.csm_id,
        )  # fmt: skip
        row = expansion.add_candidate(staff, account, wanted, Candidate.Source.REQUESTED, at, flow)
        if idea.state != Candidate.State.FOUND:
            row = expansion.move(staff, row, Candidate.State.PROPOSED, "", at + timedelta(days=6))
            expansion.share(staff, row, True)
        if idea.state == Candidate.State.AGREED:
            expansion.move(staff, row, Candidate.State.AGREED, "", at + timedelta(days=15))


def _quarter_after(day: date) -> date:
    """Return the first day of the next calendar quarter."""
    month = (day.month - 1) // 3 * 3 + 4
    return date(day.year + month // 13, (month - 1) % 12 + 1, 1)


def _review(account: Account, story: known.Account, people: People, told_from: date, now: datetime) -> None:
    """Publish the reviews as they were, from what was known on their day, and leave a draft."""
    zone = zone_of(account.timezone)
    with act_as(_staff(account)) as staff:
        rows = Membership.objects.visible_to(staff).filter(account=account).select_related("user")
        signers = [
            {"name": str(row.user.name), "title": row.get_role_display().lower(), "email": row.user.email}
            for row in rows
            if row.role in (Role.PORTAL_FINANCE, Role.PORTAL_VIEWER)
        ]
    for number, days_ago in enumerate(story.reviewed, 1):
        at = day_start(told_from - timedelta(days=days_ago), zone) + timedelta(hours=9)
        start, end = quarter_before(at.date())
        with act_as(staff):
            draft = value_reviews.make_draft(staff, account, start, end, at, quarter_before(start)[0], start)
            value_reviews.edit_draft(staff, draft, draft.narrative, [], signers, at)
            review = value_reviews.publish(staff, draft, at)
        # Of the last one the last signature is still waited for.
        signed = story.signed_by if number < len(story.reviewed) else story.signed_by[:-1]
        for later, login in enumerate(signed, 2):
            person = people[login]
            role = next((row.role for row in rows if row.user_id == person.pk), Role.PORTAL_VIEWER)
            with act_as(Viewer(account.organization_id, account.pk, role, person.pk)) as theirs:
                value_reviews.sign(theirs, review, "", at + timedelta(days=later))
    if story.draft:
        month = told_from.replace(day=1)
        with act_as(staff):
            value_reviews.make_draft(staff, account, quarter_before(month)[1], month, now)

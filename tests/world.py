"""Two whole organizations side by side, for the tests that try to see from one into the other."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from accounts.models import (
    PORTAL_ROLES,
    STAFF_ROLES,
    Account,
    ApiKey,
    AuditEvent,
    Invitation,
    Membership,
    Organization,
    Role,
    Scope,
)
from budgets.models import (
    Commit,
    CommitBalance,
    CommitChange,
    Contract,
    ForecastRun,
    LedgerEntry,
    PlannedActivity,
    Report,
    ReportSubscription,
    Scenario,
)
from consumption_cs.lib.ids import uuid7
from consumption_cs.lib.tenancy import enter
from reviews.calc.quarters import Quarter
from reviews.models import CostProposal, IncentiveDispute, LossEvidence, PlayRun, SavedView
from tests import factories
from tests.world_alerts import Guarded, make_guarded
from tests.world_field import make_proposal
from tests.world_health import Scored, make_scored
from tests.world_leader import make_dispute, make_evidence
from tests.world_people import Written, make_written
from tests.world_plays import make_run
from tests.world_value import Valued, make_valued
from usage.models import (
    BadRow,
    Correction,
    Event,
    ImportChange,
    IngestBatch,
    Meter,
    Price,
    QuarantinedEvent,
    RateCardVersion,
    RejectedEvent,
    TouchedDay,
    UsageImport,
    VendorCost,
    Workflow,
)

CANARY_AMOUNT = Decimal("86753.09")


@dataclass
class AccountWorld:
    """One customer with something in every table that can name it."""

    account: Account
    workflow: Workflow
    members: dict[str, Membership]
    invitation: Invitation
    key: ApiKey
    secret: str
    price: Price
    event: Event
    audit: AuditEvent
    commit: Commit
    scenario: Scenario
    plan: PlannedActivity
    report: Report
    subscription: ReportSubscription
    guarded: Guarded
    run: PlayRun
    proposal: CostProposal
    evidence: LossEvidence
    dispute: IncentiveDispute
    written: Written
    scored: Scored
    valued: Valued
    view: SavedView


@dataclass
class World:
    """One vendor with two customers. Every text of it contains `canary`."""

    canary: str
    organization: Organization
    staff: dict[str, Membership]
    meter: Meter
    price: Price
    draft: RateCardVersion
    key: ApiKey
    secret: str
    invitation: Invitation
    batch: IngestBatch
    quarantined: QuarantinedEvent
    rejected: RejectedEvent
    audit: AuditEvent
    cost: VendorCost
    usage_import: UsageImport
    accounts: list[AccountWorld] = field(default_factory=list)

    def ids(self, account: int = 0) -> dict[str, Any]:
        """What a URL of this world can name, by the name of the URL's argument."""
        own = self.accounts[account]
        return {
            "account_id": own.account.pk,
            "account_key": own.account.key,
            "workflow_id": own.workflow.pk,
            "member_id": own.members[Role.PORTAL_VIEWER].pk,
            "user_id": self.staff[Role.ANALYST].user_id,
            "staff_member_id": self.staff[Role.ANALYST].pk,
            "invitation_id": own.invitation.pk,
            "staff_invitation_id": self.invitation.pk,
            "token": f"{self.canary}-no-invitation",  # a link is a right by itself: tests/accounts/test_invitations.py
            "key_id": own.key.pk,
            "organization_key_id": self.key.pk,
            "meter_id": self.meter.pk,
            "price_id": self.price.pk,
            "card_id": self.draft.card_id,
            "version_id": self.draft.pk,
            "number": self.draft.number,
            "event_key": own.event.key,
            "quarantined_id": self.quarantined.pk,
            "rejected_id": self.rejected.pk,
            "organization_id": self.organization.pk,
            "import_id": self.usage_import.pk,
            "cost_id": self.cost.pk,
            "commit_id": own.commit.pk,
            "contract_id": own.commit.contract_id,
            "plan_id": own.plan.pk,
            "report_id": own.report.pk,
            "subscription_id": own.subscription.pk,
            "scenario_id": own.scenario.pk,
            "budget_id": own.guarded.budget.pk,
            "alert_id": own.guarded.alert.pk,
            "destination_id": own.guarded.destination.pk,
            "delivery_id": own.guarded.delivery.pk,
            "route_id": own.guarded.route.pk,
            "forgiveness_id": own.guarded.forgiveness.pk,
            "step": "acknowledge",
            "run_id": own.run.pk,
            "proposal_id": own.proposal.pk,
            "evidence_id": own.evidence.pk,
            "dispute_id": own.dispute.pk,
            "quarter": Quarter(own.dispute.quarter_starts_on).name,
            "contact_id": own.written.contact.pk,
            "entry_id": own.written.entry.pk,
            "task_id": own.written.task.pk,
            "cover_id": own.written.cover.pk,
            "recipe_id": own.scored.recipe.pk,
            "signal_id": own.scored.signal.pk,
            "view_id": own.view.pk,
            "play_key": own.run.play.key,
            "move_id": own.valued.move.pk,
            "adoption_plan_id": own.valued.plan.pk,
            "objective_id": own.valued.objective.pk,
            "milestone_id": own.valued.milestone.pk,
            "link_id": own.valued.link.pk,
            "template_id": own.valued.template.pk,
            "terms_id": own.valued.terms.pk,
            "draft_id": own.valued.draft.pk,
            "review_id": own.valued.review.pk,
            "candidate_id": own.valued.candidate.pk,
            "change": "cancel",
            "starts_on": f"{own.event.occurred_at:%Y-%m-01}",
        }


def make_world(now: datetime) -> World:
    """Build a vendor with staff of every role and two customers with members of every role."""
    canary = f"ZZ{uuid4().hex[:12]}"
    organization = factories.make_organization(f"{canary} vendor", key=canary.lower())
    staff: dict[str, Membership] = {
        role: factories.make_member(
            organization, role, factories.make_user(f"{role}@{canary.lower()}.example", name=f"{canary} {role}")
        )
        for role in STAFF_ROLES
    }
    meter = factories.make_meter(organization, f"{canary}.call", name=f"{canary} calls", unit=f"{canary}-call")
    key, secret = factories.make_key(
        organization, (Scope.EVENTS_WRITE, Scope.READ), name=f"{canary} key", created_by=staff[Role.ADMIN].user
    )
    enter(factories.staff_of(organization))
    world = World(
        canary=canary,
        organization=organization,
        staff=staff,
        meter=meter,
        price=factories.make_price(meter, "0.0086753"),
        draft=factories.make_draft(meter, "0.0086754", note=canary),
        key=key,
        secret=secret,
        invitation=_invite(organization, None, Role.CSM, canary, staff[Role.ADMIN], now),
        batch=IngestBatch.objects.create(organization=organization, api_key=key, events=1, sums=[], rolled_at=now),
        quarantined=_quarantine(organization, key, canary, now),
        rejected=RejectedEvent.objects.create(
            organization=organization, code="invalid_id", detail=canary, excerpt=canary, api_key=key
        ),
        audit=_audit(organization, None, staff[Role.ADMIN], canary),
        cost=factories.make_cost(meter, "0.0042424"),
        usage_import=_import(organization, canary, now),
    )
    for number in (1, 2):
        world.accounts.append(_make_account(world, number, now))
        _changed(world, world.accounts[-1].account, now)
    return world


def _make_account(world: World, number: int, now: datetime) -> AccountWorld:
    own = f"{world.canary}-{number}"
    account = factories.make_account(
        world.organization,
        f"{own} customer",
        key=own,
        csm=world.staff[Role.CSM].user,
        field_cto=world.staff[Role.FIELD_CTO].user,
        contract_starts_on=(now - timedelta(days=100)).date(),
        contract_ends_on=(now + timedelta(days=265)).date(),
    )
    workflow = factories.make_workflow(account, f"{own} flow")
    for days_ago in range(45):
        day = (now - timedelta(days=days_ago)).date()
        factories.make_usage_day(account, world.meter, day, workflow, spend=CANARY_AMOUNT + number)
    members: dict[str, Membership] = {
        role: factories.make_member(
            account, role, factories.make_user(f"{role}@{own.lower()}.example", name=f"{own} {role}")
        )
        for role in PORTAL_ROLES
    }
    key, secret = factories.make_key(world.organization, (Scope.READ,), name=f"{own} key", account=account)
    TouchedDay.objects.create(
        organization=world.organization, account=account, day=now.date(), received_at=now - timedelta(seconds=1)
    )
    return AccountWorld(
        account=account,
        workflow=workflow,
        members=members,
        invitation=_invite(world.organization, account, Role.PORTAL_VIEWER, own, world.staff[Role.ADMIN], now),
        key=key,
        secret=secret,
        price=factories.make_price(world.meter, "0.0075309", account),
        event=_event(world, account, workflow, own, now),
        audit=_audit(world.organization, account, members[Role.PORTAL_OWNER], own),
        commit=_promise(account, world.meter, own, now),
        scenario=Scenario.objects.create(organization=world.organization, account=account, name=f"{own} plan"),
        plan=PlannedActivity.objects.create(
            organization=world.organization,
            account=account,
            kind=PlannedActivity.Kind.LAUNCH,
            name=f"{own} launch",
            starts_on=now.date(),
            ends_on=now.date() + timedelta(days=3),
        ),
        report=Report.objects.create(
            organization=world.organization,
            account=account,
            kind=Report.Kind.BURNDOWN,
            format=Report.Format.CSV,
            as_of=now,
            state=Report.State.READY,
            content=own.encode(),
            sha256=own,
            file_name=f"{own}.csv",
        ),
        subscription=ReportSubscription.objects.create(
            organization=world.organization,
            account=account,
            kind=Report.Kind.BURNDOWN,
            format=Report.Format.CSV,
            user=members[Role.PORTAL_OWNER].user,
            next_at=now + timedelta(days=20),
        ),
        guarded=make_guarded(account, workflow, members[Role.PORTAL_OWNER], world.staff[Role.CSM], own, now),
        run=make_run(account, workflow, world.staff[Role.CSM].user, own, now),
        proposal=make_proposal(account, workflow, world.staff[Role.FIELD_CTO].user, own, now),
        evidence=make_evidence(account, world.staff[Role.CSM].user, own, now),
        dispute=make_dispute(account, world.staff[Role.CSM].user, own, now),
        written=make_written(account, world.staff[Role.CSM].user, world.staff[Role.LEADER].user, own, now),
        scored=make_scored(account, world.staff[Role.CSM].user, own, now),
        valued=make_valued(account, workflow, world.staff[Role.CSM].user, members[Role.PORTAL_OWNER].user, own, now),
        view=SavedView.objects.create(
            organization=world.organization, user=world.staff[Role.CSM].user, name=f"{own} view", query=f"q={own}"
        ),
    )


def _promise(account: Account, meter: Meter, canary: str, now: datetime) -> Commit:
    """A commit with a change, a booking and a balance, under a contract whose term leaves room for others."""
    own: dict[str, Any] = {"organization": account.organization, "account": account}
    contract = Contract.objects.create(
        **own, name=f"{canary} contract", starts_on=date(2020, 1, 1), ends_on=date(2021, 1, 1)
    )
    day = (now - timedelta(days=40)).date()
    commit: Commit = Commit.objects.create(
        **own, contract=contract, name=f"{canary} commit", unit="USD", amount=9, value=9, effective_on=day
    )
    CommitChange.objects.create(
        **own, commit=commit, kind="reordered", effective_on=day, reason=f"{canary} reason", actor_name=canary
    )
    LedgerEntry.objects.create(**own, commit=commit, kind="granted", day=day, amount=9, why=f"{canary} why")
    LedgerEntry.objects.create(
        **own, commit=commit, kind="drawn", day=day, meter=meter, amount=-1, why=f"{canary} why"
    )
    _forecast(own, commit, now)
    CommitBalance.objects.create(**own, commit=commit, settled=8, ongoing=8, settled_at=now)
    return commit


def _forecast(own: dict[str, Any], commit: Commit, now: datetime) -> ForecastRun:
    """A forecast in which the commit runs out in three days."""
    day = now.date() + timedelta(days=3)
    row = {"id": str(commit.pk), "name": commit.name, "kind": commit.kind, "left": 8.0, "expires_on": None}
    run: ForecastRun = ForecastRun.objects.create(
        **own,
        as_of=now.date(),
        made_at=now,
        basis=ForecastRun.Basis.MODEL,
        inputs_hash=commit.name,
        currency="USD",
        spend_p10=[2.0, 4.0, 6.0, 8.0, 10.0],
        spend_p50=[2.5, 5.0, 7.5, 10.0, 12.5],
        spend_p90=[3.0, 6.0, 9.0, 12.0, 15.0],
        remaining=8,
        exhaust_p10=day,
        exhaust_p50=day,
        p_exhausted=0.9,
        overage_mean=CANARY_AMOUNT,
        commits=[row | {"starts_on": now.date().isoformat(), "empty_p50": day.isoformat()}],
    )
    return run


def _invite(
    organization: Organization, account: Account | None, role: str, canary: str, by: Membership, now: datetime
) -> Invitation:
    return Invitation.objects.create(
        organization=organization,
        account=account,
        email=f"invited@{canary.lower()}.example",
        role=role,
        token_hash=uuid4().hex + uuid4().hex,
        invited_by=by.user,
        expires_at=now + timedelta(hours=72),
    )


def _import(organization: Organization, canary: str, now: datetime) -> UsageImport:
    """A file with a row that cannot be imported."""
    made: UsageImport = UsageImport.objects.create(
        organization=organization,
        format="csv",
        state=UsageImport.State.REFUSED,
        file_name=f"{canary}.csv",
        bytes=1,
        rows=2,
        rows_new=1,
        rows_bad=1,
        reasons={"unknown_subject": 1},
        validated_at=now,
    )
    BadRow.objects.create(
        organization=organization, usage_import=made, line=2, code="unknown_subject", detail=canary, excerpt=canary
    )
    return made


def _changed(world: World, account: Account, now: datetime) -> ImportChange:
    """What the file would change for a customer."""
    return ImportChange.objects.create(
        organization=world.organization,
        usage_import=world.usage_import,
        account=account,
        meter=world.meter,
        currency="USD",
        starts_on=now.date(),
        ends_on=now.date() + timedelta(days=1),
        rows_new=1,
        rows_known=0,
        rows_voided=0,
        quantity_before=0,
        quantity_after=1,
        spend_before=CANARY_AMOUNT,
        spend_after=CANARY_AMOUNT + 1,
    )


def _quarantine(organization: Organization, key: ApiKey, canary: str, now: datetime) -> QuarantinedEvent:
    return QuarantinedEvent.objects.create(
        organization=organization,
        key=uuid7(),
        digest=1,
        reason="unknown_subject",
        detail=f"No account has the key {canary}.",
        payload={"id": canary, "source": f"/{canary}", "type": f"{canary}.call", "subject": canary},
        api_key=key,
        occurred_at=now,
    )


def _audit(organization: Organization, account: Account | None, by: Membership, canary: str) -> AuditEvent:
    return AuditEvent.objects.create(
        organization=organization,
        account=account,
        actor=by.user,
        actor_name=by.user.name,
        action="key.created",
        target_type="key",
        target_name=canary,
        details={"name": canary},
    )


def _event(world: World, account: Account, workflow: Workflow, canary: str, now: datetime) -> Event:
    factories.make_partition(now)
    event = Event.objects.create(
        organization=world.organization,
        key=uuid4(),
        occurred_at=now - timedelta(minutes=5),
        received_at=now,
        batch_id=world.batch.pk,
        account=account,
        meter=world.meter,
        workflow=workflow,
        quantity=Decimal(1),
        source=f"/{canary}",
        event_id=f"{canary}-event",
        properties={"note": canary},
    )
    Correction.objects.create(
        organization=world.organization,
        account=account,
        kind=Correction.Kind.VOID,
        original_key=event.key,
        original_at=event.occurred_at,
        reversal_key=uuid4(),
        reason=f"{canary}-reason",
    )
    return event
